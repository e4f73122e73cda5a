"""Settings: read off dataclass fields, typed, and found by their nearest name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from carousel.cli.errors import UsageError
from carousel.cli.recipe import resolve
from carousel.cli.settings import assign, assignments, checked, schema, settings_of
from carousel.cli.yaml_text import read_file, read_value, write_text


def described(default: Any, help: str = "what it is") -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class Example:
    size: int = described(3)
    rate: float | None = described(None)
    name: str | None = described(None)
    on: bool = described(False)
    levels: tuple[float, ...] = described((0.1, 0.9))
    columns: str | tuple | list | None = described(None)
    more: dict[str, Any] | None = described(None)
    how: Literal["fast", "slow"] = described("fast")


SETTINGS = settings_of(Example)


def model(values: dict[str, Any]) -> dict[str, Any]:
    return dict(checked(schema("example", SETTINGS), values, SETTINGS, "the file"))


def test_kinds_come_from_annotations() -> None:
    assert {name: setting.kinds for name, setting in SETTINGS.items()} == {
        "size": (int,),
        "rate": (float, None),
        "name": (str, None),
        "on": (bool,),
        "levels": ((tuple, float),),
        "columns": (str, (tuple, str), None),
        "more": (dict, None),
        "how": (str,),
    }


@pytest.mark.parametrize(
    ("name", "texts", "value"),
    [
        ("size", ["1", "12"], 12),
        ("rate", ["1e-3"], 1e-3),
        ("rate", ["none"], None),
        ("name", ["12"], "12"),
        ("name", ["no"], "no"),
        ("levels", ["0.1,0.5", "0.9"], [0.1, 0.5, 0.9]),
        ("columns", ["a, b", "1"], ["a", "b", "1"]),
    ],
)
def test_options_are_read_by_kind(name: str, texts: list[str], value: Any) -> None:
    assert SETTINGS[name].parse(texts) == value


def test_defaults_and_values() -> None:
    assert model({})["levels"] == [0.1, 0.9]
    found = model({"size": 4, "rate": 1, "columns": "a", "more": {"a": {"b": 1}}})
    assert (found["size"], found["rate"], found["columns"], found["more"]) == (4, 1, ["a"], {"a": {"b": 1}})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"size": "big"}, "size is 'big'; it takes an integer (what it is)"),
        ({"size": True}, "size is True; it takes an integer (what it is)"),
        ({"size": 2.5}, "size is 2.5; it takes an integer (what it is)"),
        ({"rate": "x"}, "rate is 'x'; it takes a number or null (what it is)"),
        ({"on": "yes"}, "on is 'yes'; it takes true or false (what it is)"),
        ({"name": 12}, "name is 12; it takes text or null (what it is)"),
        ({"levels": [0.1, "x"]}, "levels is [0.1, 'x']; it takes a list of numbers (what it is)"),
        ({"siez": 1}, "the file has no setting 'siez'; did you mean 'size'?"),
        ({"zzz": 1}, "the file has no setting 'zzz'; it has size, rate, name"),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        model(values)
    assert sentence in str(error.value)


def test_dotted_names() -> None:
    values: dict[str, Any] = {"a": {"b": 1}, "n": 3}
    assign(values, "a.c.d", 2)
    assert values["a"] == {"b": 1, "c": {"d": 2}}
    with pytest.raises(UsageError, match="n is .*it has no setting 'x' inside"):
        assign(values, "n.x", 1)
    assert assignments(["a.b= [1, 2]", "c=", "d=a=b"]) == {"a.b": [1, 2], "c": None, "d": "a=b"}


def test_data_settings_are_found_by_their_last_name() -> None:
    with pytest.raises(UsageError, match=r"no setting 'label'; did you mean 'data.label'"):
        resolve("classify", {"label": "kind"}, {}, "the file")
    with pytest.raises(UsageError, match=r"no setting 'data.lable'; did you mean 'data.label'"):
        resolve("classify", {"data": {"lable": "kind"}}, {}, "the file")
    with pytest.raises(UsageError, match="data is 3; it takes a mapping"):
        resolve("classify", {"data": 3}, {}, "the file")


def test_yaml_is_plain_data() -> None:
    assert [read_value(text) for text in ("1e-3", "-2E5", "None", "null", "yes", "a: 1", "[", "")] == [
        1e-3,
        -2e5,
        None,
        None,
        True,
        {"a": 1},
        "[",
        None,
    ]
    assert read_value("!!python/object/apply:os.getcwd []") == "!!python/object/apply:os.getcwd []"


def test_a_file_of_settings_comes_back(tmp_path: Path) -> None:
    values = {
        "task": "fit",
        "data": {"path": "ä b.csv", "columns": ["no", "1", "none", "1e-3"]},
        "rate": 1e-05,
        "none": None,
    }
    (tmp_path / "a.yaml").write_text(write_text(values), encoding="utf-8")
    assert read_file(tmp_path / "a.yaml") == values


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(UsageError, match="has at most"):
        read_file(tmp_path / "a.yaml")
