"""What `vyked-host run` does around a host."""

from __future__ import annotations

import asyncio
import gc

import pytest

from vyked_host import Service, api
from vyked_host.assembly import Host
from vyked_host.assembly.run import _serve

ORDER: list[str] = []


class Shop(Service, name="shop", version="1.0.0"):
    async def on_start(self) -> None:
        ORDER.append("services")

    @api
    async def buy(self) -> None: ...


async def test_the_collector_looks_through_what_start_up_made_before_anybody_can_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes some 80 ms, in which nobody is answered."""
    host = Host(Shop, text="[plugins]\nautoload = false\n[transports.tcp]\nport = 0\n")

    def collect() -> int:
        assert host._node is not None
        ORDER.append(f"collector, {len(host._node.listeners)} listeners")
        return 0

    monkeypatch.setattr(gc, "collect", collect)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)

    def started(host: Host, _seconds: float) -> None:
        ORDER.append("told")
        asyncio.get_running_loop().call_soon(lambda: host.node.stop_asked and host.node.stop_asked())

    ORDER.clear()
    assert await _serve(host, started) == 0
    assert ORDER == ["services", "collector, 0 listeners", "told"]
