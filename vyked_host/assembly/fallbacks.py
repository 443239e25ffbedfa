"""``[clients.NAME.fallback]``: what is called in place of a method that could not be, compared with it when the host starts."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from inspect import formatannotation
from typing import Any, get_type_hints

import msgspec

from ..errors import StartError, Unfit
from ..model.description import Dependency, EndpointDescription, Kind
from ..runtime.client import Fallback, ServiceClient
from ..service.base import Contract
from ..service.clients import CallOptions, Invoke
from ..service.inspect import describe
from .services import Planned

ALIKE = "the two have to be alike"
ONE = "leave it out"


def unfit(key: str, text: str, remedy: str) -> Unfit:
    """That the setting `key` does not fit the service that it is about."""
    return Unfit(f"{key}: {text}", key=key, remedy=remedy)


def endpoints_of(contract: object, service: str) -> tuple[EndpointDescription, ...]:
    """What a dependency's contract says that `service` has; empty for a client by name."""
    if isinstance(contract, type) and issubclass(contract, Contract):
        return describe(contract, name=service).endpoints
    return ()


def fallbacks(
    planned: Planned, dependency: Dependency, table: Mapping[str, str], invokers: Mapping[str, ServiceClient]
) -> dict[str, Fallback]:  # fmt: skip
    """Method -> what is called in its place. `invokers`: attribute -> client of the calling service. Raises Unfit."""
    endpoints = {each.name: each for each in endpoints_of(dependency.contract, dependency.service)}
    found: dict[str, Fallback] = {}
    for method, wanted in table.items():
        where = f"clients.{dependency.service}.fallback.{method}"
        if endpoints and method not in endpoints:
            raise unfit(where, f"{dependency.service} has no method {method}", f"it has: {', '.join(endpoints)}")
        endpoint = endpoints.get(method)
        if endpoint is not None and endpoint.kind is not Kind.UNARY:
            raise unfit(where, f"{endpoint.path} has a stream, and a fallback answers with one result", ONE)
        service, _, name = wanted.rpartition(".")
        if service:
            found[method] = _of_other(planned, endpoint, where, service, name, invokers)
        else:
            found[method] = _of_self(planned, endpoint, where, name)
    return found


# ---- a method of another service -------------------------------------------------------------------------------------
def _of_other(
    planned: Planned, endpoint: EndpointDescription | None, where: str, service: str, name: str,
    invokers: Mapping[str, ServiceClient],
) -> Fallback:  # fmt: skip
    there = next((each for each in planned.description.dependencies if each.service == service), None)
    if there is None:
        remedy = f"declare {service} = client(...) in it, or name another one"
        raise unfit(where, f"{planned.description.name} has no client of {service}", remedy)
    known = {each.name: each for each in endpoints_of(there.contract, service)}
    if known and name not in known:
        raise unfit(where, f"{service} has no method {name}", f"it has: {', '.join(known)}")
    if endpoint is not None and name in known:
        _compare(endpoint, known[name], where)
    invoker = invokers.get(there.attribute)

    def bind(called: EndpointDescription) -> Invoke:
        replaced = msgspec.structs.replace(called, service=service, version=there.version or "", name=name)
        if invoker is None:
            raise StartError(f"{where}: {service} is a fake here")
        return invoker.without_fallback(replaced)

    return bind


def _compare(endpoint: EndpointDescription, other: EndpointDescription, where: str) -> None:
    if other.kind is not Kind.UNARY:
        raise unfit(where, f"{other.path} has a stream, and a fallback answers with one result", ONE)
    ours, theirs = _fields(endpoint), _fields(other)
    if ours != theirs:
        raise unfit(where, f"{endpoint.path} takes {_words(ours)}, {other.path} takes {_words(theirs)}", ALIKE)
    if endpoint.result != other.result:
        text = f"{endpoint.path} answers {formatannotation(endpoint.result)}, {other.path} answers {formatannotation(other.result)}"
        raise unfit(where, text, ALIKE)


def _fields(endpoint: EndpointDescription) -> dict[str, Any]:
    return {each.name: each.type for each in msgspec.structs.fields(endpoint.arguments)}


def _words(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {formatannotation(kind)}" for name, kind in fields.items()) or "nothing"


# ---- a method of the calling service ---------------------------------------------------------------------------------
def _of_self(planned: Planned, endpoint: EndpointDescription | None, where: str, name: str) -> Fallback:
    instance = planned.instance
    method = getattr(instance, name, None)
    owner = type(instance).__qualname__
    if not callable(method):
        raise unfit(where, f"{owner} has no method {name!r}", "of another service it would be SERVICE.METHOD")
    if endpoint is not None:
        body = getattr(inspect.getattr_static(type(instance), name), "body", None)  # of a decorated one
        _check_own(endpoint, method if body is None else body.__get__(instance), where, f"{owner}.{name}")
    return lambda _called: _calling(method)


def _check_own(endpoint: EndpointDescription, method: Callable[..., Any], where: str, path: str) -> None:
    fields = _fields(endpoint)
    try:
        inspect.signature(method).bind(**fields)
        hints = get_type_hints(method)
    except (TypeError, NameError) as error:
        raise unfit(where, f"{path} is called with {_words(fields)}: {error}", ALIKE) from error
    wrong = {each: hints[each] for each in fields if each in hints and hints[each] != fields[each]}
    if wrong:
        raise unfit(where, f"{path} takes {_words(wrong)}, {endpoint.path} is given {_words(fields)}", ALIKE)
    if hints.get("return", endpoint.result) != endpoint.result:
        text = f"{path} answers {formatannotation(hints['return'])}, {endpoint.path} answers {formatannotation(endpoint.result)}"
        raise unfit(where, text, ALIKE)


def _calling(method: Callable[..., Any]) -> Invoke:
    async def call(arguments: Any, _inbound: Any, _options: CallOptions | None) -> Any:
        named = (
            arguments
            if isinstance(arguments, dict)
            else {f: getattr(arguments, f) for f in arguments.__struct_fields__}
        )
        result = method(**named)
        return await result if isinstance(result, Awaitable) else result

    return call
