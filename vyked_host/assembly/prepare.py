"""From a file to checked settings and a catalogue: everything that can be wrong is found here, before anything is bound.

The one place that joins `config` and `loading`; `run`, `check`, `call` and tests all come through it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .. import config, loading
from ..config import Loaded

DEFAULT_FILE = "vyked.toml"
VARIABLE = "VYKED_CONFIG"


class Prepared(NamedTuple):
    """A file that was read, and what is installed."""

    loaded: Loaded
    catalogue: loading.Catalogue


def find(file: str | None, environ: Mapping[str, str]) -> str | None:
    """The file to use: the given one, else VYKED_CONFIG, else ./vyked.toml; None when there is none."""
    if file is not None:
        return file
    if named := environ.get(VARIABLE):
        return named
    return DEFAULT_FILE if Path(DEFAULT_FILE).is_file() else None


def prepare(
    file: str | None, *, text: str | None = None, overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None, no_plugins: bool | Collection[str] = False,
) -> Prepared:  # fmt: skip
    """Read, bind and check. Faults are in ``loaded.problems``; ``loaded.require()`` raises ConfigError for them."""
    environ = os.environ if environ is None else environ
    catalogue = loading.load(no_plugins=no_plugins, environ=environ)
    path = None if text is not None else find(file, environ)
    return Prepared(config.load(path, text=text, overrides=overrides, environ=environ, installed=catalogue), catalogue)
