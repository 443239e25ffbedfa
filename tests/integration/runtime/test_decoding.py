"""When the arguments of a call are decoded, and what becomes of it when they can't be: on every runner and loop."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.runtime.test_late import PEER, Ending
from tests.integration.runtime.test_task_semantics import Bench, each_way
from vyked_host.contracts import Fault
from vyked_host.model.description import EndpointDescription, Kind
from vyked_host.model.message import Call
from vyked_host.runtime.codecs import Codecs
from vyked_host.runtime.routes import Route

GIVEN_UP = Fault(code="CANCELLED", message="the caller gave up", executed="unknown")


class Noting:
    """A serializer, and its codec, that notes what it decodes. `b"broken"` is beyond it, `b"wrong"` does not fit."""

    content_type = "application/noted"

    def __init__(self, noted: list[str]) -> None:
        self._noted = noted

    def codec(self, _shape: Any) -> Noting:
        return self

    def encode(self, value: Any) -> bytes:
        return str(value).encode()

    def decode(self, body: bytes) -> str:
        if body == b"broken":
            raise LookupError("a fault of the codec's own")
        if body == b"wrong":
            raise ValueError("Expected `int`, got `str` - at `$.n`")
        self._noted.append(f"decoded {body.decode()}")
        return body.decode()


class Desk:
    """One endpoint of `bench`, whose handler notes what it is called with."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.noted = bench, list[str]()
        described = EndpointDescription(
            service="test", version="1.0.0", name="note", kind=Kind.UNARY, arguments=Any, result=Any
        )

        async def note(argument: str) -> None:
            self.noted.append(f"ran {argument}")
            await asyncio.sleep(0)

        codecs = Codecs({"noted": Noting(self.noted)}, "noted")
        self._index = bench.dispatcher.add(Route(described, note, (), codecs, bench.threads))

    async def called(self, *bodies: bytes, given_up: tuple[bytes, ...] = ()) -> list[Fault | None]:
        """The ends of calls that come in one turn; of some the callers give up within it."""
        ends = [Ending() for _ in bodies]

        def turn() -> None:
            dispatcher = self.bench.dispatcher
            for body, end in zip(bodies, ends, strict=True):
                call = Call(0, self._index, "noted", body, dispatcher.now() + 5.0, PEER)
                running = dispatcher.dispatch(call, end)
                if body in given_up and running is not None:
                    running.cancel(GIVEN_UP)

        self.bench.turn(turn)
        return [await asyncio.wait_for(end.told, 5) for end in ends]


@each_way
async def test_arguments_are_decoded_when_the_handler_begins(bench: Bench) -> None:
    desk = Desk(bench)
    assert await desk.called(b"a", b"b", b"c") == [None] * 3
    assert desk.noted == ["decoded a", "ran a", "decoded b", "ran b", "decoded c", "ran c"]


@each_way
async def test_what_is_given_up_before_it_begins_is_never_decoded(bench: Bench) -> None:
    desk = Desk(bench)
    kept, gone = await desk.called(b"kept", b"gone", given_up=(b"gone",))
    assert kept is None
    assert gone is not None
    assert gone.code == "CANCELLED"
    assert desk.noted.count("decoded gone") == desk.noted.count("ran gone") == (gone.executed != "not_executed")


@each_way
async def test_arguments_that_do_not_fit_end_their_own_call_and_no_other(bench: Bench) -> None:
    desk = Desk(bench)
    good, wrong, other = await desk.called(b"a", b"wrong", b"b")
    assert (good, other) == (None, None)
    assert wrong is not None
    assert (wrong.code, wrong.executed) == ("INVALID_ARGUMENT", "not_executed")
    assert "test.note(n): Expected `int`, got `str`" in wrong.message
    assert not bench.dispatcher.running


@each_way
async def test_a_codec_that_breaks_ends_the_call_it_breaks_at_and_no_other(bench: Bench) -> None:
    desk = Desk(bench)
    good, broken, other = await desk.called(b"a", b"broken", b"b")
    assert (good, other) == (None, None)
    assert broken is not None
    assert (broken.code, broken.executed) == ("INTERNAL", "not_executed")
    assert [str(error) for error in bench.raised.errors] == ["a fault of the codec's own"]
    bench.raised.errors.clear()
    assert not bench.dispatcher.running
