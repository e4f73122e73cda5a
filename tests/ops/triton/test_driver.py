"""Launches as they reach a driver, through Triton's own launcher; needs Triton and a C compiler, no processor."""

import json
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from tests.ops.triton.interpreter import needs_compiler

pytestmark = [needs_compiler, pytest.mark.slow]

WRITTEN = Path(__file__).with_name("driver.c")
FORTH, BACK = range(5), range(4, -1, -1)
Launches = dict[str, list[list[int]]]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Launches:
    """Tiles of sequences and cells, whether all programs run at once, and the step, of each launch."""
    import triton.backends.nvidia as nvidia  # pyright: ignore[reportMissingImports]

    folder, own = tmp_path_factory.mktemp("driver"), WRITTEN.read_text(encoding="utf-8")
    texts = [path.read_text(encoding="utf-8") for path in Path(nvidia.__file__).parent.glob("driver.*")]
    names = set(re.findall(r"\bcu[A-Z]\w+", " ".join(texts))) - set(re.findall(r"\bcu[A-Z]\w+", own))
    source, library = folder / "driver.c", folder / "libcuda.so.1"
    source.write_text(own + "".join(f"int {name}(void) {{ return 0; }}\n" for name in sorted(names)), encoding="utf-8")
    subprocess.run(["cc", "-shared", "-fPIC", f"-Wl,-soname,{library.name}", source, "-o", library], check=True)
    (folder / "libcuda.so").symlink_to(library)
    where = {
        "TRITON_LIBCUDA_PATH": str(folder),
        "LD_LIBRARY_PATH": str(folder),
        "TRITON_CACHE_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "-W", "ignore", "-m", "tests.ops.triton.without_a_chip", str(library)]
    done = subprocess.run(command, env=os.environ | where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_a_launch_for_each_step(launched: Launches) -> None:
    there, back = [[2, 3, 0, t] for t in FORTH], [[2, 3, 0, t] for t in BACK]
    assert launched["lstm, 0"] == [*there, *back, [2, 3, 0, 0]]


@pytest.mark.parametrize(("tier", "launch"), [(1, [2, 1, 0, 5]), (2, [2, 3, 1, 5])])
def test_all_steps_in_one_launch(tier: int, launch: list[int], launched: Launches) -> None:
    assert launched[f"lstm, {tier}"] == [launch, launch]


def test_backwards_through_a_projection(launched: Launches) -> None:
    found = launched["full_gate_recurrence, 0"]
    assert [step for _, _, _, step in found] == [*chain.from_iterable((t, t) for t in (*BACK, *FORTH)), 4]


def test_products_under_layer_norm_go_before_the_steps(launched: Launches) -> None:
    """A program has all cells of a sequence."""
    found = launched["lstm with ba2016, 0"]
    assert found[:4] == [[2, 3, 0, 0], [20, 1, 0, 0], [2, 3, 0, 1], [20, 1, 0, 1]]
    assert len(found) == 10 + 5 + 4 + 2
