"""Where published data come from, under which licence, and where they lie once they were fetched.

Nothing is fetched unless `fetch` is called.
"""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from carousel.data.errors import DataError

MIRROR = "https://deb.debian.org/debian/pool/main"


@dataclass(frozen=True)
class Source:
    """A Debian package that holds data.

    package, version, sha256: the package, checked before it is opened. inside: the folder in it that is kept; its
    copyright file is kept beside. installed: where `apt-get install` puts that folder.
    megabytes: of the download. licence: in a word; the whole of it is in the copyright file.
    """

    package: str
    version: str
    sha256: str
    inside: str
    megabytes: int
    licence: str

    @property
    def file(self) -> str:
        """The package's file name."""
        return f"{self.package}_{self.version}_all.deb"

    @property
    def installed(self) -> Path:
        """Where the system's own installation has it."""
        return Path("/") / self.inside


def _asterisk(language: str, sha256: str, megabytes: int) -> Source:
    package = f"asterisk-core-sounds-{language}-wav"
    voices = {"en": "en_US_f_Allison", "es": "es_MX_f_Allison", "fr": "fr_CA_f_June", "it": "it_IT_m_Carlo"}
    inside = f"usr/share/asterisk/sounds/{voices.get(language, 'ru_RU_f_IvrvoiceRU')}"
    return Source(package, "1.6.1-1", sha256, inside, megabytes, "CC-BY-SA-3.0")


SOURCES = {
    "festvox-ru": Source(
        "festvox-ru",
        "0.5+dfsg-6",
        "21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4",
        "usr/share/festival/voices/russian/msu_ru_nsh_clunits",
        179,
        "like BSD",
    ),
    "asterisk-en": _asterisk("en", "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d", 18),
    "asterisk-es": _asterisk("es", "9283a09a6d56fccdcc2bcfe86c48f0f844289cfbd46a3184d8785a6f7f569903", 24),
    "asterisk-fr": _asterisk("fr", "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e", 19),
    "asterisk-it": _asterisk("it", "5a26638089e134b8ac39363fe249c5c93c50cd8bfdc9b2499ae61ec4a35e2fcb", 18),
    "asterisk-ru": _asterisk("ru", "ccbfaebfa450b7a9ddf644ae0f3d1e9017d5df7c0aebe816e946345589d38201", 19),
}


def folder_of(name: str) -> Path:
    """The folder of a source's data: fetched before, or installed by the system.

    Raises ValueError for an unknown name, FileNotFoundError, which says how to fetch it, where it is not here.
    """
    source = _source(name)
    for folder in (kept(name), source.installed):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"{name} is not here: {source.megabytes} MB, licence {source.licence}; "
        f"carousel.data.corpora.fetch({name!r}) fetches it"
    )


def fetch(name: str, package: str | Path | None = None) -> Path:
    """Fetch a source's data, unless they are here, and return their folder.

    package: the file, where it was downloaded already; else `apt-get download` gets it.
    Data lie under $CAROUSEL_DATA, or the user's cache folder. They are there whole or not at all.

    Raises ValueError for an unknown name, DataError for a file with another checksum, OSError where it cannot be got.
    """
    source, target = _source(name), kept(name)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}.") as work:
        file = _downloaded(source, Path(work)) if package is None else Path(package)
        _check(file, source)
        unpacked = Path(work) / "unpacked"
        _unpack(file, source, unpacked)
        _put(unpacked, target)
    return target


def _put(folder: Path, target: Path) -> None:
    """Move a whole folder to its place, unless another process has put the same there meanwhile."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise ValueError(f"no source is called {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name]


def kept(name: str) -> Path:
    """Where what was fetched or made once is kept: under $CAROUSEL_DATA, or the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("CAROUSEL_DATA") or Path(cache) / "carousel") / name


def _downloaded(source: Source, folder: Path) -> Path:
    by_hand = f"{MIRROR}/{source.package[0]}/.../{source.file}, then fetch(..., package=FILE)"
    if shutil.which("apt-get") is None:
        raise OSError(f"there is no apt-get to download {source.package}; get {by_hand}")
    command = ["apt-get", "-q", "download", f"{source.package}={source.version}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.deb"))
    if done.returncode or not found:
        raise OSError(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}; apt-get update, or get {by_hand}")
    return found[0]


def _check(file: Path, source: Source) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != source.sha256:
        raise DataError(f"{file.name} has the checksum {found}, not that of {source.file}, {source.sha256}")


def _unpack(file: Path, source: Source, target: Path) -> None:
    """Take the folder and the copyright file out of a package."""
    target.mkdir()
    wanted, licence = PurePosixPath(source.inside), PurePosixPath(f"usr/share/doc/{source.package}/copyright")
    with tarfile.open(fileobj=io.BytesIO(_member(file, "data.tar")), mode="r:*") as archive:
        for entry in archive:
            path = PurePosixPath(entry.name)
            if not entry.isfile() or not (path == licence or path.is_relative_to(wanted)):
                continue
            place = target / ("copyright" if path == licence else path.relative_to(wanted))
            place.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(entry)
            assert content is not None
            place.write_bytes(content.read())


def _member(file: Path, name: str) -> bytes:
    """The member of an `ar` archive whose name begins so. Raises DataError where there is none."""
    content = file.read_bytes()
    at = 8
    while content.startswith(b"!<arch>\n") and at + 60 <= len(content):
        title, size = content[at : at + 16].decode().strip().rstrip("/"), int(content[at + 48 : at + 58])
        if title.startswith(name):
            return content[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise DataError(f"{file.name} is no Debian package: it holds no {name}")
