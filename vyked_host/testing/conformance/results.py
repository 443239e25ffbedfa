"""The suite for stores of results: each step is that of `routing.claims`, whoever makes it, and however often."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from ...contracts import Claim, Environment, Guarantees, Hold, Provider, Record, ResultStore, claimed, renewed, settled
from .. import waiting
from .suite import Suite

STEPS = 400


class ResultStoreConformance(Suite):
    """Inherit, and write the fixture `provider`; `shared`: objects that are made with the same options have the same records.
    Where results outlive the process, `guarantees` says so (`durability`)."""

    shared: ClassVar[bool] = False

    @pytest_asyncio.fixture
    async def store(self, provider: Provider[Any], options: Any, env: Environment) -> AsyncIterator[ResultStore]:
        """An open store."""
        async with opened(provider, options, env) as (store, _):
            yield store

    async def test_a_key_is_granted_once_and_then_held(self, store: ResultStore, env: Environment) -> None:
        claim = key_and(env, store)
        key = some_key()
        assert (await claim(key, "one")).state == "granted"
        found = await claim(key, "two")
        assert (found.state, found.hold) == ("held", Hold(token="one"))  # noqa: S106 - no password
        assert (await claim(some_key(), "two")).state == "granted"

    async def test_a_claim_that_is_made_twice_is_granted_twice(self, store: ResultStore, env: Environment) -> None:
        claim, key = key_and(env, store), some_key()
        assert [(await claim(key, "one")).state for _ in range(2)] == ["granted", "granted"]

    async def test_of_many_at_once_one_is_granted(self, store: ResultStore, env: Environment) -> None:
        claim, key = key_and(env, store), some_key()
        found = await asyncio.gather(*(claim(key, f"t{at}") for at in range(50)))
        assert sorted(each.state for each in found) == ["granted"] + ["held"] * 49

    async def test_an_outcome_is_given_to_whoever_comes_after(self, store: ResultStore, env: Environment) -> None:
        claim, key = key_and(env, store), some_key()
        for outcome in (b"", b"\x00\xff", b"x" * 100_000):
            key = some_key()
            await claim(key, "one")
            assert await store.settle(key, "one", outcome)
            found = await claim(key, "two")
            assert (found.state, found.outcome) == ("done", outcome)

    async def test_another_payload_is_refused_while_it_runs_and_after(
        self, store: ResultStore, env: Environment
    ) -> None:
        claim, key = key_and(env, store), some_key()
        await claim(key, "one", b"a")
        assert (await claim(key, "two", b"b")).state == "reused"
        await store.settle(key, "one", b"1")
        assert (await claim(key, "three", b"b")).state == "reused"

    async def test_a_key_that_is_settled_without_outcome_is_free(self, store: ResultStore, env: Environment) -> None:
        claim, key = key_and(env, store), some_key()
        await claim(key, "one", b"a")
        assert await store.settle(key, "one", None)
        assert (await claim(key, "two", b"b")).state == "granted"

    async def test_beats_move_and_only_of_who_holds_the_key(self, store: ResultStore, env: Environment) -> None:
        claim, key = key_and(env, store), some_key()
        await claim(key, "one")
        assert await store.renew(key, "one")
        assert not await store.renew(key, "two")
        assert (await claim(key, "two")).hold == Hold(token="one", beat=1)  # noqa: S106
        await store.settle(key, "one", b"1")
        assert not await store.renew(key, "one")

    async def test_who_stood_still_is_taken_over_and_can_settle_nothing(
        self, store: ResultStore, env: Environment
    ) -> None:
        claim, key = key_and(env, store), some_key()
        await claim(key, "one")
        still = (await claim(key, "two")).hold
        await store.renew(key, "one")
        assert (await claim(key, "two", over=still)).state == "held", "it has moved since"
        still = (await claim(key, "two")).hold
        assert (await claim(key, "two", over=still)).state == "granted"
        assert not await store.settle(key, "one", b"late")
        assert not await store.settle(key, "one", None)
        assert await store.settle(key, "two", b"2")
        assert (await claim(key, "three")).outcome == b"2"

    async def test_an_outcome_is_settled_once(self, store: ResultStore, env: Environment) -> None:
        claim, key = key_and(env, store), some_key()
        await claim(key, "one")
        assert [await store.settle(key, "one", each) for each in (b"1", b"2", None)] == [True, True, True]
        assert (await claim(key, "two")).outcome == b"1"

    async def test_whatever_is_done_it_does_what_the_rules_say(self, store: ResultStore, env: Environment) -> None:
        seed = random.randrange(1 << 32)
        rng, known, keys = random.Random(seed), dict[str, Record](), [some_key() for _ in range(4)]
        for at in range(STEPS):
            key, token = rng.choice(keys), f"t{rng.randrange(4)}"
            step = f"step {at} of seed {seed}"
            match rng.randrange(4):
                case 0 | 1:
                    held = known.get(key)
                    over = held.hold if held is not None and rng.random() < 0.3 else None
                    claim = Claim(token=token, digest=rng.choice((b"a", b"a", b"b")), over=over)
                    expected, known[key] = claimed(known.get(key), claim)
                    assert await store.claim(key, claim, deadline=env.clock.now() + waiting.WITHIN_S) == expected, step
                case 2:
                    after = renewed(known.get(key), token)
                    assert await store.renew(key, token) == (after is not None), step
                    known |= {key: after} if after is not None else {}
                case _:
                    held_by, left = settled(known.get(key), token, rng.choice((None, b"1", b"2")))
                    outcome = left.outcome if left is not None else None
                    if held_by and left is not None and known[key].outcome is None:
                        assert await store.settle(key, token, outcome), step
                    else:
                        assert await store.settle(key, token, None) == held_by, step
                    known.pop(key, None)
                    known |= {key: left} if left is not None else {}

    async def test_a_result_lapses(self, provider: Provider[Any], options: Any, env: Environment) -> None:
        if not hasattr(options, "keep"):
            pytest.skip("it has no option `keep`")
        async with opened(provider, msgspec.structs.replace(options, keep=0.2), env) as (store, _):
            claim, key = key_and(env, store), some_key()
            await claim(key, "one")
            await store.settle(key, "one", b"1")

            async with asyncio.timeout(waiting.WITHIN_S):
                while (await claim(key, "two")).state != "granted":  # noqa: ASYNC110 - the store tells nobody
                    await asyncio.sleep(0.02)

    async def test_another_object_sees_the_same_records_exactly_where_it_has_the_same_name(
        self, provider: Provider[Any], options: Any, env: Environment
    ) -> None:
        async with opened(provider, options, env) as (one, name), opened(provider, options, env) as (two, other):
            assert (name == other) == self.shared
            key = some_key()
            await key_and(env, one)(key, "one")
            assert ((await key_and(env, two)(key, "two")).state == "held") == self.shared

    async def test_what_is_durable_is_there_when_it_is_opened_again(
        self, provider: Provider[Any], options: Any, env: Environment, guarantees: Guarantees
    ) -> None:
        key = some_key()
        async with opened(provider, options, env) as (store, first):
            await key_and(env, store)(key, "one")
            await store.settle(key, "one", b"1")
        async with opened(provider, options, env) as (store, second):
            found = await key_and(env, store)(key, "two")
        assert ((found.outcome, first == second) == (b"1", True)) == (guarantees.durability != "memory")

    async def test_closing_twice_is_closing(self, provider: Provider[Any], options: Any, env: Environment) -> None:
        store = provider.build(options, env)
        await store.open()
        await store.aclose()
        await store.aclose()


@asynccontextmanager
async def opened(
    provider: Provider[Any], options: Any, env: Environment
) -> AsyncIterator[tuple[ResultStore, str]]:  # fmt: skip
    """A store and its name."""
    async with AsyncExitStack() as stack:
        store: ResultStore = provider.build(options, env)
        stack.push_async_callback(store.aclose)
        yield store, await store.open()


def some_key() -> str:
    """One that nobody has used."""
    return secrets.token_hex(32)


def key_and(env: Environment, store: ResultStore) -> Callable[..., Any]:
    """A claim of a key by a token."""

    async def claim(key: str, token: str, digest: bytes = b"d", over: Hold | None = None) -> Any:
        wanted = Claim(token=token, digest=digest, over=over)
        return await store.claim(key, wanted, deadline=env.clock.now() + waiting.WITHIN_S)

    return claim
