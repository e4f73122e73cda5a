"""The stub says what the extension holds: the same names, the same kinds, the same number of arguments."""

import ast
from pathlib import Path

import pytest

from carousel.ops.cpu import extension
from tests.ops.cpu.extension import needs_extension

pytestmark = needs_extension
STUB = ast.parse(Path(extension.__file__).with_name("_cpu.pyi").read_text("utf-8")).body
CONSTANTS = {
    node.target.id: ast.unparse(node.annotation)
    for node in STUB
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
}
CLASSES = {node.name: node for node in STUB if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in STUB if isinstance(node, ast.FunctionDef)}


def test_names() -> None:
    found = {name for name in vars(extension.module) if not name.startswith("__")}
    assert found == {*CONSTANTS, *CLASSES, *FUNCTIONS}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name: str) -> None:
    value = getattr(extension.module, name)
    inner = value[0]
    element = f"{type(inner).__name__}[{type(inner[0]).__name__}]" if isinstance(inner, list) else type(inner).__name__
    annotation = CONSTANTS[name].replace(", ...", "")
    assert annotation == f"{type(value).__name__}[{element}]"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    """Nanobind keeps the signature that the compiler saw: names aside, it is the stub's."""
    (signature, *_), *more = getattr(extension.module, name).__nb_signature__
    assert not more
    (compiled,) = ast.parse(signature.replace("collections.abc.", "") + ": ...").body
    assert isinstance(compiled, ast.FunctionDef)
    assert types(compiled) == types(FUNCTIONS[name])


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str) -> None:
    given = {node.name for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}
    found = getattr(extension.module, name)
    assert given == {"__init__", *(method for method in vars(found) if not method.startswith("_"))}


def types(function: ast.FunctionDef) -> list[str]:
    arguments = function.args.posonlyargs
    assert not (function.args.args or function.args.kwonlyargs)
    return [ast.unparse(each) for each in (*(a.annotation for a in arguments), function.returns) if each]
