"""In which words: the command line. Each command is one short file, imported when it is called."""

from carousel.cli.app import app, main

__all__ = ["app", "main"]
