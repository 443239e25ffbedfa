"""What the entry points name. A class, so that two hosts in one process keep their own options."""

from collections.abc import Iterable
from pathlib import Path

from vyked_host.contracts import (
    Balancer,
    Environment,
    Guarantees,
    Middleware,
    NoOptions,
    Provider,
    Serializer,
    Transport,
    hookimpl,
)

from .options import PostOptions, StampOptions


class Plugin:
    def __init__(self) -> None:
        self._ink: Path | None = None

    @hookimpl
    def vyked_transports(self) -> Iterable[Provider[Transport]]:
        given = Guarantees(streams=True, cancels=True, push=True)
        summary = "length-prefixed JSON over TCP"
        return [Provider("post", summary, _post, PostOptions, lambda _options: given)]

    @hookimpl
    def vyked_serializers(self) -> Iterable[Provider[Serializer]]:
        return [Provider(name="mirror", summary="JSON, backwards", build=_mirror)]

    @hookimpl
    def vyked_balancers(self) -> Iterable[Provider[Balancer]]:
        return [Provider(name="lowest", summary="the first by node id", build=_lowest)]

    @hookimpl
    def vyked_middlewares(self) -> Iterable[Provider[Middleware]]:
        return [Provider(name="stamp", summary="a word after each text", options=StampOptions, build=_stamp)]

    @hookimpl
    def vyked_configure(self, settings):
        ink = settings["plugins"]["options"].get("post-office", {}).get("ink")
        self._ink = Path(settings["folder"], ink) if ink else None

    @hookimpl
    def vyked_check_settings(self, settings):
        for name in settings["plugins"]["options"].get("post-office", {}):
            if name != "ink":
                yield f"plugins.options.post-office.{name}", "the post office knows only ink", "leave it out"

    @hookimpl
    def vyked_commands(self):
        return [("telegram", "print TEXT as a telegram", _command)]

    @hookimpl
    def vyked_health_checks(self, host):
        return [("ink", self._has_ink)]

    async def _has_ink(self) -> str | None:
        return None if self._ink is None or self._ink.exists() else f"there is no {self._ink.name}"


def _post(options: PostOptions, env: Environment) -> Transport:
    from .transport import Post

    return Post(options, env)


def _mirror(_options: NoOptions, env: Environment) -> Serializer:
    from .mirror import Mirror

    return Mirror(env)


def _lowest(_options: NoOptions, _env: Environment) -> Balancer:
    from .lowest import Lowest

    return Lowest()


def _stamp(options: StampOptions, _env: Environment) -> Middleware:
    from .stamp import Stamp

    return Stamp(options.word)


def _command():
    from .command import telegram

    return telegram
