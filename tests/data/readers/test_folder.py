"""Folders of sequence files: labels by sub-folder, by index file, by column; nothing outside is read."""

from pathlib import Path

import numpy as np
import pytest

from carousel.data import DataError, Labelled, read, read_folder


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def labels(found: object) -> list[str]:
    assert isinstance(found, Labelled) and found.labels is not None
    return list(found.labels)  # pyright: ignore[reportReturnType]


def test_labels_by_sub_folder(tmp_path: Path) -> None:
    found = read_folder(
        fill(tmp_path, {"up/b.csv": "x,y\n1,2\n3,4\n", "up/a.csv": "x,y\n5,6\n", "down/c.csv": "x,y\n7,8\n"})
    )
    assert found.sequences.ids == ("down/c.csv", "up/a.csv", "up/b.csv")
    assert labels(found) == ["down", "up", "up"] and found.sequences.features == ("x", "y")
    np.testing.assert_array_equal(found.sequences.values[2], [[1, 2], [3, 4]])


def test_labels_by_index_file(tmp_path: Path) -> None:
    files = {"labels.csv": "file,label\nb.csv,1\nparts/a.csv,2\n", "b.csv": "1\n2\n", "parts/a.csv": "3\n"}
    found = read(fill(tmp_path, files))
    assert labels(found) == ["1", "2"]
    (tmp_path / "labels.csv").write_text("file,label\nb.csv,0.5\n")
    assert labels(read(tmp_path)) == [0.5]


def test_labels_by_step(tmp_path: Path) -> None:
    fill(tmp_path, {"a.csv": "t,x,phase\n2020-01-01,1,run\n2020-01-02,2,rest\n"})
    found = read_folder(tmp_path, step_label="phase", drop=("t",))
    assert isinstance(found.labels, list) and found.labels[0].tolist() == ["run", "rest"]
    assert found.sequences.features == ("x",)


def test_a_plain_folder_has_no_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.ones((3, 2)))
    np.savez(tmp_path / "b.npz", np.ones((2, 2)))
    fill(tmp_path, {".hidden.csv": "oops", "README.txt": "about"})
    found = read(tmp_path)
    assert isinstance(found, Labelled) and found.labels is None and found.sequences.lengths.tolist() == [3, 2]


GOOD = {"up/a.csv": "x\n1\n"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "is empty: it has no file that ends in .csv"),
        ({**GOOD, "down/readme.txt": ""}, "down is empty: it has no file"),
        ({**GOOD, "b.csv": "1\n"}, r"has both files \(b.csv\) and sub-folders \(up\)"),
        ({**GOOD, "up/b.csv": "y\n1\n"}, r"up/b.csv has the columns \('y',\), .*a.csv has \('x',\)"),
        ({**GOOD, "up/b.csv": ""}, "up/b.csv is empty"),
        ({**GOOD, "up/b.csv": "x\nword\n"}, "column 'x' of .*b.csv has text 'word' at line 2"),
        ({"labels.csv": "file,label\n../x.csv,1\n"}, "line 2: '../x.csv' is not in"),
        ({"labels.csv": "file,label\n/etc/passwd,1\n"}, "line 2: '/etc/passwd' is not in"),
        ({"labels.csv": "file,label\na.csv,1\n"}, "line 2: there is no file 'a.csv'"),
        ({"labels.csv": "file,label\na.txt,1\n", "a.txt": ""}, "a.txt is not a sequence file"),
        ({"labels.csv": "name,label\na.csv,1\n"}, "has no column 'file'"),
    ],
)
def test_faults_are_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(fill(tmp_path, files))


def test_a_step_without_a_label(tmp_path: Path) -> None:
    fill(tmp_path, {"a.csv": "x,phase\n1,run\n2,\n"})
    with pytest.raises(DataError, match="a.csv has no 'phase' at line 3; give every step a label"):
        read_folder(tmp_path, step_label="phase")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    outside = fill(tmp_path, {"secret.csv": "1\n"}) / "secret.csv"
    inside = fill(tmp_path / "data", {"labels.csv": "file,label\nlink.csv,1\n"})
    (inside / "link.csv").symlink_to(outside)
    with pytest.raises(DataError, match="'link.csv' is not in"):
        read(inside)


def test_an_array_file_holds_one_array_of_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.ones((3, 2)), np.ones(2))
    with pytest.raises(DataError, match=r"holds arr_0 float64 \(3, 2\), arr_1 float64 \(2,\); give one array"):
        read(tmp_path)
