"""What a case of the kit says of itself: from which version of the contracts on it holds, and which guarantees it is about.

`Guarantees` is the vocabulary: ``"replay"`` is its field, ``"strategies.leader"`` a member or value of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...contracts import Guarantees
from ...routing.delivery import LASTS

Case = TypeVar("Case", bound=Callable[..., Any])

NOT_DECLARED, TOO_NEW = "not declared: ", "newer than the plugin: "
"""How the reasons of skipped cases begin: `vyked-host plugins verify` tells them apart by it."""
REFUSED = "refused"
"""The property of a test report that names a guarantee which is not declared, and whose use was refused."""
NOT_WRITTEN = "there is no fixture "
_SINCE, _NEEDS, _ASKS = "__kit_since__", "__kit_needs__", "__kit_asks__"
FIRST = "1.0"


def since(version: str) -> Callable[[Case], Case]:
    """The case came with this version of the contracts (``"1.3"``): plugins written for an older one are not asked."""

    def note(case: Case) -> Case:
        setattr(case, _SINCE, version)
        return case

    return note


def needs(*guarantees: str) -> Callable[[Case], Case]:
    """The case is about these guarantees: where one of them is not declared it is left out."""

    def note(case: Case) -> Case:
        setattr(case, _NEEDS, guarantees)
        return case

    return note


def asks_for(fixture: str) -> Callable[[Case], Case]:
    """The case needs what only an author can give: without a fixture of that name it is left out."""

    def note(case: Case) -> Case:
        setattr(case, _ASKS, fixture)
        return case

    return note


def asked_for(case: Any) -> str:
    """The fixture that a case can't do without; "": none."""
    found: str = getattr(case, _ASKS, "")
    return found


def of(case: Any) -> tuple[str, ...]:
    """The guarantees that a case is about."""
    found: tuple[str, ...] = getattr(case, _NEEDS, ())
    return found


def is_newer(case: Any, spi: str) -> str:
    """The version a case came with, if that is later than `spi`; else ""."""
    version: str = getattr(case, _SINCE, FIRST)
    return version if _numbers(version) > _numbers(spi) else ""


def declares(given: Guarantees, guarantee: str) -> bool:
    """Is `guarantee` among what is given? What lasts longer gives what lasts less, too."""
    field, _, wanted = guarantee.partition(".")
    value = getattr(given, field)
    if isinstance(value, frozenset):  # of strategies, which are for groups
        return wanted in value and (given.at_least_once or given.one_of_group)
    if field == "durability":
        return LASTS.index(value) >= LASTS.index(wanted)
    return bool(value == wanted if wanted else value)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
