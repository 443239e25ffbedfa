"""What a person sees when a command fails: one line that says what to do, on stderr, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback

import click

from ..errors import EXIT_FAILED, ConfigError, Unfit, VykedError

DEBUG = "VYKED_DEBUG"


def colours() -> bool | None:
    """False where NO_COLOR is set (https://no-color.org); None: click decides by the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def told(error: BaseException) -> int:
    """Say what went wrong and return the exit code for it."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        say("stopped")
        return EXIT_FAILED
    if isinstance(error, BrokenPipeError):
        return _nobody_reads()
    if os.environ.get(DEBUG) not in (None, "", "0"):
        traceback.print_exception(error)
    return _vyked(error) if isinstance(error, VykedError) else _unexpected(error)


def say(text: str) -> None:
    """Words for the person: to stderr."""
    click.echo(f"vyked-host: {text}", err=True, color=colours())


def _vyked(error: VykedError) -> int:
    if isinstance(error, ConfigError | Unfit) and error.problems:
        from ..config import as_text

        click.echo(as_text(error.problems), err=True)
        say(str(error.args[0]))  # its str() lists the problems again, for those who only log it
        return error.exit_code
    say(str(error) or type(error).__name__)
    return error.exit_code


def _unexpected(error: BaseException) -> int:
    kind, text = type(error).__name__, " ".join(str(error).split())
    say(f"unexpected {kind}: {text}; this is a fault of vyked-host, {DEBUG}=1 shows where it happened")
    return EXIT_FAILED


def _nobody_reads() -> int:
    """``vyked-host ... | head``: Python would complain once more when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_FAILED
