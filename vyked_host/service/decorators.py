"""The decorators of a service class. Bare or with arguments, stacked in any order over one body: @api over @get makes the
same method callable between services and over HTTP. The ancestor's classes use the same ones.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar, overload

from ..errors import ServiceError, UsageError
from ..model.description import Periodic
from .annotations import answers_with_stream
from .endpoints import Decorated, Endpoint, Event, Marks, Route, StreamEndpoint
from .publishing import publish as publish
from .subscriptions import STRATEGIES, Background, StrategyName, Subscribed, note

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
E = TypeVar("E")
S = TypeVar("S")
E_contra = TypeVar("E_contra")
Same = TypeVar("Same", bound=Callable[..., Any])
Handler = Callable[[S, E], Coroutine[Any, Any, None]]
Work = Callable[[S], Coroutine[Any, Any, None]]


# ---- endpoints -------------------------------------------------------------------------------------------------------
def endpoint_of(subject: Any, decorator: str) -> Decorated:
    """The endpoint that `subject` is, or that its body becomes. Raises UsageError for what is no method."""
    if isinstance(subject, Decorated):
        return subject
    if not inspect.isfunction(subject):
        what = "an event" if isinstance(subject, Event) else f"a {type(subject).__name__}"
        raise UsageError(
            f"@{decorator} decorates a method, not {what}: put it right above the def, without staticmethod"
        )
    if answers_with_stream(subject):
        return StreamEndpoint(subject, Marks())
    return Endpoint(subject, Marks())


class EndpointDecorator:
    """A decorator with its arguments given: takes a body, or what another of them made of one."""

    def __init__(self, name: str, change: Callable[[Decorated], dict[str, Any]]) -> None:
        self._name, self._change = name, change

    @overload
    def __call__(self, endpoint: Endpoint[P, R], /) -> Endpoint[P, R]: ...
    @overload
    def __call__(self, endpoint: StreamEndpoint[P, T], /) -> StreamEndpoint[P, T]: ...
    @overload
    def __call__(self, body: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> Endpoint[P, R]: ...
    @overload
    def __call__(self, body: Callable[Concatenate[Any, P], AsyncIterator[T]], /) -> StreamEndpoint[P, T]: ...  # type: ignore[overload-overlap]  # a stream is also "any result"; first match wins, on purpose
    @overload
    def __call__(self, body: Callable[Concatenate[Any, P], R], /) -> Endpoint[P, R]: ...
    def __call__(self, subject: Any, /) -> Any:
        """The endpoint, with what this decorator says."""
        endpoint = endpoint_of(subject, self._name)
        return endpoint.marked(**self._change(endpoint))


def _decorate(name: str, subject: Any, changes: dict[str, Any]) -> Any:
    decorator = EndpointDecorator(name, lambda _endpoint: changes)
    return decorator if subject is None else decorator(subject)


@overload
def api(
    *, timeout: float | None = ..., idempotent: bool = ..., keyed: bool = ..., blocking: bool = ...,
    raises: Sequence[type[ServiceError]] = ..., concurrency: int | None = ...,
    priority: Literal["high", "normal", "low"] = ..., sensitive: Sequence[str] = ...,
) -> EndpointDecorator: ...  # fmt: skip
@overload
def api(endpoint: Endpoint[P, R], /) -> Endpoint[P, R]: ...
@overload
def api(endpoint: StreamEndpoint[P, T], /) -> StreamEndpoint[P, T]: ...
@overload
def api(body: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> Endpoint[P, R]: ...
@overload
def api(body: Callable[Concatenate[Any, P], AsyncIterator[T]], /) -> StreamEndpoint[P, T]: ...  # type: ignore[overload-overlap]  # as above
@overload
def api(body: Callable[Concatenate[Any, P], R], /) -> Endpoint[P, R]: ...
def api(
    subject: Any = None, /, *, timeout: float | None = None, idempotent: bool = False, keyed: bool = False,
    blocking: bool = False,
    raises: Sequence[type[ServiceError]] = (), concurrency: int | None = None,
    priority: Literal["high", "normal", "low"] = "normal", sensitive: Sequence[str] = (),
) -> Any:  # fmt: skip
    """Make a method callable by other services, under its name.

    `timeout` in seconds bounds each call; `idempotent` lets a call of unknown outcome be tried again; `keyed` keeps what calls
    with an idempotency key gave, and gives it again (``[results]`` says where); `blocking` runs a plain def in a thread; `raises`
    are the application errors that callers get as such; `concurrency` bounds the calls that run at once; of calls that are too many
    those of `priority` "low" are refused first and "high" last; `sensitive` names parameters whose values stay out of logs and traces.
    """
    changes: dict[str, Any] = {"exposed": True, "idempotent": idempotent, "keyed": keyed, "blocking": blocking}
    changes |= {
        "priority": priority,
        "raises": tuple(raises),
        "sensitive": tuple(sensitive),
        "concurrency": concurrency,
    }
    return _decorate("api", subject, changes if timeout is None else changes | {"timeout": timeout})


@overload
def apideprecated(*, replacement_api: str | None = ..., timeout: float | None = ...) -> EndpointDecorator: ...
@overload
def apideprecated(endpoint: Endpoint[P, R], /) -> Endpoint[P, R]: ...
@overload
def apideprecated(endpoint: StreamEndpoint[P, T], /) -> StreamEndpoint[P, T]: ...
@overload
def apideprecated(body: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> Endpoint[P, R]: ...
@overload
def apideprecated(body: Callable[Concatenate[Any, P], AsyncIterator[T]], /) -> StreamEndpoint[P, T]: ...  # type: ignore[overload-overlap]  # as above
@overload
def apideprecated(body: Callable[Concatenate[Any, P], R], /) -> Endpoint[P, R]: ...
def apideprecated(subject: Any = None, /, *, replacement_api: str | None = None, timeout: float | None = None) -> Any:
    """Like @api, or on top of it; callers are warned and told of `replacement_api`."""
    changes: dict[str, Any] = {"exposed": True, "deprecated": True, "replacement": replacement_api or ""}
    return _decorate("apideprecated", subject, changes if timeout is None else changes | {"timeout": timeout})


def texts(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One text, several, or none, as a tuple."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


class RouteDecorator:
    """@get, @post, ...: serves a method over HTTP. `path` in aiohttp's syntax (``/users/{user_name}``) or several;
    without one, ``/`` and the method's name. On the ancestor's HTTPServiceClient: the verb of the request that is sent."""

    def __init__(self, method: str) -> None:
        self._method = method

    @overload
    def __call__(
        self, path: str | Sequence[str] | None = ..., *, required_params: str | Sequence[str] | None = ...,
        timeout: float | None = ..., status: int = ...,
    ) -> EndpointDecorator: ...  # fmt: skip
    @overload
    def __call__(self, endpoint: Endpoint[P, R], /) -> Endpoint[P, R]: ...
    @overload
    def __call__(self, endpoint: StreamEndpoint[P, T], /) -> StreamEndpoint[P, T]: ...
    @overload
    def __call__(self, body: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> Endpoint[P, R]: ...
    @overload
    def __call__(self, body: Callable[Concatenate[Any, P], AsyncIterator[T]], /) -> StreamEndpoint[P, T]: ...  # type: ignore[overload-overlap]  # as above
    @overload
    def __call__(self, body: Callable[Concatenate[Any, P], R], /) -> Endpoint[P, R]: ...
    def __call__(
        self, path: Any = None, *, required_params: str | Sequence[str] | None = None, timeout: float | None = None,
        status: int = 200,
    ) -> Any:  # fmt: skip
        """`required_params` are query parameters without which the answer is 400; `status` is that of a success."""
        bare = path is not None and not isinstance(path, (str, list, tuple))
        route = Route(
            method=self._method,
            paths=() if bare else texts(path),
            required_params=texts(required_params),
            status=status,
        )
        decorator = EndpointDecorator(self._method.lower(), lambda endpoint: self._changes(endpoint, route, timeout))
        return decorator(path) if bare else decorator

    @staticmethod
    def _changes(endpoint: Decorated, route: Route, timeout: float | None) -> dict[str, Any]:
        found: dict[str, Any] = {"routes": (route, *endpoint.marks.routes)}
        return found if timeout is None else found | {"timeout": timeout}


get: Final = RouteDecorator("GET")
post: Final = RouteDecorator("POST")
put: Final = RouteDecorator("PUT")
patch: Final = RouteDecorator("PATCH")
delete: Final = RouteDecorator("DELETE")
head: Final = RouteDecorator("HEAD")
options: Final = RouteDecorator("OPTIONS")
trace: Final = RouteDecorator("TRACE")


# ---- events ----------------------------------------------------------------------------------------------------------
class TopicDecorator(Protocol):
    """@subscribe with a topic: any payload type, since there is no class to compare with."""

    def __call__(self, handler: Handler[S, E], /) -> Handler[S, E]:
        """The handler itself, with a note on it."""
        ...


def _subscribed(decorator: str, subject: Any, said: dict[str, Any]) -> Any:
    if inspect.isfunction(subject):
        note(subject, Subscribed(**said))
        return subject
    if subject is not None and not isinstance(subject, (Event, str)):
        raise UsageError(
            f"@{decorator}({subject!r}) is no event: give what @publish made, such as Identity.password_changed, "
            'or a topic and version="1"'
        )

    def decorate(handler: Same) -> Same:
        note(handler, Subscribed(event=subject, **said))
        return handler

    return decorate


@overload
def subscribe(handler: Same, /) -> Same: ...
@overload
def subscribe(
    event: Event[..., E], /, *, concurrency: int = ..., from_: str | None = ...
) -> Callable[[Handler[S, E]], Handler[S, E]]: ...
@overload
def subscribe(topic: str, /, *, version: str, concurrency: int = ..., from_: str | None = ...) -> TopicDecorator: ...
def subscribe(subject: Any, /, *, version: str | None = None, concurrency: int = 16, from_: str | None = None) -> Any:
    """Call the method for each such event, in every instance, at most once. Bare on a method of a TCPServiceClient:
    the event with the method's name. `from_` asks a bus that keeps events for those since then."""
    return _subscribed("subscribe", subject, {"version": version, "concurrency": concurrency, "since": from_})


@overload
def xsubscribe(handler: Same, /) -> Same: ...
@overload
def xsubscribe(*, strategy: StrategyName | None = ..., may_miss: bool = ...) -> Callable[[Same], Same]: ...
@overload
def xsubscribe(
    event: Event[..., E], /, *, strategy: StrategyName | None = ..., concurrency: int = ..., max_deliveries: int = ...,
    dedupe: bool = ..., may_miss: bool = ...,
) -> Callable[[Handler[S, E]], Handler[S, E]]: ...  # fmt: skip
@overload
def xsubscribe(
    topic: str, /, *, version: str, strategy: StrategyName | None = ..., concurrency: int = ...,
    max_deliveries: int = ..., dedupe: bool = ..., may_miss: bool = ...,
) -> TopicDecorator: ...  # fmt: skip
def xsubscribe(
    subject: Any = None, /, *, version: str | None = None, strategy: StrategyName | None = None, concurrency: int = 16,
    max_deliveries: int = 5, dedupe: bool = False, may_miss: bool = False,
) -> Any:  # fmt: skip
    """Call the method for each such event in one instance of this service, at least once: returning is the ack, raising
    brings it again with backoff, after `max_deliveries` it is a dead letter. `strategy`: who gets it (LEADER, RANDOM,
    DESIGNATION = one owner per key); without one, whoever is free. `may_miss`: a bus that gives each event to one instance at most
    once will do, too."""
    if strategy is not None and strategy not in STRATEGIES:
        raise UsageError(f"@xsubscribe knows no strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}")
    said: dict[str, Any] = {"version": version, "concurrency": concurrency, "max_deliveries": max_deliveries}
    said |= {
        "dedupe": dedupe,
        "may_miss": may_miss,
        "exclusive": True,
        "strategy": STRATEGIES[strategy] if strategy else "any",
    }
    return _subscribed("xsubscribe", subject, said)


# ---- work ------------------------------------------------------------------------------------------------------------
def background(body: Work[S], /) -> Work[S]:
    """Run the method from activation to drain: restarted with backoff when it fails, cancelled first thing in drain."""
    note(body, Background())
    return body


def every(seconds: float, *, jitter: float = 0.0, at_start: bool = False) -> Callable[[Work[S]], Work[S]]:
    """Run the method each `seconds`, from activation to drain, per instance; a failure is logged and counted. `jitter` is
    the share of the interval by which each run may be moved; `at_start` runs it at once, too."""
    if seconds <= 0 or not 0 <= jitter <= 1:
        raise UsageError(
            f"@every(seconds={seconds}, jitter={jitter}): seconds must be above 0, jitter a share from 0 to 1"
        )

    def decorate(body: Work[S]) -> Work[S]:
        note(body, Periodic(handler=body.__name__, seconds=seconds, jitter=jitter, at_start=at_start))
        return body

    return decorate
