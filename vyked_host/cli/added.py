"""Commands that installed plugins add. Only here are plugins imported for the sake of the command line.

A plugin that is broken costs its own commands, never the host's: the hooks name it on stderr and go on.
"""

from __future__ import annotations

from functools import cache

import click

from ..errors import PluginError
from ..loading import Command, load


@cache
def added() -> tuple[Command, ...]:
    """What plugins add, by name. Asked once a process. VYKED_PLUGINS_DISABLE holds here too."""
    return load().hooks.commands()


def build(name: str) -> click.Command | None:
    """The click command of that name, or None when no plugin has it. Raises PluginError when it can't be built."""
    found = next((each for each in added() if each.name == name), None)
    if found is None:
        return None
    try:
        command = found.factory()
    except Exception as error:
        raise PluginError(f"{found.plugin} can't build its command {name!r}: {error!r}", plugin=found.plugin) from error
    if not isinstance(command, click.Command):
        what = f"{found.plugin}: what it gives as command {name!r} is no click command: {command!r}"
        raise PluginError(what, plugin=found.plugin)
    return command
