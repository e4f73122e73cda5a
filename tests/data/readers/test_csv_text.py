"""Delimited text: what people's files look like is read, what is wrong is named by its line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carousel.data import DataError, read_table, write_csv


def written(folder: Path, content: str | bytes, name: str = "demand.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_delimiters_and_line_ends(tmp_path: Path, delimiter: str, ending: str) -> None:
    lines = [["date", "load", "site"], ["2020-01-01", " 1.5", "Genève"], [], ["2020-01-02", "NA", "a b"]]
    table = read_table(written(tmp_path, ending.join(delimiter.join(line) for line in lines)))
    assert [table.kind(name) for name in ("date", "load", "site")] == ["time", "number", "text"]
    np.testing.assert_array_equal(table.column("load"), [1.5, np.nan])
    assert table.column("site").tolist() == ["Genève", "a b"]
    assert [table.place(0), table.place(1)] == ["line 2", "line 4"]


def test_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, b"\xef\xbb\xbfdate,v\n2020-01-01,1\n")).names == ("date", "v")


def test_decimal_commas(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a;b\n1,5;2\n-0,25;3,0e1\n"))
    np.testing.assert_array_equal(table.numbers(["a", "b"]), [[1.5, 2], [-0.25, 30]])


def test_values_without_a_header_are_numbered(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "2020-01-01,1,\n2020-01-02,2,3\n"))
    assert table.names == ("0", "1", "2") and len(table) == 2


def test_columns_without_a_name_are_counted(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, ",v\n0,1\n")).names == ("column 1", "v")


def test_quoted_cells_may_hold_delimiters_and_lines(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'v,t\n1,"a, ""b""\nc"\n2,d\n'))
    assert table.column("t").tolist() == ['a, "b"\nc', "d"] and table.place(1) == "line 4"


def test_tab_separated_values(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "a\tb\n1\t2\n", "x.tsv")).names == ("a", "b")


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "demand.csv is empty: it has 0 bytes"),
    "blank": ("\n\n", "demand.csv is empty; give a header line"),
    "header only": ("date,load\n", "has a header but no rows"),
    "ragged": ("a,b\n1,2\n3\n", "line 3 has 1 cells, the first line has 2"),
    "twice": ("a,b,a\n1,2,3\n", "has 2 columns named 'a'"),
    "Latin-1": ("a,b\n1,Genève\n".encode("latin-1"), "not UTF-8: byte 0xe8 at offset 9, line 2; .* Latin-1"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "holds UTF-16 text, not UTF-8"),
    "binary": (b"a,b\n\x00\x01,2\n", "holds binary data"),
    "quotes": ('a,b\n1,"2\n', "line 2: unexpected end of data; check the quotes"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(tmp_path: Path, name: str) -> None:
    content, message = FAULTS[name]
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, content))


def test_text_among_numbers_is_named_by_its_line(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "load\n1\n\noops\n"))
    with pytest.raises(DataError, match=r"column 'load' of .*demand.csv has text 'oops' at line 4"):
        table.numbers(["load"])


CELLS = st.floats(allow_nan=True, allow_infinity=False)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp", "Cs"]), min_size=1, max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, WORDS, st.integers(0, 2**31)), min_size=1, max_size=5))
def test_what_is_written_is_read(tmp_path: Path, rows: list[tuple[float, str, int]]) -> None:
    numbers, words, seconds = (list(column) for column in zip(*rows, strict=True))
    times = np.array(seconds, dtype="M8[s]").astype("M8[us]")
    write_csv(tmp_path / "x.csv", {"v": numbers, "w": [f"x{word}" for word in words], "t": times})
    table = read_table(tmp_path / "x.csv")
    np.testing.assert_array_equal(table.column("v"), numbers)
    assert table.column("w").tolist() == [f"x{word}" for word in words]
    np.testing.assert_array_equal(table.column("t"), times)
