"""Calls through a client: typed proxies, options, streams, clients by name, and what they refuse."""

import dis
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from vyked_host.errors import UsageError
from vyked_host.model.description import Dependency
from vyked_host.service.base import Contract, Service
from vyked_host.service.clients import CallOptions, DynamicClient, proxy, remote
from vyked_host.service.decorators import api, get, publish
from vyked_host.service.inspect import describe

from .doubles import Loopback


class Sums(Service, name="sums", version="1.4.2"):
    @api
    async def add(self, a: int, b: int = 10, *, times: int = 1) -> int:
        return (a + b) * times

    @api
    async def total(self, numbers: AsyncIterator[int], factor: int = 1) -> int:
        return factor * sum([each async for each in numbers])

    @api
    async def upto(self, stop: int) -> AsyncIterator[int]:
        for number in range(stop):
            yield number

    @api
    async def doubled(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in numbers:
            yield 2 * number

    @get("/raw")
    async def raw(self, request: web.Request) -> web.Response: ...

    @publish
    def summed(self, a: int) -> int:
        return a

    async def private(self) -> None: ...


async def numbers(*given: int) -> AsyncIterator[int]:
    for each in given:
        yield each


@pytest.fixture
def loopback() -> Loopback:
    return Loopback(Sums())


@pytest.fixture
def sums(loopback: Loopback) -> Sums:
    return remote(Sums, loopback)


async def test_a_call_is_plain_python(sums: Sums) -> None:
    assert await sums.add(1) == 11
    assert await sums.add(b=1, a=1, times=3) == 6


class Positions(Loopback):
    """One that can do without the Struct."""

    def __init__(self, instance: Service) -> None:
        super().__init__(instance)
        self.given: list[tuple[Any, ...]] = []

    def bind(self, endpoint: Any) -> Any:
        return Near(super().bind(endpoint), endpoint.arguments, self.given)


class Pairs(Contract, name="sums", version="1.0"):
    @api
    async def add(self, a: int, b: int = 10) -> int:
        raise NotImplementedError


class Near:
    def __init__(self, call: Any, arguments: Any, seen: list[tuple[Any, ...]]) -> None:
        self.call, self.arguments, self.seen = call, arguments, seen

    def __call__(self, *rest: Any) -> Any:
        return self.call(*rest)

    def given(self, values: tuple[Any, ...]) -> Any:
        self.seen.append(values)
        return self.call(self.arguments(*values), None, None)


async def test_where_all_arguments_are_given_by_position_their_struct_is_left_out() -> None:
    loopback = Positions(Sums())
    pairs, sums = remote(Pairs, loopback), remote(Sums, loopback)
    assert [await pairs.add(1, 2), await pairs.add(1), await pairs.add(1, b=2)] == [3, 11, 3]
    assert await pairs.add.using(timeout=1.0)(1, 2) == 3
    assert await sums.add(1, 2) == 3  # it has one more, which can't be given so
    with pytest.raises(TypeError, match=r"sums\.add\(a: int, b: int = 10\)"):
        pairs.add(1, 2, 3)  # type: ignore[call-arg]
    assert loopback.given == [(1, 2)]


async def test_streams_go_both_ways(sums: Sums) -> None:
    assert await sums.total(numbers(1, 2)) == 3
    assert await sums.total(factor=2, numbers=numbers(1, 2)) == 6
    assert [each async for each in sums.upto(3)] == [0, 1, 2]
    assert [each async for each in sums.doubled(numbers(1, 2))] == [2, 4]


async def test_options_are_of_one_call_and_add_up(sums: Sums, loopback: Loopback) -> None:
    await sums.add.using(timeout=1.0, entity="ada").using(timeout=2.0, metadata={"a": "b"})(1)
    await sums.add(1)
    assert loopback.options == [CallOptions(timeout=2.0, entity="ada", metadata={"a": "b"}), None]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"entity": 5}, "Expected `str | null`, got `int` - at `$.entity`; it takes timeout"),
        ({"idempotency_key": 5}, "Expected `str | null`, got `int` - at `$.idempotency_key`"),
        ({"instance": b"n1"}, "at `$.instance`"),
        ({"timeout": "5"}, "Expected `float | null`, got `str` - at `$.timeout`"),
        ({"metadata": {"a": 1}}, "Expected `str`, got `int` - at `$.metadata[...]`"),
        ({"metadata": {1: "a"}}, "Expected `str`, got `int` - at `key` in `$.metadata`"),
        ({"metadata": ["a"]}, "at `$.metadata`"),
        ({"entityy": "a"}, "unknown field `entityy`; it takes timeout"),
    ],
)
def test_options_that_are_none_are_refused_where_they_are_given(sums: Sums, given: dict[str, Any], says: str) -> None:
    for bound, name in (sums.add, "sums.add"), (sums.upto, "sums.upto"):
        with pytest.raises(TypeError) as caught:
            bound.using(**given)
        assert str(caught.value).startswith(f"{name}.using: ")
        assert says in str(caught.value)


async def test_streams_take_options_too(sums: Sums, loopback: Loopback) -> None:
    assert [each async for each in sums.upto.using(instance="n1")(1)] == [0]
    await sums.total.using(timeout=1.0)(numbers())
    assert loopback.options == [CallOptions(instance="n1"), CallOptions(timeout=1.0)]


@pytest.mark.parametrize(
    ("call", "signature"),
    [
        (lambda sums: sums.add(), r"sums\.add\(a: int, b: int = 10, times: int = 1\)"),
        (lambda sums: sums.add(1, c=2), r"sums\.add\(a: int"),
        (lambda sums: sums.add(1, 2, 3), r"sums\.add\(a: int"),
        (lambda sums: sums.total(), r"sums\.total\(numbers: AsyncIterator, factor: int = 1\)"),
        (lambda sums: sums.total([1]), "has to be an async iterator"),
        (lambda sums: sums.total(numbers(), 1, 2), r"sums\.total\(numbers"),
        (lambda sums: sums.upto(), r"sums\.upto\(stop: int\)"),
    ],
)
def test_wrong_arguments_are_a_type_error_with_the_signature(sums: Sums, call: Any, signature: str) -> None:
    with pytest.raises(TypeError, match=signature):
        call(sums)


def test_what_a_client_can_t_do_says_so(sums: Sums) -> None:
    proxied: Any = sums
    with pytest.raises(UsageError, match=r"sums\.summed is published by its own service"):
        proxied.summed(1)
    with pytest.raises(UsageError, match="is published"):
        proxied.summed.using(key="a")
    with pytest.raises(UsageError, match=r"sums\.raw answers with a raw HTTP response"):
        proxied.raw()
    with pytest.raises(AttributeError, match=r"Sums\.private is no endpoint.*@api"):
        _ = proxied.private
    with pytest.raises(AttributeError, match=r"Sums\.ad does not exist; sums has: add, doubled"):
        _ = proxied.ad
    assert repr(proxied) == "<client of sums>"


def test_the_hot_path_looks_up_nothing_by_name(sums: Sums) -> None:
    names = {each.argval for each in dis.get_instructions(sums.add) if each.opname.startswith("LOAD_GLOBAL")}
    assert names <= {"TypeError", "misfit"}


class SumsApi(Contract, name="sums", version="1.0"):
    @api
    async def add(self, a: int) -> int:
        raise NotImplementedError


async def test_a_contract_is_enough_to_call(loopback: Loopback) -> None:
    assert await remote(SumsApi, loopback).add(1) == 11
    assert loopback.bound[0].version == "1.0.0"


async def test_a_dependency_says_which_name_and_version_is_called(loopback: Loopback) -> None:
    dependency = Dependency(attribute="sums", service="twin", version="1.2.0", contract=SumsApi)
    assert await proxy(dependency, loopback).add(1) == 11
    assert {(each.service, each.version) for each in loopback.bound} == {("twin", "1.2.0")}


async def test_a_client_by_name_takes_any_method_and_keywords(loopback: Loopback) -> None:
    sums = proxy(Dependency(attribute="sums", service="sums", version=None), loopback)
    assert isinstance(sums, DynamicClient)
    assert await sums.add(a=1, b=2) == 3
    assert await sums.add.using(timeout=1.0)(a=1) == 11
    assert loopback.options[-1] == CallOptions(timeout=1.0)
    assert len([each for each in loopback.bound if each.name == "add"]) == 1
    with pytest.raises(TypeError, match="keyword arguments only"):
        sums.add(1)
    with pytest.raises(AttributeError, match="private"):
        _ = sums._add


def test_a_service_and_its_client_share_the_struct_of_arguments(loopback: Loopback) -> None:
    remote(Sums, loopback)
    served = {each.name: each.arguments for each in describe(Sums).endpoints}
    assert all(each.arguments is served[each.name] for each in loopback.bound)
