"""Plugins with a defect each, under the kit. Not collected by itself: test_planted.py runs it and reads what failed."""

import asyncio
import json
import socket
import threading

import msgspec
import pytest
from hypothesis import settings

from tests.contract.test_under_faults import Hashes, Streams, provider_of
from tests.faults.mesh import free_port
from tests.valkey import Valkey
from vyked_host.builtin.balancers.spread import RoundRobin
from vyked_host.builtin.embedded import ledger
from vyked_host.builtin.embedded.events.bus import EmbeddedBus
from vyked_host.builtin.embedded.events.done import DONE
from vyked_host.builtin.embedded.events.parcel import Parcel
from vyked_host.builtin.embedded.options import BusOptions, RegistryOptions
from vyked_host.builtin.embedded.provider import guarantees
from vyked_host.builtin.embedded.registry import EmbeddedRegistry
from vyked_host.builtin.redis.options import RegistryOptions as RedisRegistryOptions
from vyked_host.builtin.redis.options import StreamOptions
from vyked_host.builtin.redis.registry.registry import RedisRegistry
from vyked_host.builtin.redis.registry.scripts import ANNOUNCE
from vyked_host.builtin.redis.streams.bus import StreamsBus
from vyked_host.builtin.serializers.codecs import Json
from vyked_host.builtin.tcp.options import Options
from vyked_host.builtin.tcp.provider import vyked_transports
from vyked_host.catalog.reduce import reduce
from vyked_host.catalog.state import Disconnected, Lost, Swept, Told, Withdrawn
from vyked_host.contracts import Change, Guarantees, LimitsTable, Provider, Receipt, Verdict, accepted, unpack
from vyked_host.errors import CallError
from vyked_host.testing import (
    BalancerConformance,
    Proxy,
    PubSubConformance,
    RegistryConformance,
    RegistryUnderFaults,
    SerializerConformance,
    ServerFaults,
    TransportConformance,
    UnderFaults,
    waiting,
)
from vyked_host.testing.conformance import faulted, pubsub


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(waiting, "WITHIN_S", 0.4)
    more = settings(pubsub.HISTORIES, max_examples=80, derandomize=True)  # what is found once is found each time
    monkeypatch.setattr(pubsub, "HISTORIES", more)


# ---- transports ------------------------------------------------------------------------------------------------------
class Wrapped:
    """A proxy that passes everything on but what a subclass changes."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)


def transport(serves=lambda calls: calls, dials=lambda channel: channel):
    (honest,) = vyked_transports()

    class Planted(Wrapped):
        async def serve(self, calls, surface):
            return await self._inner.serve(serves(calls), surface)

        async def dial(self, address, *, deadline):
            return dials(await self._inner.dial(address, deadline=deadline))

    return msgspec.structs.replace(honest, build=lambda options, env: Planted(honest.build(options, env)))


class TransportSuite(TransportConformance):
    @pytest.fixture
    def options(self):
        return Options(port=0)


class DropsSome(Wrapped):
    count = 0

    def dispatch(self, call, sink):
        self.count += 1
        return None if self.count % 60 == 0 else self._inner.dispatch(call, sink)


class Twice(Wrapped):
    def respond(self, call, body):
        self._inner.respond(call, body)
        self._inner.respond(call, body)


class AnswersTwice(Wrapped):
    def dispatch(self, call, sink):
        return self._inner.dispatch(call, Twice(sink))


class Swapping(Wrapped):
    held = None

    def item(self, call, body):
        self.held, first = (None, self.held) if self.held else (body, None)
        if first is not None:
            self._inner.item(call, body)
            return self._inner.item(call, first)
        return True


class Reorders(Wrapped):
    def dispatch(self, call, sink):
        return self._inner.dispatch(call, Swapping(sink))


class Deaf(Wrapped):
    def cancel(self, fault):
        """The callee is never told."""


class NeverCancels(Wrapped):
    def dispatch(self, call, sink):
        running = self._inner.dispatch(call, sink)
        return running if running is None else Deaf(running)


class MixesUp(Wrapped):
    def endpoint(self, wanted):
        return 0


class Leaves(Wrapped):
    tasks = []

    async def aclose(self):
        await self._inner.aclose()
        self.tasks.append(asyncio.get_running_loop().create_task(asyncio.sleep(3600), name="forgotten"))


class Exchanging(Wrapped):
    """Gives the first answer of two to the second call, and the other way round."""

    def __init__(self, inner, waiting):
        super().__init__(inner)
        self._waiting = waiting

    def respond(self, call, body):
        self._waiting.append((self._inner, call, body))
        if len(self._waiting) == 2:
            (one, first, its), (other, second, theirs) = self._waiting
            self._waiting.clear()
            one.respond(first, theirs)
            other.respond(second, its)


class AnswersTheWrongCall(Wrapped):
    def __init__(self, inner):
        super().__init__(inner)
        self._waiting = []

    def dispatch(self, call, sink):
        return self._inner.dispatch(call, Exchanging(sink, self._waiting))


class LeavesASocket(Wrapped):
    left = []

    async def aclose(self):
        await self._inner.aclose()
        self.left.append(socket.socket())


class LeavesAThread(Wrapped):
    async def aclose(self):
        await self._inner.aclose()
        threading.Thread(target=OVER.wait, name="forgotten", daemon=True).start()


OVER = threading.Event()


class TestDrops(TransportSuite):
    provider = pytest.fixture(lambda self: transport(serves=DropsSome))


class TestAnswersTwice(TransportSuite):
    provider = pytest.fixture(lambda self: transport(dials=AnswersTwice))


class TestReorders(TransportSuite):
    provider = pytest.fixture(lambda self: transport(dials=Reorders))


class TestNeverCancels(TransportSuite):
    provider = pytest.fixture(lambda self: transport(dials=NeverCancels))


class TestCallsAnything(TransportSuite):
    provider = pytest.fixture(lambda self: transport(dials=MixesUp))


class TestLeavesTasks(TransportSuite):
    provider = pytest.fixture(lambda self: transport(dials=Leaves))


class TestLeavesASocket(TransportSuite):
    provider = pytest.fixture(lambda self: transport(dials=LeavesASocket))


class TestLeavesAThread(TransportSuite):
    provider = pytest.fixture(lambda self: transport(dials=LeavesAThread))


class TestAnswersTheWrongCall(TransportSuite):
    provider = pytest.fixture(lambda self: transport(dials=AnswersTheWrongCall))


class TestStreamsThoughItDeclaresNone(TransportSuite):
    @pytest.fixture
    def provider(self):
        return msgspec.structs.replace(transport(), guarantees=lambda _options: Guarantees(cancels=True, push=True))


# ---- balancers -------------------------------------------------------------------------------------------------------
class Remembers(RoundRobin):
    known = ()

    def update(self, candidates):
        self.known = (*self.known, *candidates)
        super().update(self.known)


class Favours(RoundRobin):
    def choose(self, call):
        return self._candidates[0]


class LooksAtAll(RoundRobin):
    def choose(self, call):
        return min(self._candidates, key=lambda each: (each.in_flight, self._chance()))


def balancer(planted):
    return Provider(name="planted", summary="planted", build=lambda options, env: planted(env.rng.random))


class TestLeavesTheCandidates(BalancerConformance):
    provider = pytest.fixture(lambda self: balancer(Remembers))


class TestHasAFavourite(BalancerConformance):
    provider = pytest.fixture(lambda self: balancer(Favours))


class TestLooksAtAll(BalancerConformance):
    provider = pytest.fixture(lambda self: balancer(LooksAtAll))


class TestIsNotAffine(BalancerConformance):
    affine = True
    provider = pytest.fixture(lambda self: balancer(RoundRobin))


# ---- serializers -----------------------------------------------------------------------------------------------------
class Loses(Wrapped):
    def decode(self, body):
        return json.loads(bytes(body))


class LosesTypes(Json):
    def codec(self, shape):
        return Loses(super().codec(shape))


class Raises(Wrapped):
    def decode(self, body):
        try:
            return self._inner.decode(body)
        except ValueError as error:
            raise RuntimeError("the codec is broken") from error


class RaisesSomethingElse(Json):
    def codec(self, shape):
        return Raises(super().codec(shape))


def serializer(planted, limits=None):
    return Provider(name="planted", summary="planted", build=lambda options, env: planted(limits or env.limits))


class TestLosesTypes(SerializerConformance):
    provider = pytest.fixture(lambda self: serializer(LosesTypes))


class TestRaisesSomethingElse(SerializerConformance):
    provider = pytest.fixture(lambda self: serializer(RaisesSomethingElse))


class TestHasNoCap(SerializerConformance):
    provider = pytest.fixture(lambda self: serializer(Json, LimitsTable(message="none", untyped_message="none")))


# ---- buses -----------------------------------------------------------------------------------------------------------
class Forgets(Wrapped):
    def settle(self, verdict):
        return self._inner.settle(Verdict(action="ack") if verdict.action == "retry" else verdict)


class NeverRetries(EmbeddedBus):
    async def subscribe(self, subscription, deliver):
        return await super().subscribe(subscription, lambda delivery: deliver(Forgets(delivery)))


class Ungrouped(EmbeddedBus):
    async def subscribe(self, subscription, deliver):
        alone = f"{subscription.group}-{subscription.member}" if subscription.group else None
        return await super().subscribe(msgspec.structs.replace(subscription, group=alone), deliver)


class DropsOneInTen(EmbeddedBus):
    count = 0

    def publish(self, event, *, deadline):
        self.count += 1
        return DONE if self.count % 10 == 0 else super().publish(event, deadline=deadline)


class AcksEarly(EmbeddedBus):
    """What was handed over is done with, whatever becomes of the handler."""

    async def subscribe(self, subscription, deliver):
        def hasty(delivery):
            if subscription.group:
                delivery.settle(Verdict(action="ack"))
                delivery = Deafened(delivery)
            deliver(delivery)

        return await super().subscribe(subscription, hasty)


class Deafened(Wrapped):
    def settle(self, verdict):
        return DONE


class ReordersEvents(EmbeddedBus):
    held = None

    def publish(self, event, *, deadline):
        held, self.held = self.held, None if self.held else (event, deadline)
        done = super().publish(event, deadline=deadline) if held else DONE
        return super().publish(held[0], deadline=held[1]) if held else done


class ForgetsTheCount(EmbeddedBus):
    async def subscribe(self, subscription, deliver):
        return await super().subscribe(subscription, lambda delivery: deliver(First(delivery)))


class First(Wrapped):
    count = 1


class LosesDeadLetters(EmbeddedBus):
    async def dead(self, subscription):
        letters = [each async for each in super().dead(subscription)]
        for each in letters[1:]:
            yield each


class TellsTwice(EmbeddedBus):
    def publish(self, event, *, deadline):
        super().publish(msgspec.structs.replace(event, source="twin"), deadline=deadline)
        self._here and self._here.broker.seen.forget(Parcel(event).identity)
        return super().publish(event, deadline=deadline)


class ForgetsIds(EmbeddedBus):
    def publish(self, event, *, deadline):
        self._here and self._here.broker.seen.forget(Parcel(event).identity)
        return super().publish(event, deadline=deadline)


class CountsDeadLettersAsWaiting(EmbeddedBus):
    async def lag(self, groups=None):
        return [msgspec.structs.replace(each, waiting=each.waiting + each.dead) for each in await super().lag(groups)]


class GivesJobsAtOnce(EmbeddedBus):
    def publish(self, event, *, deadline):
        return super().publish(msgspec.structs.replace(event, not_before_unix_s=None), deadline=deadline)


class KeepsTheGapToItself(EmbeddedBus):
    async def subscribe(self, subscription, deliver):
        return await super().subscribe(subscription, lambda delivery: deliver(Unbroken(delivery)))


class Unbroken(Wrapped):
    gap = 0


class IgnoresConcurrency(EmbeddedBus):
    async def subscribe(self, subscription, deliver):
        return await super().subscribe(msgspec.structs.replace(subscription, concurrency=1000), deliver)


class KeepsWhatMembersLeave(EmbeddedBus):
    """What a member that left did not settle waits for the ack wait."""

    async def leave(self, index):
        self._inbox.remove(index)


class TakesTheFirstKind(EmbeddedBus):
    """Whatever stands in an envelope, it is of the kind that came first."""

    kind = None

    def envelopes(self, service, version, name):
        self.kind = self.kind or (service, version, name)
        return self.take

    def take(self, packed, body, deadline, ledger, entry):
        receipt = Receipt(ledger=ledger, entry=entry)
        self._env.tasks(self.hand_over(packed, deadline, receipt), "hand over")
        return receipt

    async def hand_over(self, packed, deadline, receipt):
        service, version, name = self.kind
        event = msgspec.structs.replace(unpack(packed), service=service, version=version, name=name)
        try:
            await self.publish(event, deadline=deadline)
        except CallError as error:
            receipt.fail(error)
        else:
            self.confirm(receipt)

    def confirm(self, receipt):
        accepted([receipt])


class TellsNobodyOfEnvelopes(TakesTheFirstKind):
    """Who waits is told, who keeps account is not."""

    async def hand_over(self, packed, deadline, receipt):
        event = unpack(packed)
        self.kind = event.service, event.version, event.name
        await super().hand_over(packed, deadline, receipt)

    def confirm(self, receipt):
        receipt.is_over = True
        receipt.wake()


class BusSuite(PubSubConformance):
    ack_wait_s = 0.2

    @pytest.fixture
    def options(self):
        return BusOptions(ack_wait=0.2)


def bus(planted):
    return Provider(name="planted", summary="planted", options=BusOptions, build=planted, guarantees=guarantees)


class TestNeverRetries(BusSuite):
    provider = pytest.fixture(lambda self: bus(NeverRetries))


class TestGivesToAll(BusSuite):
    provider = pytest.fixture(lambda self: bus(Ungrouped))


class TestDropsAnEvent(BusSuite):
    provider = pytest.fixture(lambda self: bus(DropsOneInTen))


class TestAcksEarly(BusSuite):
    provider = pytest.fixture(lambda self: bus(AcksEarly))


class TestReordersEvents(BusSuite):
    provider = pytest.fixture(lambda self: bus(ReordersEvents))


class TestForgetsTheCount(BusSuite):
    provider = pytest.fixture(lambda self: bus(ForgetsTheCount))


class TestLosesDeadLetters(BusSuite):
    provider = pytest.fixture(lambda self: bus(LosesDeadLetters))


class TestTellsTwice(BusSuite):
    provider = pytest.fixture(lambda self: bus(TellsTwice))


class TestForgetsIds(BusSuite):
    provider = pytest.fixture(lambda self: bus(ForgetsIds))


class TestCountsDeadLettersAsWaiting(BusSuite):
    provider = pytest.fixture(lambda self: bus(CountsDeadLettersAsWaiting))


class TestGivesJobsAtOnce(BusSuite):
    provider = pytest.fixture(lambda self: bus(GivesJobsAtOnce))


class TestKeepsTheGapToItself(BusSuite):
    provider = pytest.fixture(lambda self: bus(KeepsTheGapToItself))


class TestIgnoresConcurrency(BusSuite):
    provider = pytest.fixture(lambda self: bus(IgnoresConcurrency))


class TestTakesTheFirstKind(BusSuite):
    provider = pytest.fixture(lambda self: bus(TakesTheFirstKind))


class TestTellsNobodyOfEnvelopes(BusSuite):
    provider = pytest.fixture(lambda self: bus(TellsNobodyOfEnvelopes))


class TestKeepsWhatMembersLeave(BusSuite):
    provider = pytest.fixture(lambda self: bus(KeepsWhatMembersLeave))


class Declaring(BusSuite):
    """The honest bus under a declaration that is not its own."""

    less: dict

    @pytest.fixture
    def provider(self):
        return msgspec.structs.replace(
            bus(EmbeddedBus), guarantees=lambda options: msgspec.structs.replace(guarantees(options), **self.less)
        )


class TestServesGroupsThoughItDeclaresNone(Declaring):
    less = {"at_least_once": False}


class TestHasDeadLettersThoughItDeclaresNone(Declaring):
    less = {"dead_letter": False}


class TestSaysThatItSurvives(Declaring):
    less = {"durability": "process"}


class TestSaysThatItReplays(Declaring):
    less = {"replay": True}


class Replaying(BusSuite):
    @pytest.fixture
    def options(self, env):
        return BusOptions(ack_wait=0.2, path=f"{env.folder}/events.db", keep=60.0)


class ReplaysTheWhole(EmbeddedBus):
    """Whatever the place, it begins at the beginning."""

    async def subscribe(self, subscription, deliver):
        since = "0" if subscription.since is not None else None
        return await super().subscribe(msgspec.structs.replace(subscription, since=since), deliver)


class EndsAReplay(EmbeddedBus):
    """What is published later is left out."""

    async def subscribe(self, subscription, deliver):
        found = self.env.clock.unix()
        return await super().subscribe(subscription, lambda each: each.event.published_unix_s > found or deliver(each))

    def publish(self, event, *, deadline):
        now = self.env.clock.unix()
        return super().publish(msgspec.structs.replace(event, published_unix_s=now), deadline=deadline)


class TestReplaysTheWhole(Replaying):
    provider = pytest.fixture(lambda self: bus(ReplaysTheWhole))


class TestEndsAReplay(Replaying):
    provider = pytest.fixture(lambda self: bus(EndsAReplay))


# ---- buses over a server that is taken away ------------------------------------------------------------------------------
class OverAServer(UnderFaults):
    """Streams in a server that writes nothing down unless it is told to."""

    settings_of_server = ("appendonly yes",)
    planted = StreamsBus

    @pytest.fixture(autouse=True)
    def patient(self, impatient, monkeypatch):
        """Sockets at both ends of a proxy take longer to close."""
        monkeypatch.setattr(waiting, "WITHIN_S", 2.0)
        monkeypatch.setattr(faulted, "WITHIN_S", 2.0)

    @pytest.fixture
    def server(self):
        port = free_port()
        server = Valkey(f"port {port}", "bind 127.0.0.1", *self.settings_of_server).start()
        server.address = f"127.0.0.1:{port}"
        yield server
        server.close()

    @pytest.fixture
    async def way(self, server):
        async with Proxy(server.address) as way:
            yield way

    @pytest.fixture
    def faults(self, server, way):
        return ServerFaults(server, way)

    @pytest.fixture
    def peek(self, server):
        return Streams(server)

    @pytest.fixture
    def provider(self):
        return msgspec.structs.replace(provider_of("redis-streams"), build=self.planted)

    @pytest.fixture
    def options(self, way):
        return StreamOptions(url=f"redis://{way.address}/0", ack_wait=0.5)


class WaitsForEver(StreamsBus):
    """Its publishers are not told while the server is away."""

    def publish(self, event, *, deadline):
        return super().publish(event, deadline=deadline + 3600)


class AcksWhatItHandsOut(StreamsBus):
    """As AcksEarly, which comes out when the server is asked."""

    async def subscribe(self, subscription, deliver):
        def hasty(delivery):
            delivery.settle(Verdict(action="ack"))
            deliver(Deafened(delivery))

        return await super().subscribe(subscription, hasty)


class KeepsNoJunk(StreamsBus):
    """What is no event is gone."""

    async def letterboxes(self):
        return [(box, 0) for box, _ in await super().letterboxes()]


class TestWaitsForEver(OverAServer):
    planted = WaitsForEver


class TestAcksWhatItHandsOut(OverAServer):
    planted = AcksWhatItHandsOut


class TestKeepsNoJunk(OverAServer):
    planted = KeepsNoJunk


class TestDiesWithItsServer(OverAServer):
    settings_of_server = ()


# ---- registries ------------------------------------------------------------------------------------------------------
class RegistrySuite(RegistryConformance):
    examples = 50


def registry(planted):
    return Provider(name="planted", summary="planted", options=RegistryOptions, build=planted)


def embedded(options, env):
    return EmbeddedRegistry(options, env)


def reducing(planted):
    """A fixture that puts `planted(reduce, state, step, now)` in the place of the registry's own rules."""

    @pytest.fixture(autouse=True)
    def plant(self, monkeypatch):
        monkeypatch.setattr(ledger, "reduce", lambda state, step, now: planted(reduce, state, step, now))

    return plant


def _ignores_generations(honest, state, step, now):
    node_id = getattr(step, "node_id", None) or getattr(getattr(step, "record", None), "node_id", None)
    entry = state.entries.get(node_id)
    if entry is not None and hasattr(step, "generation"):
        step = msgspec.structs.replace(step, generation=entry.generation)
    return honest(state, step, now)


def _removes_early(honest, state, step, now):
    state, effects = honest(state, step, now)
    for node_id, entry in state.entries.items() if isinstance(step, Swept) else ():
        if now - entry.seen_at > state.rules.heartbeat_s / 2:
            state, more = honest(state, Withdrawn(node_id=node_id, generation=entry.generation), now)
            effects = (*effects, *more)
    return state, effects


def _tells_nobody_of_a_removal(honest, state, step, now):
    state, effects = honest(state, step, now)
    return state, tuple(each for each in effects if not (isinstance(each, Told) and each.change.gone))


def _does_not_say_who_took_it(honest, state, step, now):
    state, effects = honest(state, step, now)
    return state, tuple(msgspec.structs.replace(e, taken=False) if isinstance(e, Lost) else e for e in effects)


def _overlooks_lost_connections(honest, state, step, now):
    return (state, ()) if isinstance(step, Disconnected | Swept) else honest(state, step, now)


class GoesBack(Wrapped):
    async def watch(self, services):
        before = None
        async for change in self._inner.watch(services):
            yield change
            if before is not None:
                yield before
            before = change


class Resurrected(Wrapped):
    def __init__(self, inner, again):
        super().__init__(inner)
        self._again = again

    async def withdraw(self):
        await self._inner.withdraw()
        await self._again()


class Resurrects(Wrapped):
    async def announce(self, record):
        return Resurrected(await self._inner.announce(record), lambda: self._inner.announce(record))


class LosesFields(Wrapped):
    async def announce(self, record):
        return await self._inner.announce(msgspec.structs.replace(record, labels={}))


class Drops(Wrapped):
    async def watch(self, services):
        count = 0
        async for change in self._inner.watch(services):
            count += 1
            if change.snapshot or count % 2:
                yield change


class OneEpoch(Wrapped):
    """Chance that always gives the same epoch."""

    def getrandbits(self, bits):
        return 7


class TestIgnoresGenerations(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(embedded))
    plant = reducing(_ignores_generations)


class TestRemovesEarly(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(embedded))
    plant = reducing(_removes_early)


class TestTellsNobodyOfARemoval(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(embedded))
    plant = reducing(_tells_nobody_of_a_removal)


class TestDoesNotSayWhoTookIt(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(embedded))
    plant = reducing(_does_not_say_who_took_it)

    @pytest.fixture(autouse=True)
    def nor_later(self, monkeypatch):
        monkeypatch.setattr(ledger.Ledger, "is_taken", lambda self, speaker: False)


class TestOverlooksLostConnections(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(embedded))
    plant = reducing(_overlooks_lost_connections)


class TestGoesBack(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(lambda *made: GoesBack(embedded(*made))))


class TestResurrects(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(lambda *made: Resurrects(embedded(*made))))


class TestLosesFields(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(lambda *made: LosesFields(embedded(*made))))


class TestDropsSomeChanges(RegistrySuite):
    provider = pytest.fixture(lambda self: registry(lambda *made: Drops(embedded(*made))))


class TestStartsAnewUnderAnOldEpoch(RegistrySuite):
    @pytest.fixture
    def provider(self):
        return registry(lambda options, env: embedded(options, msgspec.structs.replace(env, rng=OneEpoch(env.rng))))


class RegistryOverAServer(RegistryUnderFaults):
    """A defect of the registry in a Redis server that can be taken away, and that keeps nothing."""

    server, way, faults = OverAServer.server, OverAServer.way, OverAServer.faults
    settings_of_server = ()
    rng = staticmethod(lambda found: found)

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr(waiting, "WITHIN_S", 2.0)  # more than it takes without the defect

    @pytest.fixture
    def peek(self, server):
        return Hashes(server)

    @pytest.fixture
    def provider(self):
        def build(options, env):
            return self.planted(options, msgspec.structs.replace(env, rng=self.rng(env.rng)))

        return Provider(name="planted", summary="planted", options=RedisRegistryOptions, build=build)

    @pytest.fixture
    def options(self, way):
        return RedisRegistryOptions(url=f"redis://{way.address}/0")


class LooksNoMore(RedisRegistry):
    """After a lost connection it sees nothing."""

    def _gone(self, cause):
        super()._gone(cause)
        self._stop_looking()


class TellsThatAllAreGone(RedisRegistry):
    """Its server is away, so it knows nobody."""

    def _gone(self, cause):
        super()._gone(cause)
        if (state := self._book.state) is not None:
            change = Change(
                epoch=state.epoch, revision=self._book.revision + 1, snapshot=False, nodes=(), gone=tuple(state.entries)
            )
            for inbox in self._inboxes:
                inbox.tell(change)


class LeavesItsRecord(RedisRegistry):
    """Who leaves is silent from then on, and that is all."""

    async def announce(self, record):
        return Stays(await super().announce(record))


class ForgetsGenerations(RedisRegistry):
    """A server that begins anew is told of none that was there."""

    async def run(self, script, *arguments):
        told = (*arguments[:-1], "0") if script is ANNOUNCE else arguments
        return await super().run(script, *told)


class Stays(Wrapped):
    async def withdraw(self):
        self._inner.close()


class TestLooksNoMore(RegistryOverAServer):
    planted = LooksNoMore


class TestTellsThatAllAreGone(RegistryOverAServer):
    planted = TellsThatAllAreGone


class TestLeavesItsRecord(RegistryOverAServer):
    planted = LeavesItsRecord


class TestComesBackAsItWas(RegistryOverAServer):
    planted, rng = ForgetsGenerations, OneEpoch
