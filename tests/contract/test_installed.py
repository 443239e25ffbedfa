"""The kit over every provider of the installed catalogue, and over every distribution that offers one.

One class is made for each entry; what an entry needs beside the defaults (a free port, a short ack wait, what it promises
beyond the minimum) stands in `NEEDS`; `server` is the fixture of a real one, whose `url` goes into the options. An entry of a kind that has a suite is never left out silently.
"""

import msgspec
import pytest

from tests.valkey import Valkey
from vyked_host.loading import load
from vyked_host.testing import (
    BalancerConformance,
    PluginConformance,
    PubSubConformance,
    RegistryConformance,
    ResultStoreConformance,
    SerializerConformance,
    TransportConformance,
)

SUITES = {
    "balancer": BalancerConformance,
    "pubsub": PubSubConformance,
    "registry": RegistryConformance,
    "results": ResultStoreConformance,
    "serializer": SerializerConformance,
    "transport": TransportConformance,
}
NEEDS = {
    ("balancer", "hash"): {"affine": True},
    ("pubsub", "embedded"): {"ack_wait_s": 0.2, "changes": {"ack_wait": 0.2}},
    ("pubsub", "redis"): {"server": "valkey"},
    ("pubsub", "redis-streams"): {"server": "valkey", "ack_wait_s": 0.3, "changes": {"ack_wait": 0.3}},
    ("registry", "redis"): {"server": "valkey", "virtual_time": False, "examples": 4, "steps": 12},
    ("results", "redis"): {"server": "valkey", "shared": True},
    ("results", "sqlite"): {"shared": True},
    ("transport", "http"): {"changes": {"port": 0}},
    ("transport", "tcp"): {"changes": {"port": 0}},
}
OTHERWISE = {
    ("pubsub", "classic"): "its groups need a registry of Vyked 2.x: plugins/vyked-classic/tests",
    ("pubsub", "nats"): "its server comes with its own tests: plugins/vyked-nats/tests",
    ("pubsub", "nats-jetstream"): "its server comes with its own tests: plugins/vyked-nats/tests",
    ("registry", "classic"): "it registers services at a registry of Vyked 2.x: plugins/vyked-classic/tests",
    ("registry", "nats"): "its server comes with its own tests: plugins/vyked-nats/tests",
    ("registry", "static"): "no node announces itself to it: tests/unit/static",
    ("transport", "classic"): "the wire of Vyked 2.x carries less than the kit asks for: plugins/vyked-classic/tests",
    ("transport", "nats"): "its server comes with its own tests: plugins/vyked-nats/tests",
    ("transport", "local"): "has no other end: tests/unit/local",
}

CATALOGUE = load()
ENTRIES = [entry for entry in CATALOGUE.entries if entry.kind in SUITES]


@pytest.fixture(scope="module")
def valkey():
    server = Valkey().start()
    yield server
    server.close()


def suite_of(entry):
    needs = dict(NEEDS.get((entry.kind, entry.name), {}))
    changes = needs.pop("changes", {})
    server = needs.pop("server", None)

    @pytest.fixture
    def provider(self):
        return CATALOGUE.provider(entry.kind, entry.name)

    @pytest.fixture
    def options(self, provider, request):
        found = {"url": request.getfixturevalue(server).url} if server else {}
        return msgspec.structs.replace(provider.options(), **changes, **found)

    return type(class_name(entry), (SUITES[entry.kind],), {"provider": provider, "options": options, **needs})


def class_name(entry):
    return "Test" + "".join(part.title() for part in (entry.kind, *entry.name.replace("-", "_").split("_")))


def packaging_of(distribution):
    fixture = pytest.fixture(lambda self: distribution)
    return type(
        f"TestPackaging{distribution.title().replace('-', '')}", (PluginConformance,), {"distribution": fixture}
    )


globals().update({class_name(entry): suite_of(entry) for entry in ENTRIES if (entry.kind, entry.name) not in OTHERWISE})
globals().update(
    {
        made.__name__: made
        for made in (
            packaging_of(dist)
            for dist in sorted({e.dist for e in CATALOGUE.entries if e.group == "vyked_host.plugins"})
        )
    }
)


def test_every_provider_of_this_repository_was_found():
    found = {(entry.kind, entry.name) for entry in ENTRIES}
    assert {*NEEDS, *OTHERWISE, ("serializer", "json"), ("serializer", "msgpack"), ("balancer", "random")} <= found
