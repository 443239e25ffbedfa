"""Plugins with a defect each, under the kit. Not collected by itself: test_planted.py runs it and reads what failed."""

import asyncio
import json

import msgspec
import pytest

from vyked_host.builtin.balancers.strategies import RoundRobin
from vyked_host.builtin.embedded.events.bus import EmbeddedBus
from vyked_host.builtin.embedded.options import BusOptions
from vyked_host.builtin.embedded.provider import guarantees
from vyked_host.builtin.serializers.codecs import Json
from vyked_host.builtin.tcp.options import Options
from vyked_host.builtin.tcp.provider import vyked_transports
from vyked_host.contracts import LimitsTable, Provider, Verdict
from vyked_host.testing import (
    BalancerConformance,
    PubSubConformance,
    SerializerConformance,
    TransportConformance,
    waiting,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(waiting, "WITHIN_S", 0.4)


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


# ---- balancers -------------------------------------------------------------------------------------------------------
class Remembers(RoundRobin):
    known = ()

    def update(self, candidates):
        self.known = (*self.known, *candidates)
        super().update(self.known)


class Favours(RoundRobin):
    def choose(self, call):
        return self._candidates[0]


def balancer(planted):
    return Provider(name="planted", summary="planted", build=lambda options, env: planted(env.rng.random))


class TestLeavesTheCandidates(BalancerConformance):
    provider = pytest.fixture(lambda self: balancer(Remembers))


class TestHasAFavourite(BalancerConformance):
    provider = pytest.fixture(lambda self: balancer(Favours))


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
