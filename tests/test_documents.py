"""What we write is true: code in documents runs, links lead somewhere, generated pages are current."""

import ast
import importlib
import importlib.util
import os
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.main import get_command

import carousel

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("papers/*/README.md")])
GALLERY = sorted((DOCS / "gallery").glob("*.py"))
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[str]:
    """The bodies of a page's fenced blocks in these languages."""
    text = page.read_text(encoding="utf-8")
    return [fence["body"] for fence in FENCE.finditer(text) if fence["language"] in languages]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in, and no window for plots."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_code_in_documents_runs(page: Path) -> None:
    code = ast.parse("\n".join(blocks(page, "python")))
    exec(compile(code, str(page), "exec"), {"__name__": "__main__"})


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("script", GALLERY, ids=name)
def test_the_gallery_runs(script: Path) -> None:
    runpy.run_path(str(script), run_name="__main__")


def test_generated_pages_are_current() -> None:
    for page, write in generator().PAGES.items():
        assert (DOCS / page).read_text(encoding="utf-8") == write(), f"docs/{page} is stale; make docs writes it anew"


def test_every_room_has_its_page() -> None:
    source = ROOT / "src" / "carousel"
    rooms = {path.parent.name for path in source.glob("*/__init__.py")}
    rooms |= {path.stem for path in source.glob("*.py") if not path.stem.startswith("__")}
    assert {page.stem for page in (DOCS / "rooms").glob("*.md")} == rooms


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert not [target for target in _links(page) if not _leads_somewhere(page, target)]


def _links(page: Path) -> Iterator[str]:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.finditer(prose):
        if not link["target"].startswith(("http://", "https://")):
            yield link["target"]


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    goal = (page.parent / path) if path else page
    return goal.exists() and (not anchor or anchor in _anchors(goal))


def _anchors(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'id="([^"]+)"', text))


@pytest.mark.parametrize(("room", "table"), [("tasks", "TASKS"), ("cells", "VARIANTS"), ("training", "METHODS")])
def test_choose_has_a_line_for_each(room: str, table: str) -> None:
    registry = getattr(importlib.import_module(f"carousel.{room}"), table)
    lines = (DOCS / "choose.md").read_text(encoding="utf-8").splitlines()
    assert not [entry for entry in registry if not any(line.startswith(f"| `{entry}` |") for line in lines)]


def _shell() -> str:
    return "\n".join(body for page in PAGES for body in blocks(page, "sh"))


def test_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", _shell(), re.MULTILINE)) <= targets


def test_commands_in_documents_exist() -> None:
    app = importlib.import_module("carousel.cli.app").app
    commands = getattr(get_command(app), "commands", {})
    assert set(re.findall(r"^carousel (\w+)", _shell(), re.MULTILINE)) <= set(commands)


def test_the_changelog_knows_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert carousel.__version__ == version, "installed from an older tree; make install"
    assert f"## {version}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_documents_name_no_machine() -> None:
    """No path of somebody's machine, nothing that only exists where it was written."""
    private = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/")
    texts = [*PAGES, *ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"), *GALLERY, ROOT / "Makefile"]
    own = Path(__file__)
    assert not [name(path) for path in texts if path != own and private.search(path.read_text(encoding="utf-8"))]


def test_tests_run_with_the_environment_of_ci() -> None:
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("make test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
