"""Errors as one line on stderr and an exit code: 2 for a wrong call, 1 for a failure, 130 for Ctrl-C."""

import errno
import os
import sys
import traceback
from typing import Any

import typer

from carousel.cli.memory import lack_of_memory

USAGE, FAILURE, INTERRUPTED = 2, 1, 130
CALL_ERRORS = typer.BadParameter.__mro__[2]
"""What typer raises for a call that it cannot read, in every version: the base class of BadParameter's base."""

_FREE = "free some space and call again, a fit with --resume (nothing that was complete is lost)"
_WORDED = (ValueError, TypeError, OSError, ImportError, ArithmeticError, NotImplementedError)


class UsageError(Exception):
    """A call that asks for something that does not exist or contradicts itself."""


class Interrupted(Exception):
    """Training was stopped by Ctrl-C; the message says what became of it."""


def exit_code(error: BaseException) -> int:
    """The exit code that an error ends with."""
    if isinstance(error, KeyboardInterrupt | Interrupted):
        return INTERRUPTED
    if isinstance(error, CALL_ERRORS | UsageError):
        return USAGE
    return FAILURE


def sentence(error: BaseException) -> str:
    """What went wrong, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, CALL_ERRORS):
        return _call(error)
    if isinstance(error, KeyboardInterrupt):
        return "stopped"
    if (lack := lack_of_memory(error)) is not None:
        return f"not enough memory: {lack}; take a smaller batch_size, a shorter context or fewer units"
    if isinstance(error, MemoryError) and text:
        return text
    if isinstance(error, OSError):
        return _system(error)
    if os.strerror(errno.ENOSPC) in str(error):
        return f"the disk is full; {_FREE}"
    if isinstance(error, (*_WORDED, UsageError, Interrupted)) and text:
        return text
    return f"{type(error).__name__}: {text}; this is a fault of carousel, --debug shows where"


def report(error: BaseException, debug: bool) -> int:
    """Say what went wrong on stderr, with the trace when debugging; returns the exit code."""
    if debug:
        traceback.print_exception(error)
    name = "stopped" if exit_code(error) == INTERRUPTED else "error"
    text = sentence(error)
    print(text if text == name else f"{name}: {text}", file=sys.stderr)
    return exit_code(error)


def _call(error: Any) -> str:
    """The message of a wrong call, with the command whose help would tell more."""
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", None) or "carousel"
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{message}; see `{path} --help`"


def _system(error: OSError) -> str:
    if error.filename is None and error.errno is not None and error.strerror not in (None, os.strerror(error.errno)):
        return str(error.strerror)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" while writing {error.filename}" if error.filename else ""
        return f"the disk is full{where}; {_FREE}"
    if error.errno is None or error.filename is None:
        return " ".join(str(error).split())
    reason = {errno.ENOENT: "there is no such file or folder", errno.EACCES: "permission is missing"}
    return f"{error.filename}: {reason.get(error.errno, error.strerror)}"
