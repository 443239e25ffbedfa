"""What the signature of a @websocket method says, and how the method is run.

One parameter gets the socket: the one annotated ``WebSocket[In, Out]``, or the only one when it has no annotation. The others
come from path and query. A method that takes the web framework's request instead gets that, and upgrades it itself.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from ..errors import Closed, UsageError
from ..model.values import Value
from .annotations import is_request
from .endpoints import Endpoint, Marks
from .places import Place
from .shapes import Reading, ensure_travels
from .websockets import Opening, WebSocket

_REQUEST_NAMES = ("request", "req")


class Sides(NamedTuple):
    """How one direction is written on the wire. `text`: "text" as it is, "json", or None when no text message fits; `shape`
    is the type of what a text message holds. `binary`: the type of a binary message, None when none fits."""

    text: str | None
    shape: Any
    binary: Any


def sides_of(hint: Any) -> Sides:
    """The sides of ``In`` or ``Out``. Raises UsageError when a text message could be read in two ways."""
    if hint is Any:
        return Sides("text", str, bytes)
    members = _members(hint)
    binary = [each for each in members if _plain(each) is bytes]
    texts = [each for each in members if _plain(each) is not bytes]
    both = Union[tuple(binary)] if binary else None  # noqa: UP007 - made from a list
    if not texts:
        return Sides(None, None, both)
    if all(_plain(each) is str for each in texts):
        return Sides("text", Union[tuple(texts)], both)  # noqa: UP007 - likewise
    if any(_plain(each) is str for each in texts):
        raise UsageError("it has str beside a type that is written as JSON, so a text message could be either")
    return Sides("json", Union[tuple(texts)], both)  # noqa: UP007 - likewise


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _plain(hint: Any) -> Any:
    return _plain(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


class SocketShape(Value):
    """A signature read. `parameter` empty: the method takes the request. `per_message`: the ancestor's way, called for each
    message and sending what it returns."""

    parameter: str
    inbound: Any
    outbound: Any
    arguments: Any
    positional: tuple[str, ...] = ()
    keyword: tuple[str, ...] = ()
    per_message: bool = False


def socket_shape(handler: Callable[..., Any], place: Place, *, lenient: bool = False) -> SocketShape:
    """The shape of a @websocket method. `lenient`: the ancestor's classes. Raises UsageError."""
    reading = Reading(Endpoint(handler, Marks()), place, lenient)
    names = [each.name for each in reading.parameters]
    sockets = [name for name in names if _is_socket(reading.hints.get(name))]
    untyped = [name for name in names if reading.hints.get(name, Any) is Any]
    if not sockets and _takes_request(reading, names, lenient):
        return SocketShape(parameter="", inbound=Any, outbound=Any, arguments=None)
    if not sockets and len(names) == 1 and untyped:
        return SocketShape(
            parameter=names[0], inbound=Any, outbound=Any, arguments=None, positional=(names[0],), per_message=lenient
        )
    if len(sockets) != 1:
        what = f"{' and '.join(sockets)} are sockets" if sockets else "no parameter gets the socket"
        raise place.fault(what, "annotate one of them, as in `ws: WebSocket[str, str]`")
    if not (inspect.iscoroutinefunction(handler) or inspect.isgeneratorfunction(handler)):
        raise place.fault("it runs as long as its socket is open", "write `async def`")
    return _typed(reading, sockets[0], place)


def _typed(reading: Reading, parameter: str, place: Place) -> SocketShape:
    inbound, outbound = get_args(reading.hints[parameter]) or (Any, Any)
    for hint, what in ((inbound, "receives"), (outbound, "sends")):
        try:
            sides = sides_of(hint)
        except UsageError as error:
            text = f"the type of what {parameter!r} {what}: {error}"
            raise place.fault(text, "use a Struct with the text in it") from error
        for each in (sides.shape, sides.binary):
            ensure_travels(each, f"what {parameter!r} {what}", place)
    positional, keyword = reading.names()
    arguments = reading.arguments({parameter}) if len(reading.parameters) > 1 else None
    return SocketShape(
        parameter=parameter, inbound=inbound, outbound=outbound, arguments=arguments, positional=positional, keyword=keyword
    )  # fmt: skip


def _is_socket(hint: Any) -> bool:
    return (get_origin(hint) or hint) is WebSocket


def _takes_request(reading: Reading, names: list[str], lenient: bool) -> bool:
    if len(names) != 1:
        return False
    hint = reading.hints.get(names[0], Any)
    return is_request(hint) or (lenient and hint is Any and names[0] in _REQUEST_NAMES)


# ---- running ---------------------------------------------------------------------------------------------------------
def over_socket(call: Callable[..., Any]) -> Callable[[Opening], Any]:
    """(opening) -> coroutine: opens the socket, then runs ``call(arguments, socket)`` to its end. A method that finds its peer
    gone while it sends has ended well."""

    async def run(opening: Opening) -> None:
        try:
            socket = await opening.accept()
        except Closed:
            return
        try:
            await call(opening.arguments, socket)
        except Closed:
            if socket.close_code is None:  # another socket than its own
                raise

    return run


class Message(NamedTuple):
    """One message as the ancestor's handlers get it: those of aiohttp have these attributes, too. `type` is 1 for text, 2 for
    binary, as RFC 6455 numbers them."""

    type: int
    data: Any
    extra: str = ""

    @property
    def tp(self) -> int:
        """The same as `type`, under its older name."""
        return self.type

    def json(self) -> Any:
        """The data, read as JSON."""
        return msgspec.json.decode(self.data)


def each_message(method: Callable[[Any], Any]) -> Callable[[Opening], Any]:
    """The ancestor's way: `method` is called for each message, and what it returns is sent when it is true."""

    async def answer_all(_arguments: Any, socket: WebSocket[Any, Any]) -> None:
        async for data in socket:
            answer = method(Message(1 if isinstance(data, str) else 2, data))
            answer = await answer if inspect.isawaitable(answer) else answer
            if answer:
                await socket.send(answer)

    return over_socket(answer_all)
