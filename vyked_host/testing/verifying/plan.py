"""Which plugin is verified in this process, and how."""

from __future__ import annotations

from typing import Any

import msgspec

from ...errors import UsageError
from ...loading import HOOKS, SERVICE, Catalogue, Entry, load
from ..conformance.suite import Suite
from . import installed


class Plan(msgspec.Struct, forbid_unknown_fields=True):
    """`path` and `dist` name the entry; `settings` are options to build it with; `packaging`: look at the distribution, too."""

    path: str
    dist: str
    settings: dict[str, Any] = {}
    packaging: bool = True


_chosen: list[Plan] = []


def choose(plan: Plan) -> None:
    """Verify this one: before pytest collects."""
    _chosen[:] = [plan]


def namespace() -> dict[str, Any]:
    """Test classes by name, and beside them whatever the author's module has: fixtures, ``pytest_plugins``; none before
    something was chosen. Raises UsageError and PluginError."""
    if not _chosen:
        return {}
    (plan,) = _chosen
    catalogue = load()
    entry = find(catalogue, plan)
    found: dict[str, Any] = {}
    how = installed.told(entry) if entry.kind not in (HOOKS, SERVICE) else None
    if how is not None:
        beside = {} if how.module is None else vars(how.module)
        found |= {name: value for name, value in beside.items() if not name.startswith(("Test", "test_", "__"))}
        found[installed.class_name(entry)] = installed.suite_of(catalogue, entry, how, plan.settings)
    elif plan.settings:
        raise UsageError(f"{entry.path} has no options that a suite could use: leave --set out")
    if plan.packaging:
        packaging = installed.packaging_of(entry.dist)
        found[packaging.__name__] = packaging
    return found


async def greet() -> None:
    """`installed.greet` for what was chosen. Raises StartError."""
    for suite in namespace().values():
        if isinstance(suite, type) and issubclass(suite, Suite):
            await installed.greet(suite)


def find(catalogue: Catalogue, plan: Plan) -> Entry:
    """The entry that `plan` names. Raises UsageError."""
    for entry in catalogue.entries:
        if (entry.path, entry.dist) == (plan.path, plan.dist):
            return entry
    raise UsageError(f"{plan.path} of {plan.dist} is not installed")
