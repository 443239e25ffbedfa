"""The calling end."""

import asyncio
from itertools import count

from vyked_host import NotFound, Unavailable
from vyked_host.contracts import (
    INITIAL_CREDIT,
    Call,
    Channel,
    EndpointDescription,
    Environment,
    Fault,
    Kind,
    Running,
    Sink,
    Surface,
    compatible,
)

from .letters import (
    Cancel,
    Credit,
    End,
    Failed,
    Hello,
    Item,
    Leaving,
    Line,
    Refused,
    Request,
    Result,
    Row,
    Table,
    Welcome,
)


class Letterbox(Channel):
    def __init__(self, env: Environment, offers: list[str], largest: int) -> None:
        loop = asyncio.get_running_loop()
        self.line = Line(largest, self._received, self._over)
        self.codec, self.node_id, self.generation = "", "", None
        self.retired: asyncio.Future[Fault | None] = loop.create_future()
        self.opened: asyncio.Future[None] = loop.create_future()
        self._env, self._offers = env, offers
        self._surface = Surface(revision=0, endpoints=())
        self._letters: dict[int, Letter] = {}
        self._ids = count(1)

    def hello(self) -> None:
        self.line.send(Hello(self._env.namespace, self._env.node_id, self._offers))

    @property
    def surface(self) -> Surface:
        return self._surface

    def endpoint(self, wanted: EndpointDescription) -> int:
        served = [(at, each) for at, each in enumerate(self._surface.endpoints) if each is not None]
        of_service = [(at, each) for at, each in served if each.service == wanted.service]
        for at, each in of_service:
            if each.name == wanted.name and compatible(each.version, wanted.version):
                return at
        there = ", ".join(f"{each.name} {each.version}" for _, each in of_service) or "nothing of it"
        text = f"{wanted.path} {wanted.version} is not at {self.node_id}; there is {there}"
        raise NotFound(text, service=wanted.service, method=wanted.name, executed="not_sent")

    def dispatch(self, call: Call, sink: Sink) -> Running | None:
        if self.retired.done():
            text = f"{self.node_id} takes no more calls here"
            sink.fail(call, Fault(code="UNAVAILABLE", message=text, executed="not_sent"))
            return None
        call.id = next(self._ids)
        letter = self._letters[call.id] = Letter(call, sink, self.line)
        left_s = call.deadline - self._env.clock.now()
        metadata = call.metadata.decode() if call.metadata is not None else None
        request = Request(
            call.id, call.endpoint, left_s, call.attempt, call.caller, call.entity, call.idempotency_key, metadata
        )
        self.line.send(request, call.body)
        return letter

    async def aclose(self) -> None:
        self._over("the channel was closed")
        if self.line.close("the channel was closed"):
            await self.line.gone.wait()

    # ---- what comes back -----------------------------------------------------------------------------------------
    def _received(self, letter, body: bytes) -> None:
        if isinstance(letter, Welcome):
            self.node_id, self.codec = letter.node, letter.serializer
        elif isinstance(letter, Refused):
            self.opened.set_exception(Unavailable(f"refused: {letter.why}", executed="not_sent"))
        elif isinstance(letter, Table):
            self._surface = Surface(revision=letter.revision, endpoints=_endpoints(letter.rows))
            if not self.opened.done():
                self.opened.set_result(None)
        elif isinstance(letter, Leaving):
            self._retire(f"{self.node_id} is leaving")
        elif (found := self._letters.get(letter.id)) is not None:
            found.received(letter, body, self._letters)

    def _over(self, why: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(Unavailable(why, executed="not_sent"))
        self._retire(why)
        letters, self._letters = self._letters, {}
        for letter in letters.values():
            letter.fail(Fault(code="UNAVAILABLE", message=f"{self.node_id}: {why}", executed="unknown"))

    def _retire(self, why: str) -> None:
        if not self.retired.done():
            self.retired.set_result(Fault(code="UNAVAILABLE", message=why, executed="not_sent"))


def _endpoints(rows: list[Row]) -> tuple[EndpointDescription | None, ...]:
    found = {
        row.index: EndpointDescription(
            service=row.service, version=row.version, name=row.name, kind=Kind(row.kind), idempotent=row.idempotent
        )
        for row in rows
    }
    return tuple(found.get(at) for at in range(max(found, default=-1) + 1))


class Letter(Running):
    """One call that was sent."""

    def __init__(self, call: Call, sink: Sink, line: Line) -> None:
        self._call, self._sink, self._line = call, sink, line
        self._credit = INITIAL_CREDIT

    def cancel(self, fault: Fault) -> None:
        self._line.send(Cancel(self._call.id, fault))

    def item(self, body) -> bool:
        self._line.send(Item(self._call.id), body)
        self._credit -= 1
        return self._credit > 0

    def end(self) -> None:
        self._line.send(End(self._call.id))

    def credit(self, items: int) -> None:
        self._line.send(Credit(self._call.id, items))

    def fail(self, fault: Fault) -> None:
        self._sink.fail(self._call, fault)

    def received(self, letter, body: bytes, all_sent: dict[int, "Letter"]) -> None:
        if isinstance(letter, Item):
            self._sink.item(self._call, body)
        elif isinstance(letter, Credit):
            self._credit += letter.items
            self._sink.credit(self._call, letter.items)
        elif isinstance(letter, Result):
            del all_sent[letter.id]
            self._sink.respond(self._call, body)
        elif isinstance(letter, Failed):
            del all_sent[letter.id]
            self.fail(letter.fault)
