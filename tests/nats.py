"""Real NATS servers for the tests of whole meshes: those of the plugin's own tests, which is a suite of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

FILE = Path(__file__).parents[1] / "plugins/vyked-nats/tests/server.py"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vyked_nats_server", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def jetstream() -> Any:
    """A started server with JetStream, on a free port, that keeps its streams over a kill."""
    module = _module()
    return module.NatsServer(module.JETSTREAM).start()
