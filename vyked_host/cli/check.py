"""``vyked-host check``: every fault of the file at once, and nothing started."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from typing import TextIO

import click

from ..assembly.prepare import DEFAULT_FILE, VARIABLE, prepare
from ..config import FORMATS, Loaded, count
from ..errors import EXIT_CONFIG, EXIT_OK, EXIT_START
from .sources import PluginsCommand, no_plugins_option, set_option


def say(text: str, stream: TextIO) -> None:
    """`text` as a line of `stream`; what its encoding does not have is written as an escape."""
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def chosen(file: str | None) -> str:
    """The file that is meant: the given one, VYKED_CONFIG, ./vyked.toml - also when it is not there, which is a fault."""
    return file or os.environ.get(VARIABLE) or DEFAULT_FILE


def _summary(loaded: Loaded) -> str:
    found = {noun: number for noun, number in count(loaded.problems).items() if number}
    words = [f"{number} {noun if number > 1 else noun[:-1]}" for noun, number in found.items()]
    if words:
        return f"{', '.join(words)} in {loaded.file}"
    settings = loaded.settings
    return f"{loaded.file} is right: services {_list(settings.services)}; transports {_list(settings.transports)}"


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def exit_code(loaded: Loaded) -> int:
    """0: right; 4: the file is wrong; 3: the file is right, a plugin that it uses is broken."""
    if not loaded.errors:
        return EXIT_OK
    return EXIT_START if all(problem.plugin for problem in loaded.errors) else EXIT_CONFIG


@click.command("check", cls=PluginsCommand)
@click.argument("file", required=False)
@click.option("--config", "config_file", metavar="FILE", help="The file, when it is not the argument.")
@set_option
@no_plugins_option
@click.option(
    "-o", "--output", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="Form of the faults."
)
def command(
    file: str | None, config_file: str | None, overrides: tuple[str, ...], no_plugins: bool | Collection[str], output: str
) -> None:  # fmt: skip
    """Check FILE (default: VYKED_CONFIG, else ./vyked.toml) and print everything that is wrong in it.

    Plugins and services that it names are imported; nothing is bound, opened or started. Exit code 0: right, 4: the file
    is wrong, 3: a plugin that it uses is broken.
    """
    loaded = prepare(chosen(file or config_file), overrides=overrides, no_plugins=no_plugins).loaded
    if loaded.problems or output == "json":
        say(FORMATS[output](loaded.problems), sys.stdout)
    say(_summary(loaded), sys.stderr)
    sys.exit(exit_code(loaded))
