"""The compiled extension, if it was built: `module`, or None; what it holds says `_cpu.pyi`."""

missing: str | None = None
"""Why there is none."""

try:
    import carousel.ops.cpu._cpu as _cpu
except ImportError as error:
    missing = f"the compiled extension is not there ({error}); install carousel where there is a C++ compiler"
    module = None
else:
    module = _cpu
