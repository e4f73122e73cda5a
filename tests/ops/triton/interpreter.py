"""What the tests of the Triton kernels have in common: they run in Triton's interpreter, in a process of their own."""

import os
from importlib.util import find_spec

import pytest

COMMAND = "TRITON_INTERPRET=1 pytest tests/ops/triton"
installed = find_spec("triton") is not None or bool(os.environ.get("CI"))

needs_interpreter = pytest.mark.skipif(
    not installed or os.environ.get("TRITON_INTERPRET") != "1",
    reason=f"these kernels are interpreted: pip install triton, then {COMMAND}",
)
needs_compiler = pytest.mark.skipif(
    not installed or os.environ.get("TRITON_INTERPRET") == "1",
    reason="these kernels are compiled: pip install triton, and do not set TRITON_INTERPRET",
)
