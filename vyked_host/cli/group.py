"""A click group whose commands are imported when they are used, and which asks plugins only for names that are not its own."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """`built_in`: name -> (``module:attribute`` of its click command, its line of help)."""

    def __init__(self, *args: Any, built_in: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._built_in = dict(built_in)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the host's own commands, in the order in which a person meets them."""
        return list(self._built_in)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now: the host's own, else a plugin's. Raises PluginError when a plugin can't build it."""
        if cmd_name in self._built_in:
            module, _, attribute = self._built_in[cmd_name][0].partition(":")
            return cast("click.Command", getattr(import_module(module), attribute))
        if cmd_name.startswith("-"):
            return None
        from .added import build

        return build(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but what is unknown is told with what it may have been."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(self._unknown(args[0]), ctx)
        return super().resolve_command(ctx, args)

    def _unknown(self, name: str) -> str:
        from .added import added

        known = [*self._built_in, *(each.name for each in added())]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        return f"no command {name!r}; {hint}"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in ``--help``, from the table: nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._built_in.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands for a shell, from the table likewise."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in self._built_in.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)
