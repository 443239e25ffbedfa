"""Does a service do what the contracts it derives from say? Checked at start-up: a consumer in another repository
builds its calls from the contract alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import msgspec

from .base import Contract, Service
from .endpoints import Decorated, Event
from .places import Place, of_member
from .shapes import shape_of


def contracts_of(cls: type[object]) -> Iterator[type[Contract]]:
    """The contracts that `cls` implements, nearest first."""
    for base in cls.__mro__:
        if base is not Contract and issubclass(base, Contract) and not issubclass(base, Service):
            yield base


def check(cls: type[object]) -> None:
    """Raises UsageError naming the first method or event of `cls` that does not fit a contract of its."""
    for contract in contracts_of(cls):
        for name, member in vars(contract).items():
            if isinstance(member, (Decorated, Event)):
                _check_member(cls, contract, name, member)


def _check_member(cls: type[object], contract: type[Contract], name: str, wanted: Decorated | Event[..., Any]) -> None:
    found = inspect.getattr_static(cls, name)
    promise = f"{contract.__qualname__}.{name}"
    if found is wanted:
        raise of_member(cls, name, wanted.body).fault(
            f"{promise} is not implemented", f"write it in {cls.__qualname__}, decorated alike"
        )
    place = of_member(cls, name, getattr(found, "body", found))
    if isinstance(found, Event) and isinstance(wanted, Event):
        if found.payload != wanted.payload:
            raise place.fault(
                f"its payload is {found.payload}, that of {promise} is {wanted.payload}", "return the same type"
            )
    elif isinstance(found, Decorated) and isinstance(wanted, Decorated):
        _check_endpoint(found, wanted, of_member(contract, name, wanted.body), place, promise)
    else:
        raise place.fault(f"{promise} is {_noun(wanted)}, this is not", f"decorate it with {_decorator(wanted)}")


def _check_endpoint(found: Decorated, wanted: Decorated, there: Place, here: Place, promise: str) -> None:
    ours, theirs = shape_of(found, here), shape_of(wanted, there)
    if ours.kind is not theirs.kind:
        raise here.fault(
            f"it is {ours.kind.name}, {promise} is {theirs.kind.name}", "use the same streams and decorators"
        )
    if (ours.result, ours.inbound) != (theirs.result, theirs.inbound):
        raise here.fault(f"it answers with {ours.result}, {promise} with {theirs.result}", "use the same types")
    have, want = msgspec.structs.fields(ours.arguments), msgspec.structs.fields(theirs.arguments)
    for mine, promised in zip(have, want, strict=False):
        if (mine.name, mine.type) != (promised.name, promised.type):
            raise here.fault(
                f"parameter '{mine.name}: {mine.type}' stands where {promise} has '{promised.name}: {promised.type}'",
                "use the contract's parameters, in its order; more may follow them",
            )
        if mine.required and not promised.required:
            raise here.fault(f"parameter {mine.name!r} may be left out by callers of {promise}", "give it a default")
    if len(have) < len(want):
        raise here.fault(f"it has no parameter {want[len(have)].name!r}, {promise} has", "add it")
    for extra in have[len(want) :]:
        if extra.required:
            raise here.fault(f"callers of {promise} don't know parameter {extra.name!r}", "give it a default")


def _noun(member: object) -> str:
    return "an event" if isinstance(member, Event) else "an endpoint"


def _decorator(member: object) -> str:
    return "@publish" if isinstance(member, Event) else "@api"
