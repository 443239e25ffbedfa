"""``vyked-host completion``: what a shell has to evaluate so that it completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ..errors import UsageError

_VARIABLE = "_VYKED_HOST_COMPLETE"


@click.command("completion", epilog="\b\nAdd to your shell's start-up file:\n  bash, zsh: eval \"$(vyked-host completion bash)\"\n  fish: vyked-host completion fish | source")  # fmt: skip
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL."""
    from . import PROGRAM, group

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"this version of click has no completion for {shell}")
    complete = kind(group, {}, PROGRAM, _VARIABLE)
    # not complete.source(): for bash that starts a shell to ask for its version
    click.echo(complete.source_template % complete.source_vars())
