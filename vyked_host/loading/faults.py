"""Errors of choosing and loading plugins: each says what is wrong, what is installed, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ..errors import PluginError, StartError
from .entry import OFFERS, SERVICE, Entry

FIRST_PARTY = {
    "transport.nats": "vyked-nats",
    "pubsub.nats": "vyked-nats",
    "registry.nats": "vyked-nats",
    "transport.classic": "vyked-classic",
    "registry.classic": "vyked-classic",
    "pubsub.classic": "vyked-classic",
    "pubsub.nats-jetstream": "vyked-nats",
    "balancer.zone": "vyked-zone",
    "serializer.cbor": "vyked-cbor",
}
"""Names that are ours to give: where to get what is not installed."""


class UnknownPlugin(StartError):
    """Nothing of this name is installed. `known` is what is, `suggestion` the nearest of it or None, `install` the
    distribution that has it or None."""

    def __init__(self, kind: str, name: str, known: Iterable[str], reason: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        self.suggestion = next(iter(get_close_matches(name, self.known, n=1)), None)
        self.install = FIRST_PARTY.get(f"{kind}.{name}")
        super().__init__(f"{reason or f'no {kind} {name!r} is installed'}; {self.remedy}")

    @property
    def remedy(self) -> str:
        """What to do about it, in a line."""
        parts = []
        if self.install:
            parts.append(f"pip install {self.install}")
        if self.suggestion:
            parts.append(f"did you mean {self.suggestion!r}?")
        if not parts:
            parts.append(f"pip install the distribution that offers {self.kind}.{self.name}")
        return ", ".join([*parts, f"installed: {', '.join(self.known) or 'none'}"]).replace("?, ", "? ")


class UnusablePlugin(StartError):
    """It is installed and may not be used: disabled, or made for another vyked-host. `entry` is the one meant."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        super().__init__(f"{entry.path} of {entry.plugin} is {entry.state}: {entry.reason}; {self.remedy}")

    @property
    def remedy(self) -> str:
        """What to do about it, in a line."""
        return "allow it again" if self.entry.state == "disabled" else f"install another version of {self.entry.dist}"


class PluginConflict(StartError):
    """Several distributions offer the same thing; `rivals` are the entries."""

    def __init__(self, rivals: Iterable[Entry]) -> None:
        self.rivals = tuple(rivals)
        first = self.rivals[0]
        owners = " and ".join(rival.plugin for rival in self.rivals)
        super().__init__(f"{first.path} is offered by {owners}; {self.remedy}")

    @property
    def remedy(self) -> str:
        """What to do about it, in a line."""
        choices = " or ".join(f'use = "{rival.dist}:{rival.name}"' for rival in self.rivals)
        return f"say which: {choices}"


class PluginHung(PluginError):
    """A plugin did not come back from a hook in time; its thread can't be stopped, so the start is given up."""


def broken(entry: Entry, what: str) -> PluginError:
    """The error for a plugin that failed: names distribution, version, what happened, and how to go on without it."""
    remedy = f'install another version of {entry.dist}, or go on without it: [plugins] disable = ["{entry.path}"]'
    return PluginError(f"{entry.path} of {entry.plugin} {what}; {remedy}", plugin=entry.plugin)


def misnamed(kind: str) -> ValueError:
    """The programming error of asking for a kind that does not exist."""
    return ValueError(f"{kind!r} is no kind; kinds are {', '.join((*OFFERS, SERVICE))}")
