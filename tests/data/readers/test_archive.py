"""The .ts format: both kinds of labels, unequal lengths, missing values, and faults by line."""

from pathlib import Path

import numpy as np
import pytest

from carousel.data import DataError, Labelled, read

HEADER = "# a comment\n@problemName T\n@timeStamps false\n@univariate false\n@equalLength false\n"
BODY = "@classLabel true up down\n@data\n1,2,3:4,5,6:up\n7,?:8,NaN:down\n"


def labelled(folder: Path, text: str) -> Labelled:
    (folder / "T.ts").write_text(text)
    found = read(folder / "T.ts")
    assert isinstance(found, Labelled)
    return found


def test_multivariate_of_unequal_length(tmp_path: Path) -> None:
    found = labelled(tmp_path, HEADER + BODY)
    np.testing.assert_array_equal(found.sequences.values[0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(found.sequences.values[1], [[7, 8], [np.nan, np.nan]])
    assert found.labels is not None and list(found.labels) == ["up", "down"]


def test_univariate_targets(tmp_path: Path) -> None:
    found = labelled(tmp_path, "@targetLabel true\n@DATA\n1,2:0.5\n3,4:-1\n")
    assert found.sequences.values[1].shape == (2, 1)
    assert found.labels is not None and list(found.labels) == [0.5, -1.0]


def test_no_labels(tmp_path: Path) -> None:
    found = labelled(tmp_path, "@classLabel false\n@data\n1,2:3,4\n")
    assert found.labels is None and found.sequences.n_features == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER, "has no line @data; it is truncated"),
        (HEADER + "@data\n", "is empty: no series follow @data"),
        ("1,2,3\n", "line 1: header lines begin with @"),
        ("@timeStamps true\n@data\n(0,1):1\n", "has time stamps, which are not read"),
        (HEADER + BODY + "1,2:1,2:left\n", "line 10 has the label 'left'; the header lists up, down"),
        (HEADER + BODY + "1,2:1:up\n", "line 10 has channels of 1 to 2 steps"),
        (HEADER + BODY + "1,2:up\n", "line 10 has 1 channels, line 8 has 2"),
        (HEADER + BODY + "1,x:1,2:up\n", "line 10, channel 1: could not convert string to float: 'x'"),
        (HEADER + BODY + ":1,2:up\n", "line 10, channel 1 is empty"),
        (HEADER + BODY + "1,2\n", "line 10 has no label after a last colon"),
    ],
)
def test_faults_are_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        labelled(tmp_path, text)
