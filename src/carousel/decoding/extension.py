"""The compiled decoders, if they were built: `module`, or None, and then plain Python decodes; what it holds says
`_decoding.pyi`."""

missing: str | None = None
"""Why there are none."""

try:
    import carousel.decoding._decoding as _decoding
except ImportError as error:
    missing = f"the compiled decoders are not there ({error}); install carousel where there is a C++ compiler"
    module = None
else:
    module = _decoding
