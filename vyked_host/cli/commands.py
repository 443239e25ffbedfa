"""``vyked-host commands``: every command with where it comes from."""

from __future__ import annotations

import click

from ..errors import __version__
from . import COMMANDS, PROGRAM
from .added import added
from .printing import output_option, print_json, print_table


@click.command("commands")
@output_option
def command(output: str) -> None:
    """List every command: the host's own and those that installed plugins add.

    Plugins are imported for this; one that is broken is named on stderr and left out.
    """
    own = [{"name": name, "summary": text, "from": f"{PROGRAM} {__version__}"} for name, (_, text) in COMMANDS.items()]
    others = [{"name": each.name, "summary": each.summary, "from": each.plugin} for each in added()]
    rows = own + [each for each in others if each["name"] not in COMMANDS]
    if output == "json":
        print_json(rows)
    else:
        print_table(("COMMAND", "FROM", ""), [(each["name"], each["from"], each["summary"]) for each in rows])
