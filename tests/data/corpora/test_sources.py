"""Sources: fetched from a package, checked, and there whole or not at all."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carousel.data import DataError
from carousel.data.corpora import SOURCES, fetch, folder_of, sources


def package(files: dict[str, bytes]) -> bytes:
    """A Debian package of these files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": content.getvalue()}
    found = b"!<arch>\n"
    for name, data in members.items():
        found += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return found


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package file of a source `toy`, and an empty place for data."""
    files = {"usr/share/toy/wav/a.wav": b"sound", "usr/share/doc/toy/copyright": b"free", "etc/passwd": b"no"}
    (tmp_path / "toy.deb").write_bytes(package(files))
    checksum = hashlib.sha256((tmp_path / "toy.deb").read_bytes()).hexdigest()
    source = replace(SOURCES["festvox-ru"], package="toy", sha256=checksum, inside="usr/share/toy", megabytes=1)
    monkeypatch.setitem(SOURCES, "toy", source)
    monkeypatch.setenv("CAROUSEL_DATA", str(tmp_path / "data"))
    return tmp_path / "toy.deb"


def test_a_package_is_unpacked(toy: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"toy is not here: 1 MB, licence like BSD; .*fetch\('toy'\)"):
        folder_of("toy")
    folder = fetch("toy", toy)
    assert folder == folder_of("toy") == toy.parent / "data" / "toy"
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"a.wav", "copyright"}
    assert (folder / "wav" / "a.wav").read_bytes() == b"sound"
    toy.unlink()
    assert fetch("toy", toy) == folder


def test_two_processes_fetch_the_same(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*given: Any) -> None:
        monkeypatch.setattr(sources, "_unpack", unpack)
        fetch("toy", toy)
        unpack(*given)

    unpack = sources._unpack
    monkeypatch.setattr(sources, "_unpack", slow)
    folder = fetch("toy", toy)
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"a.wav", "copyright"}
    assert {path.name for path in folder.iterdir()} == {"wav", "copyright"} and list(folder.parent.iterdir()) == [
        folder
    ]


def test_another_file_is_refused_and_leaves_nothing(toy: Path) -> None:
    toy.write_bytes(toy.read_bytes() + b"!")
    with pytest.raises(DataError, match="not that of toy_"):
        fetch("toy", toy)
    assert list((toy.parent / "data").iterdir()) == []


def test_a_file_that_is_no_package(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.write_bytes(b"nothing")
    changed = replace(SOURCES["toy"], sha256=hashlib.sha256(b"nothing").hexdigest())
    monkeypatch.setitem(SOURCES, "toy", changed)
    with pytest.raises(DataError, match="no Debian package"):
        fetch("toy", toy)
    assert list((toy.parent / "data").iterdir()) == []


@pytest.mark.usefixtures("toy")
def test_what_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(OSError, match="there is no apt-get to download toy; get https://"):
        fetch("toy")
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(
        "subprocess.run", lambda *a, **k: __import__("types").SimpleNamespace(returncode=1, stderr="away")
    )
    with pytest.raises(OSError, match="failed: away"):
        fetch("toy")


def test_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="no source is called 'timit'; there are festvox-ru"):
        fetch("timit")


def test_every_source_says_its_licence() -> None:
    assert all(source.licence and len(source.sha256) == 64 for source in SOURCES.values())
