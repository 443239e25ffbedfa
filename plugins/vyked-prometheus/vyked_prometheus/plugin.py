"""What vyked-host finds through the entry point ``prometheus``: light, everything heavy is imported by the lifespan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from vyked_host.contracts import HostView, hookimpl

from .options import Options, is_insecure, options_of


class Plugin:
    """One object per host: it remembers the options of that host."""

    def __init__(self) -> None:
        self._options = Options()

    @hookimpl
    def vyked_check_settings(self, settings: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Faults in ``[plugins.options.prometheus]``."""
        where = "plugins.options.prometheus"
        try:
            options = options_of(settings)
        except msgspec.ValidationError as error:
            yield where, str(error), f"keys are {', '.join(Options.__struct_fields__)}"
            return
        if is_insecure(options, settings):
            yield (
                f"{where}.host",
                f"{options.host} is beyond this machine",
                "set [security] insecure = true, or 127.0.0.1",
            )

    @hookimpl
    def vyked_configure(self, settings: Mapping[str, Any]) -> None:
        """Remember ``[plugins.options.prometheus]``."""
        self._options = options_of(settings)

    @hookimpl
    def vyked_lifespan(self, host: HostView) -> AbstractAsyncContextManager[Any]:
        """Serve metrics while the host lives."""
        from .server import serving

        return serving(host, self._options)
