"""The stub says what the extension holds: the same names and, of functions and methods, the same number of
arguments."""

import ast
from pathlib import Path

import pytest

from carousel.decoding import extension
from tests.decoding.oracle import needs_extension

pytestmark = needs_extension
STUB = ast.parse(Path(extension.__file__).with_name("_decoding.pyi").read_text("utf-8")).body
CLASSES = {node.name: node for node in STUB if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in STUB if isinstance(node, ast.FunctionDef)}


def test_names() -> None:
    found = {name for name in vars(extension.module) if not name.startswith("__")}
    assert found == {*CLASSES, *FUNCTIONS}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    (signature, *_), *more = getattr(extension.module, name).__nb_signature__
    assert not more
    arguments = FUNCTIONS[name].args
    assert signature.count(": ") == len(arguments.posonlyargs)
    assert not (arguments.args or arguments.kwonlyargs)


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str) -> None:
    given = {node.name for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}
    found = getattr(extension.module, name)
    assert given - {"__init__"} == {method for method in vars(found) if not method.startswith("_")}
