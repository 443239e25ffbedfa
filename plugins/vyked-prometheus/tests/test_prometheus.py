"""/metrics over a real socket, read back with Prometheus' own parser."""

import socket
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from vyked_prometheus.options import Options
from vyked_prometheus.plugin import Plugin
from vyked_prometheus.server import serving

from vyked_host import StartError
from vyked_host.loading import load

CALLS = {
    "ok": 3, "failed": 1, "codes": {"NOT_FOUND": 1}, "in_flight": 2, "late": 0, "total_s": 0.5,
    "histogram_us_log2": [0, 1, 2, 1] + [0] * 35 + [0],
}  # fmt: skip
STATISTICS: dict[str, Any] = {
    "node": "n1",
    "phase": "serving",
    "calls": {"identity.find": {**CALLS, "side": "server"}},
    "clients": {"identity.find": {**CALLS, "side": "client", "ok": 7}},
    "events": {
        "published": 5,
        "failed": 1,
        "consumers": {"mail.welcome": {**CALLS, "side": "consumer", "gaps": 4}},
        "groups": [
            {
                "topic": "identity.created@1",
                "group": "mail@1",
                "members": 1,
                "waiting": 7,
                "in_flight": 2,
                "oldest_s": 12.5,
                "dead": 1,
            },
            {
                "topic": "identity.created@1",
                "group": "x@1",
                "members": 1,
                "waiting": -1,
                "in_flight": 0,
                "oldest_s": 0.0,
                "dead": 0,
            },
        ],
    },
    "connections": {"tcp": 6, "http": 0},
    "in_flight": {"running": 3, "limit": 12, "most": 1024, "refused": 40},
    "loop_lag_s": 0.002,
    "loop_late": 3,
}


def host(statistics: Any = STATISTICS) -> Any:
    return SimpleNamespace(statistics=lambda: statistics)


async def fetch(url: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


class Samples(dict[tuple[str, frozenset[str]], float]):
    """Values by the name and the labels' values, whose order does not count."""

    def __init__(self, found: Any) -> None:
        super().__init__(((sample.name, frozenset(sample.labels.values())), sample.value) for sample in found)

    def at(self, name: str, *labels: str) -> float:
        return self[name, frozenset(labels)]


async def samples(statistics: Any = STATISTICS) -> Samples:
    async with serving(host(statistics), Options(port=0)) as url:
        status, content_type, text = await fetch(url)
    assert status == 200
    assert content_type.startswith("text/plain")
    families = text_string_to_metric_families(text)
    return Samples(sample for family in families for sample in family.samples)


async def test_calls_of_both_sides_by_outcome() -> None:
    found = await samples()
    assert found.at("vyked_calls_total", "identity", "find", "server", "ok") == 3
    assert found.at("vyked_calls_total", "identity", "find", "server", "NOT_FOUND") == 1
    assert found.at("vyked_calls_total", "identity", "find", "client", "ok") == 7
    assert found.at("vyked_calls_in_flight", "identity", "find", "server") == 2


async def test_durations_are_cumulative_and_in_seconds() -> None:
    found = await samples()
    name, labels = "vyked_call_duration_seconds", ("identity", "find", "server")
    assert found.at(f"{name}_bucket", *labels, "1e-06") == 0
    assert found.at(f"{name}_bucket", *labels, "2e-06") == 1
    assert found.at(f"{name}_bucket", *labels, "4e-06") == 3
    assert found.at(f"{name}_bucket", *labels, "+Inf") == found.at(f"{name}_count", *labels) == 4
    assert found.at(f"{name}_sum", *labels) == 0.5


async def test_events_connections_and_loop_lag() -> None:
    found = await samples()
    assert found.at("vyked_events_published_total") == 5
    assert found.at("vyked_events_not_published_total") == 1
    assert found.at("vyked_events_handled_total", "mail.welcome", "NOT_FOUND") == 1
    assert found.at("vyked_events_missed_total", "mail.welcome") == 4
    assert found.at("vyked_connections", "tcp") == 6
    assert found.at("vyked_connections", "http") == 0
    assert found.at("vyked_loop_lag_seconds") == 0.002
    assert found.at("vyked_loop_late_total") == 3


async def test_places_for_calls() -> None:
    found = await samples()
    assert found.at("vyked_in_flight_calls") == 3
    assert found.at("vyked_in_flight_limit") == 12
    assert found.at("vyked_in_flight_limit_configured") == 1024
    assert found.at("vyked_overload_refused_total") == 40
    unbounded = await samples(STATISTICS | {"in_flight": {"running": 3, "limit": None, "most": None, "refused": 0}})
    assert ("vyked_in_flight_limit", frozenset()) not in unbounded


async def test_how_far_groups_are_behind() -> None:
    found = await samples()
    assert found.at("vyked_group_events_waiting", "identity.created@1", "mail@1") == 7
    assert found.at("vyked_group_events_in_flight", "identity.created@1", "mail@1") == 2
    assert found.at("vyked_group_oldest_event_age_seconds", "identity.created@1", "mail@1") == 12.5
    assert found.at("vyked_group_dead_letters", "identity.created@1", "mail@1") == 1
    assert ("vyked_group_events_waiting", frozenset({"identity.created@1", "x@1"})) not in found  # the bus can't say


async def test_a_host_that_has_done_nothing_has_metrics() -> None:
    idle = {
        **STATISTICS,
        "calls": {},
        "clients": {},
        "events": {"published": 0, "failed": 0, "consumers": {}},
        "connections": {},
    }
    assert (await samples(idle)).at("vyked_events_published_total") == 0


async def test_openmetrics_when_asked() -> None:
    async with serving(host(), Options(port=0)) as url, aiohttp.ClientSession() as session:
        async with session.get(url, headers={"Accept": "application/openmetrics-text"}) as answer:
            assert "openmetrics" in answer.headers["Content-Type"]
            assert (await answer.text()).rstrip().endswith("# EOF")
        async with session.get(url.replace("/metrics", "/other")) as answer:
            assert answer.status == 404


async def test_a_taken_port_says_which_and_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"127\.0\.0\.1:{port}.*\[plugins\.options\.prometheus\] port"):
            async with serving(host(), Options(port=port)):
                pytest.fail("the port is taken")


async def test_a_second_host_on_the_machine_takes_a_free_port() -> None:
    async with serving(host(), Options()) as first, serving(host(), Options()) as second:
        assert first != second
        assert (await fetch(second))[0] == 200


async def test_the_port_is_free_again_afterwards() -> None:
    async with serving(host(), Options(port=0)) as url:
        pass
    with pytest.raises(aiohttp.ClientConnectionError):
        await fetch(url)


def settings(**options: Any) -> dict[str, Any]:
    return {"plugins": {"options": {"prometheus": options}}, "security": {"insecure": False}}


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"prot": 1}, "prot"),
        ({"port": -1}, "port"),
        ({"path": "metrics"}, "path"),
        ({"host": "0.0.0.0"}, "beyond this machine"),
    ],
)
def test_faults_in_the_options_are_found_by_check(options: dict[str, Any], fault: str) -> None:
    ((path, text, remedy),) = Plugin().vyked_check_settings(settings(**options))
    assert path.startswith("plugins.options.prometheus")
    assert fault in text
    assert remedy


def test_good_options_are_no_fault() -> None:
    for good in (
        {},
        settings(),
        settings(port=0, host="::1"),
        settings(host="0.0.0.0") | {"security": {"insecure": True}},
    ):
        assert list(Plugin().vyked_check_settings(good)) == []


async def test_a_host_gets_it_as_a_lifespan_with_the_options_of_its_file() -> None:
    catalogue = load(environ={})
    catalogue.hooks.configure(settings(port=0, path="/numbers"))
    (lifespan,) = [each for each in catalogue.hooks.lifespans(host()) if each.plugin.startswith("vyked-prometheus")]
    async with lifespan.context as url:
        assert (await fetch(str(url)))[0] == 200
        assert str(url).endswith("/numbers")
