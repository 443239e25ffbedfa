"""Whatever a signature looks like, a call through its arguments Struct binds as Python itself does."""

import asyncio
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.service.base import Service
from vyked_host.service.binding import handler
from vyked_host.service.decorators import api
from vyked_host.service.inspect import describe

NAMES = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)


@st.composite
def signatures(draw: st.DrawFn) -> tuple[str, list[str], list[str]]:
    """(parameter list, required names, optional names)."""
    names = draw(NAMES)
    positional = names[: draw(st.integers(0, len(names)))]
    keyword = names[len(positional) :]
    required = positional[: draw(st.integers(0, len(positional)))]
    needed = [name for name in keyword if draw(st.booleans())]
    shown = [f"{name}: int" if name in required else f"{name}: int = -1" for name in positional]
    if keyword:
        shown += ["*", *(f"{name}: int" if name in needed else f"{name}: int = -1" for name in keyword)]
    given_names = [*required, *needed]
    return ", ".join(["self", *shown]), given_names, [name for name in names if name not in given_names]


@given(signatures(), st.data())
def test_arguments_reach_the_parameters_of_their_names(
    found: tuple[str, list[str], list[str]], data: st.DataObject
) -> None:
    parameters, required, optional = found
    scope: dict[str, Any] = {}
    exec(
        f"async def m({parameters}) -> dict[str, int]:\n    return {{k: v for k, v in locals().items() if k != 'self'}}",
        scope,
    )
    cls: Any = type("Sample", (Service,), {"m": api(scope["m"])}, name="sample", version="1")
    (endpoint,) = describe(cls).endpoints
    sent = {
        name: number
        for number, name in enumerate([*required, *(each for each in optional if data.draw(st.booleans()))])
    }
    arguments = msgspec.json.decode(msgspec.json.encode(sent), type=endpoint.arguments)
    expected = asyncio.run(scope["m"](None, **sent))
    assert asyncio.run(handler(cls(), endpoint)(arguments)) == expected
