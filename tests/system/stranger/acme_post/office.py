"""The called end."""

import asyncio

from vyked_host.contracts import (
    INITIAL_CREDIT,
    Address,
    Call,
    Calls,
    CreditSink,
    Environment,
    Fault,
    Kind,
    Listener,
    Peer,
    Running,
    Surface,
)

from .letters import Cancel, Credit, End, Failed, Hello, Item, Leaving, Line, Refused, Request, Result, Row, Table
from .letters import Welcome as Welcomed

GONE = Fault(code="CANCELLED", message="the caller is gone", executed="unknown")


class Office(Listener):
    def __init__(self, calls: Calls, surface: Surface, env: Environment, serializer: str, largest: int) -> None:
        self.calls, self.env, self.serializer, self._largest = calls, env, serializer, largest
        self._surface, self._desks, self._leaving = surface, set[Desk](), False
        self._server: asyncio.AbstractServer | None = None

    def opened(self, server: asyncio.AbstractServer, host: str) -> None:
        port = server.sockets[0].getsockname()[1]
        self._server, self.addresses = server, (Address(transport="post", uri=f"post://{host}:{port}"),)

    def desk(self) -> Line:
        desk = Desk(self, self._largest)
        self._desks.add(desk)
        return desk.line

    def forget(self, desk: "Desk") -> None:
        self._desks.discard(desk)

    def table(self) -> Table:
        served = enumerate(self._surface.endpoints)
        rows = [
            Row(at, each.service, each.version, each.name, each.kind.value, each.idempotent)
            for at, each in served
            if each is not None and not each.kind.is_raw
        ]
        return Table(self._surface.revision, rows)

    def kind(self, index: int) -> Kind | None:
        found = self._surface.endpoints[index] if 0 <= index < len(self._surface.endpoints) else None
        return found.kind if found is not None else None

    def expose(self, surface: Surface) -> None:
        self._surface = surface
        for desk in self._desks:
            desk.line.send(self.table())

    def stop_accepting(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._server.close()
            for desk in self._desks:
                desk.line.send(Leaving())

    async def aclose(self) -> None:
        self.stop_accepting()
        lines = [desk.line for desk in self._desks]
        for line in lines:
            line.close("the host has stopped")
        await asyncio.gather(*(line.gone.wait() for line in lines))
        await self._server.wait_closed()


class Desk:
    """One caller's connection."""

    def __init__(self, office: Office, largest: int) -> None:
        self._office, self.line = office, Line(largest, self._received, self._over)
        self._open: dict[int, Conversation] = {}
        self._peer: Peer | None = None
        self._codec = ""

    def _received(self, letter, body: bytes) -> None:
        if isinstance(letter, Hello):
            self._welcome(letter)
        elif self._peer is None:
            raise ValueError("a letter before the hello")
        elif isinstance(letter, Request):
            self._begin(letter, body)
        elif (found := self._open.get(letter.id)) is not None:
            found.received(letter, body)

    def _welcome(self, hello: Hello) -> None:
        env, own = self._office.env, self._office.env.serializers()
        common = [each for each in (self._office.serializer, *own) if each in hello.serializers and each in own]
        if hello.mesh != env.namespace or not common:
            why = f"mesh {env.namespace!r} lives here" if common else f"there is only {', '.join(own)} here"
            self.line.send(Refused(why))
            self.line.close(why)
            return
        self._peer, self._codec = Peer(address=self.line.peer, node_id=hello.node), common[0]
        self.line.send(Welcomed(env.node_id, self._codec))
        self.line.send(self._office.table())

    def _begin(self, letter: Request, body: bytes) -> None:
        call = Call(
            id=letter.id, endpoint=letter.endpoint, codec=self._codec, body=body, peer=self._peer,
            deadline=self._office.env.clock.now() + letter.left_s, attempt=letter.attempt, caller=letter.caller,
            entity=letter.entity, idempotency_key=letter.key,
            metadata=letter.metadata.encode() if letter.metadata is not None else None,
        )  # fmt: skip
        conversation = Conversation(self.line, self._open)
        if self._office.kind(letter.endpoint) is None:
            fault = Fault(code="NOT_FOUND", message=f"there is no endpoint {letter.endpoint}", executed="not_executed")
            conversation.fail(call, fault)
            return
        self._open[call.id] = conversation
        conversation.running = self._office.calls.dispatch(call, conversation)

    def _over(self, _why: str) -> None:
        self._office.forget(self)
        for each in list(self._open.values()):
            if each.running is not None:
                each.running.cancel(GONE)


class Conversation(CreditSink):
    """One call and its answer."""

    def __init__(self, line: Line, all_open: dict[int, "Conversation"]) -> None:
        self._line, self._open = line, all_open
        self._credit = INITIAL_CREDIT
        self.running: Running | None = None

    def respond(self, call: Call, body) -> None:
        self._open.pop(call.id, None)
        self._line.send(Result(call.id), body or b"")

    def fail(self, call: Call, fault: Fault) -> None:
        self._open.pop(call.id, None)
        self._line.send(Failed(call.id, fault))

    def item(self, call: Call, body) -> bool:
        self._line.send(Item(call.id), body)
        self._credit -= 1
        return self._credit > 0

    def credit(self, call: Call, items: int) -> None:
        self._line.send(Credit(call.id, items))

    def received(self, letter, body: bytes) -> None:
        if isinstance(letter, Cancel):
            self.running.cancel(letter.fault)
        elif isinstance(letter, Item):
            self.running.item(body)
        elif isinstance(letter, End):
            self.running.end()
        elif isinstance(letter, Credit):
            self._credit += letter.items
            self.running.credit(letter.items)
