"""Entry point of the balancers `random`, `round_robin`, `least_pending` and `hash`."""

from __future__ import annotations

from collections.abc import Iterable

from ...contracts import Balancer, Environment, NoOptions, Provider, hookimpl


@hookimpl
def vyked_balancers() -> Iterable[Provider[Balancer]]:
    """The strategies of the host itself."""
    return [
        Provider(name="random", summary="any instance, with equal chance", build=_random),
        Provider(name="round_robin", summary="one instance after the other", build=_round_robin),
        Provider(name="least_pending", summary="the less busy of two taken by chance", build=_least_pending),
        Provider(name="hash", summary="the same instance for the same entity, in every client", build=_hash),
    ]


def _random(_options: NoOptions, env: Environment) -> Balancer:
    from .strategies import Random

    return Random(env.rng.random)


def _round_robin(_options: NoOptions, env: Environment) -> Balancer:
    from .strategies import RoundRobin

    return RoundRobin(env.rng.random)


def _least_pending(_options: NoOptions, env: Environment) -> Balancer:
    from .strategies import LeastPending

    return LeastPending(env.rng.random)


def _hash(_options: NoOptions, env: Environment) -> Balancer:
    from .strategies import Hash

    return Hash(env.rng.random)
