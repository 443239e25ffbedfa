"""The command line. Importing this package costs little more than click itself: a command is imported when it is given.

Rules of every command: data on stdout, words on stderr; ``-o json`` where something is read; exit codes are those of
:mod:`vyked_host.errors`; a fault is one line, its traceback is shown with VYKED_DEBUG=1.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..errors import EXIT_FAILED, EXIT_OK, __version__
from .group import LazyGroup

PROGRAM = "vyked-host"

COMMANDS = {
    "run": ("vyked_host.cli.run:command", "Serve what a vyked.toml says, or one service class."),
    "check": ("vyked_host.cli.check:command", "Print every fault of a vyked.toml; start nothing."),
    "call": ("vyked_host.cli.call:command", "Call a method of a running service."),
    "bench": ("vyked_host.cli.bench:command", "Load on a method of a running service: throughput and latencies."),
    "ps": ("vyked_host.cli.ps:command", "Who runs where: status, calls that run, the loop's lag."),
    "publish": ("vyked_host.cli.publish:command", "Publish an event, or many."),
    "tail": ("vyked_host.cli.tail:command", "Print events as they come."),
    "failures": ("vyked_host.cli.failed:command", "The last calls and deliveries that failed."),
    "why": ("vyked_host.cli.why:command", "Why a service is not active, a call failed, an event was not handled."),
    "dlq": ("vyked_host.cli.dlq:command", "Events that handlers gave up on: list, show, replay, purge; end a group."),
    "drain": ("vyked_host.cli.drain:command", "End one host of the mesh, gracefully."),
    "registry": ("vyked_host.cli.registry:command", "Look at the registry, or hold it alone."),
    "services": ("vyked_host.cli.services:command", "What the services of a vyked.toml offer, or which are installed."),
    "plugins": ("vyked_host.cli.plugins:command", "What installed packages add to the host, and its state."),
    "config": ("vyked_host.cli.config:command", "The effective settings, their origins, their schema."),
    "new": ("vyked_host.cli.new:command", "Begin a project, a service or a plugin."),
    "doctor": ("vyked_host.cli.doctor:command", "Look at this machine and this folder for what would be in the way."),
    "commands": ("vyked_host.cli.commands:command", "Every command, those of plugins too."),
    "completion": ("vyked_host.cli.completion:command", "The script that lets a shell complete commands."),
}
"""Name -> where the click command is, and its line in ``--help``."""

EPILOG = """\b
Begin here:
  vyked-host new project shop    a service, its test and its vyked.toml
  vyked-host run                 serve ./vyked.toml until Ctrl+C
  vyked-host call hello.greet name=ada
"""


@click.command(
    cls=LazyGroup,
    built_in=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def group() -> None:
    """Write a service as one Python class; run it alone, beside others, or on many machines.

    COMMAND --help explains each; plugins may add more: `vyked-host commands`.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. `arguments` None: those of the process."""
    from .failures import colours, told

    try:
        code = group.main(arguments, prog_name=PROGRAM, standalone_mode=False, color=colours())
    except SystemExit as ended:
        return _code(ended.code)
    except BaseException as error:  # noqa: BLE001 - the edge of the program: whatever it is becomes words and an exit code
        return told(error)
    return _code(code)


def _code(found: object) -> int:
    if found is None:
        return EXIT_OK
    return found if isinstance(found, int) else EXIT_FAILED
