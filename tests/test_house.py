"""The plan of the house, held: rooms, directions, sizes, names, maps. Reads the tree as it is."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import carousel

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "carousel"
TESTS = ROOT / "tests"
GOLDEN = TESTS / "golden"
MODULES = sorted(SOURCE.rglob("*.py"))
SCRIPTS = sorted(path for folder in ("tests", "docs", "benchmarks", "papers") for path in (ROOT / folder).rglob("*.py"))
ROOMS = sorted(
    path.stem
    for path in SOURCE.iterdir()
    if (path / "__init__.py").exists() or (path.suffix == ".py" and not path.stem.startswith("__"))
)

FUNCTION_LINES, FILE_LINES, ARGUMENTS, ALIKE_LINES = 60, 400, 7, 8
WIDE = {
    "cli.gradients.gradients": "typer reads a command's options from its arguments",
    "cli.transcribe.transcribe": "typer reads a command's options from its arguments",
    "nn.cell.LSTMCell.__init__": "torch.nn.LSTMCell's own arguments come first; ours are keyword-only",
    "nn.stack.LSTM.__init__": "torch.nn.LSTM's own arguments come first; ours are keyword-only",
}
"""Functions with more than seven arguments, each with its reason."""

ONLY_IN = {
    "click": "cli",
    "rich": "cli",
    "typer": "cli",
    "jinja2": "report",
    "plotly": "report",
    "pydantic": "cli",
    "yaml": "cli",
}
"""Packages that one room alone imports."""

UNSAFE = {"pickle", "cloudpickle", "dill", "shelve", "marshal"}
"""Modules that run code when they load a file."""
PIPES = {(f"training.workers.{module}", "pickle") for module in ("processes", "work")}
"""They pickle what goes through a pipe between a process and the one that it began, and nothing from a file."""


def name(path: Path) -> str:
    """`ops.step` for src/carousel/ops/step.py, the path from the root for anything else."""
    if not path.is_relative_to(SOURCE):
        return str(path.relative_to(ROOT))
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "carousel"


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Each function and method of a file with its dotted name."""
    waiting: list[tuple[str, ast.AST]] = [(name(path), parsed(path))]
    while waiting:
        where, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            inner = where
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{where}.{child.name}"
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield inner, child
            waiting.append((inner, child))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_rooms_import_in_one_direction() -> None:
    result = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_cell_needs_nothing_but_python() -> None:
    foreign = {
        f"{name(path)} imports {module}"
        for path in (SOURCE / "cells").rglob("*.py")
        for module in imports(path)
        if module.split(".")[0] not in sys.stdlib_module_names and not module.startswith("carousel.cells")
    }
    assert not foreign


def test_rooms_name_each_other_and_never_the_whole_house() -> None:
    nodes = [(name(path), node) for path in MODULES for node in ast.walk(parsed(path))]
    named = [(where, node) for where, node in nodes if isinstance(node, ast.ImportFrom)]
    assert not [where for where, node in named if node.level], "relative imports"
    whole = [(where, alias.name) for where, node in named if node.module == "carousel" for alias in node.names]
    assert not [(where, public) for where, public in whole if public not in ROOMS], "imports through the front door"


def test_packages_stay_in_the_room_that_needs_them() -> None:
    strays = [
        f"{name(path)} imports {module}; only {ONLY_IN[package]} does"
        for path in MODULES
        for module in imports(path)
        if (package := module.split(".")[0]) in ONLY_IN and not name(path).startswith(ONLY_IN[package])
    ]
    assert not strays


def test_imported_packages_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {re.split(r"[><=\[]", entry)[0].replace("-", "_").lower() for entries in lists for entry in entries}
    declared |= {"sklearn", "yaml", "carousel"}
    imported = {module.split(".")[0] for path in MODULES for module in imports(path)}
    assert imported - set(sys.stdlib_module_names) - declared == set()


def test_nothing_runs_code_from_a_file() -> None:
    found = [
        f"{name(path)} imports {module}"
        for path in MODULES
        for module in imports(path)
        if module in UNSAFE and (name(path), module) not in PIPES
    ]
    found += [f"{name(path)}: {ast.unparse(call)}" for path in MODULES for call in _unsafe_calls(path)]
    assert not found


def _unsafe_calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call):
            continue
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        called = ast.unparse(node.func)
        unsafe_torch = called == "torch.load" and options.get("weights_only") != "True"
        if unsafe_torch or called in {"eval", "exec", "yaml.load"} or options.get("allow_pickle") == "True":
            yield node


def test_functions_are_short() -> None:
    sizes = {
        where: (node.end_lineno or 0) - node.lineno + 1 for path in MODULES + SCRIPTS for where, node in functions(path)
    }
    assert not {where: size for where, size in sizes.items() if size > FUNCTION_LINES}


def test_files_are_short() -> None:
    sizes = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES + SCRIPTS}
    assert not {where: size for where, size in sizes.items() if size > FILE_LINES}


def test_functions_take_few_arguments() -> None:
    wide = {where: _arguments(node) for path in MODULES for where, node in functions(path)}
    wide = {where: count for where, count in wide.items() if count > ARGUMENTS}
    assert not {where: count for where, count in wide.items() if where not in WIDE}
    assert not set(WIDE) - set(wide), "listed as wide, but it is not, or does not exist"


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    listed = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([argument for argument in listed if argument.arg not in ("self", "cls")])


def test_there_is_no_room_for_odds_and_ends() -> None:
    odds = {"util", "utils", "helper", "helpers", "common", "misc"}
    assert not [path for path in (ROOT / "src").rglob("*") if path.stem.strip("_") in odds]


def test_nothing_is_written_twice() -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        lines = _statements(path)
        for start in range(len(lines) - ALIKE_LINES + 1):
            window = "\n".join(line for _, line in lines[start : start + ALIKE_LINES])
            seen[window].add(f"{name(path)}, line {lines[start][0]}")
    assert not [f"{sorted(places)}:\n{window}" for window, places in seen.items() if len(places) > 1]


def _statements(path: Path) -> list[tuple[int, str]]:
    """Lines of code with their numbers, stripped; no comments, documentation, imports or lone brackets."""
    silent = {number for node in ast.walk(parsed(path)) if _is_silent(node) for number in _span(node)}
    numbered = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    lines = [(number, line.split("  #")[0].strip()) for number, line in numbered if number not in silent]
    return [(number, line) for number, line in lines if line.strip("()[]{},") and not line.startswith("#")]


def _is_silent(node: ast.AST) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_list_of_names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    return is_text or is_list_of_names or isinstance(node, ast.Import | ast.ImportFrom)


def _span(node: ast.AST) -> range:
    return range(getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) + 1)


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(parsed(path)), f"{path.relative_to(ROOT)} has no docstring"


def test_every_room_has_its_tests() -> None:
    tested = {path.name.removeprefix("test_").removesuffix(".py") for path in TESTS.iterdir() if _holds_tests(path)}
    own = {"house", "documents", "conftest", "benchmarks", "papers"}
    assert set(ROOMS) - tested == set(), "rooms without tests"
    assert tested - set(ROOMS) - own == set(), "tests without a room"


def _holds_tests(path: Path) -> bool:
    return path.name.startswith("test_") or bool(list(path.glob("test_*.py")))


def test_public_names_are_golden() -> None:
    golden = GOLDEN / "public_names.txt"
    names = "".join(f"{public}\n" for public in _public_names())
    if os.environ.get("CAROUSEL_WRITE_GOLDEN"):
        golden.write_text(names, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == names, "a public name came or went; if you mean it: make golden"


def _public_names() -> list[str]:
    """Every name in the `__all__` of a room, read and not imported, so that the list is there when a room is broken."""
    owners = {"carousel": SOURCE / "__init__.py"} | {f"carousel.{room}": _front(room) for room in ROOMS}
    return sorted(f"{owner}.{public}" for owner, path in owners.items() for public in _declared(path))


def _front(room: str) -> Path:
    return SOURCE / room / "__init__.py" if (SOURCE / room).is_dir() else SOURCE / f"{room}.py"


def _declared(path: Path) -> list[str]:
    for node in parsed(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path.relative_to(ROOT)} does not say what is public: it has no `__all__`")


def test_all_public_names_exist() -> None:
    absent = []
    for public in _public_names():
        owner, _, attribute = public.rpartition(".")
        if not hasattr(importlib.import_module(owner), attribute):
            absent.append(public)
    assert not absent


def test_the_front_door_lists_each_name_once() -> None:
    """What static checkers see, what `import` finds and `__all__` are one list."""
    tree = parsed(SOURCE / "__init__.py")
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: (node.module or "").removeprefix("carousel.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    table = vars(carousel)["_ROOM_OF"]
    assert seen == table
    assert set(carousel.__all__) == {*table, "__version__"}
    assert set(vars(carousel)["_ROOMS"]) == {room for room in ROOMS if room not in ("cli", "testing")}


def test_the_front_door_imports_nothing() -> None:
    probe = "import sys, carousel; print(*{'torch', 'numpy', 'sklearn', 'carousel.cells'} & set(sys.modules))"
    assert run(sys.executable, "-c", probe).stdout.split() == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'GRU'"):
        _ = carousel.GRU  # pyright: ignore[reportAttributeAccessIssue]


def test_the_readme_maps_the_rooms() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    mapped = re.findall(r"^\| \[`(\w+)`\]\(docs/rooms/\w+\.md\) \| (.+) \|$", readme, re.MULTILINE)
    assert sorted(room for room, _ in mapped) == ROOMS
    assert all(line.strip() for _, line in mapped)
