"""The kit over every provider of the installed catalogue, and over every distribution that offers one.

One class is made for each entry, as `vyked-host plugins verify` makes it; `SERVERS` are fixtures of real ones, whose `url` goes
into the options. An entry of a kind that has a suite is never left out silently.
"""

import pytest

from tests.valkey import Valkey
from vyked_host.loading import load
from vyked_host.testing.verifying import installed

SERVERS = {
    ("pubsub", "redis"): "valkey",
    ("pubsub", "redis-streams"): "valkey",
    ("registry", "redis"): "valkey",
    ("results", "redis"): "valkey",
}
OTHERWISE = {
    ("pubsub", "classic"): "its groups need a registry of Vyked 2.x: plugins/vyked-classic/tests",
    ("registry", "classic"): "it registers services at a registry of Vyked 2.x: plugins/vyked-classic/tests",
    ("transport", "classic"): "the wire of Vyked 2.x carries less than the kit asks for: plugins/vyked-classic/tests",
    ("pubsub", "nats"): "its server comes with its own tests: plugins/vyked-nats/tests",
    ("registry", "nats"): "its server comes with its own tests: plugins/vyked-nats/tests",
    ("pubsub", "nats-jetstream"): "its server comes with its own tests: plugins/vyked-nats/tests",
    ("transport", "nats"): "its server comes with its own tests: plugins/vyked-nats/tests",
}

CATALOGUE = load()
ENTRIES = [entry for entry in CATALOGUE.entries if entry.kind in installed.SUITES]


@pytest.fixture(scope="module")
def valkey():
    server = Valkey().start()
    yield server
    server.close()


def suite_of(entry):
    how = installed.told(entry)
    server = SERVERS.get((entry.kind, entry.name))
    if server is None:
        return installed.suite_of(CATALOGUE, entry, how, {})

    @pytest.fixture
    def options(self, provider, request):
        return installed.options_of(provider, {"url": request.getfixturevalue(server).url})

    made = installed.suite_of(CATALOGUE, entry, how, {})
    made.options = options
    return made


globals().update(
    {installed.class_name(entry): suite_of(entry) for entry in ENTRIES if (entry.kind, entry.name) not in OTHERWISE}
)
globals().update(
    {
        made.__name__: made
        for made in (
            installed.packaging_of(dist)
            for dist in sorted({e.dist for e in CATALOGUE.entries if e.group == "vyked_host.plugins"})
        )
    }
)


def test_every_provider_of_this_repository_was_found():
    found = {(entry.kind, entry.name) for entry in ENTRIES}
    assert {*SERVERS, *OTHERWISE, ("serializer", "json"), ("serializer", "msgpack"), ("balancer", "random")} <= found
