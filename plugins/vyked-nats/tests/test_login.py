"""Logging in is nats-py's, by way of names of its that are not public: one that has not got them is refused at start, by its version."""

from abc import abstractmethod
from importlib.metadata import version
from pathlib import Path

import pytest
from nats.aio.client import Client
from vyked_nats.login import KEPT, REPLACED, USED, WANTED, Wire, lacks
from vyked_nats.options import BusOptions
from vyked_nats.server import Servers

from vyked_host import StartError


def test_the_nats_py_that_is_installed_has_what_is_needed():
    assert lacks() == "", "vyked_nats/login.py uses names of nats-py that are not public, and this version has others"


def test_no_other_can_be_installed_beside_this_plugin():
    assert f"\n    {WANTED}\n" in Path(__file__).parent.with_name("setup.cfg").read_text()


@pytest.mark.parametrize("name", [*REPLACED, *USED])
def test_one_that_has_not_what_is_replaced_or_used_is_refused(name):
    names = {each: getattr(Client, each) for each in dir(Client) if not each.startswith("__") and each != name}
    assert name in lacks(type("Other", (), names), Wire)


def test_one_that_does_it_otherwise_is_refused():
    class Other(Client):
        def _read_loop(self):
            """No coroutine."""

    assert "_read_loop that is a coroutine" in lacks(Other, Wire)


@pytest.mark.parametrize("name", KEPT)
def test_one_that_keeps_what_is_looked_at_elsewhere_is_refused(name):
    class Other(Client):
        def __init__(self):
            super().__init__()
            delattr(self, name)

    assert name in lacks(Other, Wire)


def test_one_whose_transports_can_do_more_is_refused():
    class More(Wire):
        @abstractmethod
        def rewind(self): ...

    assert "a Transport without rewind" in lacks(Client, More)


async def test_it_is_refused_at_start_with_its_version_and_the_remedy(env, monkeypatch):
    monkeypatch.delattr(Client, "_flusher")
    with pytest.raises(StartError) as found:
        Servers(BusOptions(), env, "pubsub.nats")
    assert str(found.value).startswith(f"[pubsub.nats]: nats-py {version('nats-py')} can't be used: it has no _flusher")
    assert str(found.value).endswith(f"pip install '{WANTED}'")
