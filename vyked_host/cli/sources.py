"""Which vyked.toml a command means, and the flags that change it for once."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ..assembly.prepare import Prepared, find, prepare
from ..errors import ConfigError, UsageError
from ..model import names

F = TypeVar("F", bound=Callable[..., Any])
_BARE, _ALL = "--no-plugins", "all"


def set_option(function: F) -> F:
    """``--set key=value``, as often as wanted; given to the command as `overrides`."""
    text = "Replace one value of the file, such as transports.http.port=0."
    return click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help=text)(function)


def no_plugins_option(function: F) -> F:
    """``--no-plugins[=NAME,NAME]``, given to the command as `no_plugins`; the command has to be a `PluginsCommand`."""
    text = "Leave out these plugins; without names, all but vyked-host's own."
    return click.option(_BARE, "no_plugins", metavar="[=NAME,...]", callback=_wish, help=text)(function)


def _wish(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> bool | tuple[str, ...]:
    if value is None:
        return False
    return True if value == _ALL else tuple(part.strip() for part in value.split(",") if part.strip())


class PluginsCommand(click.Command):
    """A command with ``--no-plugins``: click would take the word after it for its value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the bare option's value filled in."""
        return super().parse_args(ctx, [f"{_BARE}={_ALL}" if each == _BARE else each for each in args])


def is_reference(source: str) -> bool:
    """Is it ``module:Class``, not a file?"""
    module, colon, attribute = source.partition(":")
    return bool(colon and module and attribute.isidentifier()) and not Path(source).exists()


def prepared(
    source: str | None, overrides: Sequence[str] = (), no_plugins: bool | Collection[str] = False
) -> Prepared:  # fmt: skip
    """The file meant by `source` (None: VYKED_CONFIG, else ./vyked.toml), or one class, with nothing but defaults around
    it. Raises UsageError when there is no file at all, ConfigError when that class can't be served."""
    if source is not None and is_reference(source):
        ready = prepare(None, text=_alone(source), overrides=overrides, no_plugins=no_plugins)
        if ready.loaded.errors:  # places in a file that nobody wrote would only puzzle
            raise ConfigError(f"{source}: {'; '.join(each.sentence for each in ready.loaded.errors)}")
        return ready
    if find(source, os.environ) is None:
        raise UsageError(
            f"there is no vyked.toml in {Path.cwd()}; name one, name a class (module:Class), "
            "or begin with: vyked-host new project NAME"
        )
    return prepare(source, overrides=overrides, no_plugins=no_plugins)


def _alone(reference: str) -> str:
    key = names.slug(reference.rpartition(":")[2], "service")
    return f'[services.{key}]\nuse = "{reference}"\n'
