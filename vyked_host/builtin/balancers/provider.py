"""Entry point of the balancers `least_pending`, `ewma`, `random`, `weighted`, `round_robin` and `hash`."""

from __future__ import annotations

from collections.abc import Iterable

from ...contracts import Balancer, Environment, NoOptions, Provider, hookimpl


@hookimpl
def vyked_balancers() -> Iterable[Provider[Balancer]]:
    """The strategies of the host itself."""
    return [
        Provider(name="least_pending", summary="the less busy of two taken by chance", build=_least_pending),
        Provider(
            name="ewma", summary="the one of two that answers sooner, by latency and calls in flight", build=_ewma
        ),
        Provider(name="random", summary="any instance, with equal chance", build=_random),
        Provider(name="weighted", summary="any instance, with chances by weight", build=_weighted),
        Provider(name="round_robin", summary="one instance after the other", build=_round_robin),
        Provider(name="hash", summary="the same instance for the same entity, in every client", build=_hash),
    ]


def _least_pending(_options: NoOptions, env: Environment) -> Balancer:
    from .load import LeastPending

    return LeastPending(env.rng.random)


def _ewma(_options: NoOptions, env: Environment) -> Balancer:
    from .load import PeakEwma

    return PeakEwma(env.rng.random, env.clock.now)


def _random(_options: NoOptions, env: Environment) -> Balancer:
    from .spread import Random

    return Random(env.rng.random)


def _weighted(_options: NoOptions, env: Environment) -> Balancer:
    from .spread import Weighted

    return Weighted(env.rng.random)


def _round_robin(_options: NoOptions, env: Environment) -> Balancer:
    from .spread import RoundRobin

    return RoundRobin(env.rng.random)


def _hash(_options: NoOptions, env: Environment) -> Balancer:
    from .affinity import Hash

    return Hash(env.rng.random)
