"""The suite for registries that nodes announce themselves to: watches converge, generations fence, look-ups are pure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from ...contracts import Change, Environment, Generation, Instance, NodeRecord, Provider, Registry, Taken
from ...errors import Unavailable
from .. import waiting
from ..leftovers import leaks
from ..waiting import eventually
from .company import QUICK, Company, company, record
from .registry_faults import RegistryUnderFaults
from .registry_machine import RegistryMachine


class View:
    """What somebody knows who follows a watch; it also checks that the watch keeps the rules."""

    def __init__(self, changes: AsyncIterator[Change], env: Environment) -> None:
        self.nodes: dict[str, tuple[Generation, NodeRecord]] = {}
        self.seen = 0
        self.ended = False
        self._last: Change | None = None
        self.stop = env.tasks(self._follow(changes), "view")

    async def _follow(self, changes: AsyncIterator[Change]) -> None:
        async for change in changes:
            self._apply(change)
        self.ended = True

    def _apply(self, change: Change) -> None:
        last, self._last = self._last, change
        assert last is not None or change.snapshot, "a watch starts with a snapshot"
        if change.snapshot:
            self.nodes.clear()
        elif last is not None:
            assert change.epoch == last.epoch, "a new epoch gives a snapshot"
            assert change.revision > last.revision, "deltas come in order"
        self.nodes |= {node.node_id: (generation, node) for generation, node in change.nodes}
        for node_id in change.gone:
            self.nodes.pop(node_id, None)
        self.seen += 1

    def knows(self, *node_ids: str) -> bool:
        """Are exactly these known?"""
        return sorted(self.nodes) == sorted(node_ids)


@pytest.mark.asyncio
class RegistryConformance(RegistryUnderFaults):
    """Inherit, and write the fixture `provider`. `virtual_time` False: time is real for this registry, since it speaks to a
    server; `reaches` False: it knows the nodes of one process only, so what nodes see of one another is not looked at; `faults` and
    `peek`: cases about bad days of its server; `examples` and `steps`: how long sequences of events are looked at, and how many."""

    virtual_time: ClassVar[bool] = True
    examples: ClassVar[int] = 50
    steps: ClassVar[int] = 30

    @pytest_asyncio.fixture
    async def company(self, provider: Provider[Registry], options: msgspec.Struct) -> AsyncIterator[Company]:
        """Several nodes; a heartbeat is 0.2 s."""
        self._needs_reach()
        async with leaks(), company(provider, options) as found:
            yield found

    @pytest_asyncio.fixture
    async def registry(
        self, provider: Provider[Registry], options: msgspec.Struct, env: Environment
    ) -> AsyncIterator[Registry]:
        """The object under test."""
        registry = provider.build(options, env)
        yield registry
        await registry.aclose()

    async def test_a_watch_starts_with_a_snapshot_also_of_nothing(self, registry: Registry, env: Environment) -> None:
        view = View(registry.watch(None), env)
        await eventually(lambda: view.seen)
        assert view.nodes == {}

    async def test_what_is_announced_updated_and_withdrawn_is_seen(self, registry: Registry, env: Environment) -> None:
        early = View(registry.watch(None), env)
        lease = await registry.announce(record(env, "a", "shop"))
        late = View(registry.watch(None), env)
        await eventually(lambda: early.knows("a") and late.knows("a"))
        changed = record(env, "a", "shop", "cart")
        await lease.update(changed)
        await eventually(lambda: early.nodes["a"][1] == changed and late.nodes["a"][1] == changed)
        await lease.withdraw()
        await eventually(lambda: early.knows() and late.knows())

    async def test_withdrawing_twice_is_harmless(self, registry: Registry, env: Environment) -> None:
        lease = await registry.announce(record(env, "a"))
        await lease.withdraw()
        await lease.withdraw()

    async def test_a_newer_life_fences_the_older(self, registry: Registry, env: Environment) -> None:
        old = await registry.announce(record(env, "a", "shop"))
        new = await registry.announce(record(env, "a", "cart"))
        assert new.generation.epoch == old.generation.epoch
        assert new.generation.counter > old.generation.counter
        await eventually(old.lost.done)
        with pytest.raises(Unavailable):
            await old.update(record(env, "a", "wrong"))
        await old.withdraw()
        view = View(registry.watch(None), env)
        await eventually(lambda: view.knows("a"))
        assert view.nodes["a"] == (new.generation, record(env, "a", "cart"))
        assert not new.lost.done()

    async def test_a_watch_of_services_is_about_these_only(self, registry: Registry, env: Environment) -> None:
        view = View(registry.watch(frozenset({"shop"})), env)
        everything = View(registry.watch(None), env)
        lease = await registry.announce(record(env, "a", "shop"))
        await registry.announce(record(env, "b", "cart"))
        await eventually(lambda: everything.knows("a", "b") and view.knows("a"))
        await lease.update(record(env, "a", "cart"))
        await eventually(lambda: "shop" not in _services(everything, "a"))
        await eventually(lambda: "shop" not in _services(view, "a"))

    async def test_who_does_not_listen_for_a_while_catches_up(self, registry: Registry, env: Environment) -> None:
        slow = registry.watch(None)
        await anext(slow)
        lease = await registry.announce(record(env, "a", "shop"))
        for at in range(500):
            await lease.update(record(env, "a", "shop", version=f"1.{at}.0"))
        await registry.announce(record(env, "b"))
        known: dict[str, NodeRecord] = {}
        seen = 0
        while set(known) != {"a", "b"} or known["a"].instances[0].version != "1.499.0":
            async with asyncio.timeout(waiting.WITHIN_S):
                change = await anext(slow)
            known = {} if change.snapshot else known
            known |= {node.node_id: node for _, node in change.nodes}
            seen += 1
        assert seen <= 502

    async def test_a_record_comes_through_whole(self, company: Company) -> None:
        one, two = await company.join("one"), await company.join("two")
        view = View(two.registry.watch(None), two.env)
        instance = Instance(
            service="shop", version="1.2.3-rc.1", status="draining", requires=("cart", "user"), digest="d", weight=0.25
        )  # fmt: skip
        whole = msgspec.structs.replace(one.record(zone="east", rack="ü"), instances=(instance,))
        lease = await one.registry.announce(whole)
        await eventually(lambda: view.knows("one"))
        assert view.nodes["one"] == (lease.generation, whole)

    async def test_a_lease_renews_itself(self, company: Company) -> None:
        one, two = await company.join("one"), await company.join("two")
        view, now = View(two.registry.watch(None), two.env), one.env.clock.now
        lease = await one.registry.announce(one.record("shop"))
        await eventually(lambda: view.knows("one"))
        until = now() + 2 * QUICK.lease
        await eventually(lambda: now() > until or lease.lost.done() or not view.knows("one"))
        assert not lease.lost.done()
        assert view.knows("one")

    async def test_a_node_that_dies_without_a_word_is_told_gone(self, company: Company) -> None:
        one, two, three = [await company.join(each) for each in ("one", "two", "three")]
        view = View(one.registry.watch(None), one.env)
        for member in (one, two, three):
            await member.registry.announce(member.record("shop"))
        await eventually(lambda: view.knows("one", "two", "three"))
        await two.die()
        await eventually(lambda: view.knows("one", "three"), waiting.WITHIN_S)

    async def test_of_two_processes_with_one_node_id_the_later_has_it_and_the_earlier_is_told(
        self, company: Company
    ) -> None:
        early, late, other = await company.join("same"), await company.join("same"), await company.join("other")
        view = View(other.registry.watch(None), other.env)
        first = await early.registry.announce(early.record("shop"))
        second = await late.registry.announce(late.record("cart"))
        await eventually(first.lost.done)
        assert isinstance(first.lost.result(), Taken)
        assert "same" in first.lost.result()
        await first.withdraw()
        await eventually(lambda: view.nodes.get("same") == (second.generation, late.record("cart")))
        assert not second.lost.done()

    async def test_any_sequence_of_events_leaves_views_that_are_right(
        self, provider: Provider[Registry], options: msgspec.Struct
    ) -> None:
        self._needs_reach()
        machine: Any = partial(RegistryMachine, provider, options, virtual=self.virtual_time)  # as good as a class
        rules = settings(
            max_examples=self.examples, stateful_step_count=self.steps, deadline=None, database=None, derandomize=True,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        try:
            await asyncio.to_thread(run_state_machine_as_test, machine, settings=rules)  # it runs a loop of its own
        except Flaky as flaky:
            found: tuple[Exception, ...] = getattr(
                flaky, "exceptions", ()
            )  # with hypothesis before 6.108 there is only a text
            if self.virtual_time or not found:
                raise
            first = found[0]
            first.add_note("time is real for this registry, and the same steps went well when they were taken again")
            raise first from None

    async def test_closing_ends_watches_and_refuses_what_comes_later(
        self, registry: Registry, env: Environment
    ) -> None:
        view = View(registry.watch(None), env)
        await eventually(lambda: view.seen)
        await registry.aclose()
        await registry.aclose()
        await eventually(lambda: view.ended, waiting.WITHIN_S)
        with pytest.raises(Unavailable):
            await registry.announce(record(env, "a"))


def _services(view: View, node_id: str) -> set[str]:
    found = view.nodes.get(node_id)
    return {each.service for each in found[1].instances} if found else set()
