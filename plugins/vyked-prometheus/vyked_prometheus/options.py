"""What ``[plugins.options.prometheus]`` may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

DEFAULT_PORT = 9464


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where metrics are served. Port 0 picks a free one; so does the default one when it is taken."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on")] = "127.0.0.1"
    port: Annotated[
        Annotated[int, Meta(ge=0, le=65535)] | None,
        Meta(description=f"port to listen on; default: {DEFAULT_PORT}, or a free one when that is taken"),
    ] = None
    path: Annotated[str, Meta(pattern="^/", description="path of the metrics")] = "/metrics"


def options_of(settings: Mapping[str, Any]) -> Options:
    """The options in a file's `settings`. Raises msgspec.ValidationError."""
    table = settings.get("plugins", {}).get("options", {}).get("prometheus", {})
    return msgspec.convert(table, Options)


def is_insecure(options: Options, settings: Mapping[str, Any]) -> bool:
    """Would metrics be served beyond this machine, although nobody has said that this is meant?"""
    here = options.host in ("localhost", "::1") or options.host.startswith("127.")
    return not here and not settings.get("security", {}).get("insecure", False)
