"""The network that the demo learns by itself: kept whole, found again, learned again where it is damaged."""

import os
from pathlib import Path

import pytest

from carousel.cli.demo import digits
from carousel.cli.errors import Interrupted
from carousel.cli.progress import Training


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and a recipe that takes no time."""
    monkeypatch.delenv("CAROUSEL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digits, "LEARNING", {**digits.LEARNING, "hidden_size": 2, "max_epochs": 1})
    return tmp_path / "cache" / "carousel"


def test_it_is_learned_once(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = digits.digit_reader(40)
    said = capsys.readouterr().err
    assert "learning to read digits, once: 40 strings" in said
    (folder,) = cache.iterdir()
    assert f"kept in {folder}" in said
    again = digits.digit_reader(40)
    assert capsys.readouterr().err == ""
    assert (again.network_.head.output.weight == first.network_.head.output.weight).all()
    assert digits._folder(41) != folder


def test_a_damaged_one_is_learned_again(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits.digit_reader(40)
    (folder,) = cache.iterdir()
    (folder / "model.safetensors").write_bytes(b"half")
    capsys.readouterr()
    digits.digit_reader(40)
    assert "cannot be used, and is learned again" in capsys.readouterr().err
    digits.digit_reader(40)
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no folder that nobody may write to")
def test_where_nothing_can_be_kept_it_reads_all_the_same(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be", encoding="utf-8")
    assert digits.digit_reader(40).alphabet_.symbols == tuple("0123456789")
    assert "could not be kept" in capsys.readouterr().err


def test_what_was_broken_off_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "train", lambda reports, shown: Training(next(reports), interrupted=True))
    with pytest.raises(Interrupted, match="not learned to the end"):
        digits.digit_reader(40)
    assert not cache.exists()
