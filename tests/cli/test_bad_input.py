"""Every bad input by name: one clear sentence, an exit code, and no file that was not there before."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from carousel.cli.runs import CHECKPOINT
from tests.cli.calls import QUICK, Call, names

LONG_TABLE = "steps.csv --series who --time when"
Make = Callable[[Path], None]


def rows(text: str, name: str = "bad.csv") -> Make:
    return lambda here: write(here / name, text.replace(" ", "\n"))


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def edited(old: str, new: str, name: str = "steps.csv") -> Make:
    def edit(here: Path) -> None:
        path = here / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    return edit


def sequence(text: str) -> Make:
    return rows(text, "classes/up/00.csv")


def pickled(here: Path) -> None:
    np.savez(here / "bad.npz", X=np.array([{}, []], dtype=object))


def bomb(here: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 1, 1)})
    with zipfile.ZipFile(here / "bad.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", header.getvalue() + bytes(64))
    content = bytearray((here / "bad.npz").read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (2**32 - 2).to_bytes(4, "little")
    (here / "bad.npz").write_bytes(bytes(content))


def torn(here: Path) -> None:
    pl.DataFrame({"a": list(range(1000))}).write_parquet(here / "bad.parquet")
    (here / "bad.parquet").write_bytes((here / "bad.parquet").read_bytes()[:500])


def one_class(here: Path) -> None:
    for path in (here / "classes" / "down").iterdir():
        path.unlink()
    (here / "classes" / "down").rmdir()


def nothing(here: Path) -> None:
    """No further file."""


FITS: dict[str, tuple[str, Make, int, str]] = {
    "no such file": ("classify nowhere", nothing, 1, "there is no file or folder nowhere"),
    "another kind of file": ("classify notes.txt", rows("a", "notes.txt"), 1, "files that are read end in .csv"),
    "empty file": ("classify bad.csv --label a", rows(""), 1, "bad.csv is empty: it has 0 bytes"),
    "header alone": ("classify bad.csv --label a", rows("a,b "), 1, "bad.csv has a header but no rows"),
    "empty folder": ("classify bad", lambda here: (here / "bad").mkdir(), 1, "bad is empty: it has no file"),
    "empty series": ("classify classes", sequence("a,b "), 1, "classes/up/00.csv has a header but no rows"),
    "NaN": ("classify classes", sequence("a,b 1,2 ,2"), 1, "series 'up/00.csv' of X contains NaN at row 1, column 'a'"),
    "infinity": ("classify classes", sequence("a,b 1,inf 1,2"), 1, "contains infinity"),
    "text for a number": (
        "classify classes",
        sequence("a,b 1,2 1,high"),
        1,
        "has text 'high' at line 3 where a number",
    ),
    "renamed column": ("classify classes", sequence("a,c 1,2 1,2"), 1, "00.csv has the columns"),
    "column twice": ("classify classes", sequence("a,a 1,2 1,2"), 1, "named 'a'"),
    "one class only": ("classify classes", one_class, 1, "y has one class only (up)"),
    "no labels": (
        "classify table.npz",
        lambda here: np.savez(here / "table.npz", X=np.ones((20, 3, 1))),
        1,
        "has no labels",
    ),
    "a table without a label": (LONG_TABLE, nothing, 1, "name the column to learn by --label; it has who, when, x"),
    "a label that is missing": (
        f"{LONG_TABLE} --label signe",
        nothing,
        1,
        "has no column 'signe'; did you mean 'sign'?",
    ),
    "a label that changes": (f"{LONG_TABLE} --label sign", nothing, 1, "has the labels"),
    "a label that is text": (f"regress {LONG_TABLE} --label kind", edited("sign", "kind"), 1, "has the labels"),
    "unsorted times": (
        f"label {LONG_TABLE} --label sign --ignore total",
        edited("s3,4,", "s3,1.5,"),
        1,
        "is not sorted",
    ),
    "a time twice": (f"label {LONG_TABLE} --label sign --ignore total", edited("s3,4,", "s3,3,"), 1, "has 3 twice"),
    "a gap": (
        f"label {LONG_TABLE} --label sign --ignore total",
        edited("s3,6,", "s3,9,"),
        1,
        "leaves out 3 of its steps",
    ),
    "too few series": ("classify bad.csv --label a", rows("a,b 1,2"), 1, "cannot be held out to test on"),
    "wrong encoding": (
        "classify bad.csv --label a",
        lambda here: write(here / "bad.csv", "a\nMünchen\n".encode("latin-1")),
        1,
        "UTF-8",
    ),
    "torn Parquet": ("classify bad.parquet --label a", torn, 1, "bad.parquet is truncated or damaged"),
    "pickled objects": ("classify bad.npz", pickled, 1, "holds pickled objects, which are never loaded"),
    "zip bomb": ("classify bad.npz", bomb, 1, "bad.npz"),
    "a setting that is not there": (
        "classify classes --set hiden_size=3",
        nothing,
        2,
        "no setting 'hiden_size'; did you mean 'hidden_size'?",
    ),
    "a setting of the wrong type": (
        "classify classes --set hidden_size=big",
        nothing,
        2,
        "hidden_size is 'big'; it takes an integer (memory cells",
    ),
    "a setting out of range": (
        "classify classes --hidden-size 0",
        nothing,
        2,
        "hidden_size is 0; it must be 1 or more",
    ),
    "a choice that is not there": (
        "classify classes --pool middle",
        nothing,
        2,
        "pool is 'middle'; it can be 'last', 'mean'",
    ),
    "a setting inside a number": ("classify classes --set hidden_size.a=1", nothing, 2, "hidden_size"),
    "no equals sign": ("classify classes --set hidden_size", nothing, 2, "write it as name=value"),
    "a cell that is not there": (
        "classify classes --cell gru",
        nothing,
        1,
        "no cell is called 'gru'; the table has lstm",
    ),
    "a method that is not there": (
        "classify classes --method magic",
        nothing,
        1,
        "no learning method is called 'magic'",
    ),
    "an option that the LSTM does not have": (
        "classify classes --set lstm_options.nrom=1",
        nothing,
        1,
        "lstm_options has 'nrom', which carousel.LSTM does not take",
    ),
    "a device that is not there": (
        "classify classes --device abacus",
        nothing,
        2,
        "device is 'abacus'; this machine has cpu",
    ),
    "no settings file": ("classify classes --config no.yaml", nothing, 1, "no.yaml: there is no such file or folder"),
    "settings that are no YAML": (
        "classify classes --config bad.yaml",
        rows("a: [", "bad.yaml"),
        2,
        "bad.yaml is no YAML",
    ),
    "settings that are a list": (
        "classify classes --config bad.yaml",
        rows("[1]", "bad.yaml"),
        2,
        "bad.yaml holds no settings",
    ),
    "a setting twice": (
        "classify classes --config bad.yaml",
        lambda here: write(here / "bad.yaml", "a: 1\na: 2\n"),
        2,
        "'a' is set twice",
    ),
    "settings of another task": (
        "classify classes --config bad.yaml",
        lambda here: write(here / "bad.yaml", "task: regress\n"),
        2,
        "is for `fit regress`",
    ),
    "an output that is a file": ("classify classes --out steps.csv", nothing, 2, "--out steps.csv is a file"),
}


@pytest.mark.parametrize("case", FITS)
def test_a_fit_says_what_is_wrong(call: Call, here: Path, classes: Path, steps: Path, case: str) -> None:
    words, make, code, sentence = FITS[case]
    make(here)
    task = () if words.split()[0] in ("classify", "regress", "label") else ("classify",)
    before = names(here)
    found = call("fit", *task, *words.split(), *(() if "hidden" in words else QUICK))
    assert sentence in found.stderr
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
    assert found.exit_code == code
    assert found.stdout == ""
    assert names(here) == before


def without(name: str) -> Make:
    return lambda here: (here / "r" / name).unlink()


def config(**changes: object) -> Make:
    def change(here: Path) -> None:
        path = here / "r" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return change


def cut(name: str) -> Make:
    return lambda here: write(here / "r" / name, (here / "r" / name).read_bytes()[:50])


USES: dict[str, tuple[str, Make, int, str]] = {
    "no run": ("predict nowhere classes", nothing, 1, "there is no directory nowhere"),
    "no data": ("predict r nowhere", nothing, 1, "there is no file or folder nowhere"),
    "a folder that is not there": ("predict r classes -o no/p.csv", nothing, 2, "there is no folder no"),
    "no weights": ("predict r classes", without("model.safetensors"), 1, "r has no file model.safetensors"),
    "no settings": ("predict r classes", without("config.yaml"), 2, "r has no config.yaml"),
    "truncated weights": ("predict r classes", cut("model.safetensors"), 1, "model.safetensors is damaged"),
    "truncated settings": ("evaluate r classes", cut("config.json"), 1, "config.json is damaged"),
    "a newer version": ("predict r classes", config(format=99), 1, "upgrade carousel"),
    "an unknown class": ("predict r classes", config(**{"class": "os.system"}), 1, "names the class 'os.system'"),
    "a crafted path": (
        "predict r classes",
        config(parameters={"path": "/etc/passwd"}),
        1,
        "disagrees with the parameters",
    ),
    "other columns": ("predict r bad", rows("a,c 1,2", "bad/1.csv"), 1, "a, c"),
    "fewer columns": ("predict r bad", rows("a 1", "bad/1.csv"), 1, "has 1 features a step"),
    "a class unseen in training": (
        "evaluate r bad",
        rows("a,b 1,2 3,4", "bad/left/1.csv"),
        1,
        "class left at position 0, unseen in training",
    ),
    "no answers": ("evaluate r bad", rows("a,b 1,2", "bad/1.csv"), 1, "bad has no labels"),
    "no findings": ("report r", without("report.json"), 1, "r has no report.json"),
    "damaged findings": ("report r", cut("report.json"), 1, "r/report.json"),
    "no run to report": ("report nowhere", nothing, 1, "there is no directory nowhere"),
}


@pytest.fixture
def run(call: Call, classes: Path) -> Path:
    assert call("fit", "classify", classes, "--out", "r", *QUICK).exit_code == 0
    return Path("r")


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("case", USES)
def test_using_a_run_says_what_is_wrong(call: Call, here: Path, case: str) -> None:
    words, make, code, sentence = USES[case]
    make(here)
    before = names(here)
    found = call(*words.split())
    assert sentence in found.stderr
    assert found.stderr.count("\n") == 1
    assert found.exit_code == code
    assert found.stdout == ""
    assert names(here) == before


@pytest.mark.usefixtures("run")
def test_a_damaged_checkpoint_is_refused(call: Call, here: Path) -> None:
    write(here / "r" / CHECKPOINT, "no checkpoint")
    found = call("fit", "classify", "--out", "r", "--resume")
    assert found.exit_code == 1
    assert "is not a readable checkpoint" in found.stderr
