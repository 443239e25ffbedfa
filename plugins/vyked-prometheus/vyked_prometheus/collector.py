"""The host's statistics as metric families, in Prometheus' base units and names. Read when scraped, never in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

Statistics = Mapping[str, Any]
CALL = ("service", "method", "side")
GROUP = (
    ("waiting", "vyked_group_events_waiting", "Events that nobody of the group has yet"),
    ("in_flight", "vyked_group_events_in_flight", "Events that members of the group have, and have not settled"),
    ("oldest_s", "vyked_group_oldest_event_age_seconds", "How long ago the oldest of both was published"),
    ("dead", "vyked_group_dead_letters", "Events that the group has given up"),
)
PLACES = (
    ("running", "vyked_in_flight_calls", "Calls that run now"),
    ("limit", "vyked_in_flight_limit", "Calls that may run at once now"),
    ("most", "vyked_in_flight_limit_configured", "Calls that may run at once by the configuration"),
)


class HostCollector(Collector):
    """Collects from `statistics` (HostView.statistics)."""

    def __init__(self, statistics: Callable[[], Statistics]) -> None:
        self._statistics = statistics

    def collect(self) -> Iterable[Metric]:
        """Every family, from one look at the host."""
        statistics = self._statistics()
        yield from _calls([*statistics["calls"].items(), *statistics["clients"].items()])
        yield from _events(statistics["events"])
        yield from _places(statistics.get("in_flight", {}))
        yield _connections(statistics["connections"])
        yield GaugeMetricFamily(
            "vyked_loop_lag_seconds", "How late the event loop runs its timers", statistics["loop_lag_s"]
        )
        yield CounterMetricFamily(
            "vyked_loop_late", "How often the event loop came 0.1 s late or more", value=statistics["loop_late"]
        )


def _calls(calls: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Metric]:
    ended = CounterMetricFamily("vyked_calls", "Calls that ended, by outcome", labels=(*CALL, "outcome"))
    running = GaugeMetricFamily("vyked_calls_in_flight", "Calls that run now", labels=CALL)
    took = HistogramMetricFamily("vyked_call_duration_seconds", "How long calls took", labels=CALL)
    for path, counters in calls:
        service, _, method = path.rpartition(".")
        labels = [service, method, counters["side"]]
        for outcome, count in _outcomes(counters):
            ended.add_metric([*labels, outcome], count)
        running.add_metric(labels, counters["in_flight"])
        took.add_metric(labels, _buckets(counters["histogram_us_log2"]), counters["total_s"])
    yield from (ended, running, took)


def _outcomes(counters: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    yield "ok", counters["ok"]
    yield from sorted(counters["codes"].items())


def _buckets(counts: Iterable[int]) -> list[tuple[str, float]]:
    """`counts[i]` calls took under 2**i microseconds: cumulative, in seconds. The last bucket has no bound."""
    total = list(accumulate(counts))
    bounded = [(repr(2**power / 1e6), float(count)) for power, count in enumerate(total[:-1])]
    return [*bounded, ("+Inf", float(total[-1] if total else 0))]


def _events(events: Mapping[str, Any]) -> Iterator[Metric]:
    yield CounterMetricFamily("vyked_events_published", "Events that the bus has taken", events["published"])
    yield CounterMetricFamily("vyked_events_not_published", "Events that the bus has not taken", events["failed"])
    handled = CounterMetricFamily("vyked_events_handled", "Events handled, by outcome", labels=("consumer", "outcome"))
    missed = CounterMetricFamily("vyked_events_missed", "Events that never reached a consumer", labels=("consumer",))
    for path, counters in events["consumers"].items():
        for outcome, count in _outcomes(counters):
            handled.add_metric([path, outcome], count)
        missed.add_metric([path], counters["gaps"])
    yield from (handled, missed)
    yield from _groups(events.get("groups", ()))


def _groups(groups: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    """Of the groups that this host has members of, as their bus said it when the host was scraped last."""
    for field, name, what in GROUP:
        family = GaugeMetricFamily(name, what, labels=("topic", "group"))
        for each in groups:
            if each[field] >= 0:  # -1: the bus can't say
                family.add_metric([each["topic"], each["group"]], each[field])
        yield family


def _places(found: Mapping[str, Any]) -> Iterator[Metric]:
    """Of the host as a whole. Where there is no limit there is no metric of one; hosts before these had a report say nothing."""
    for field, name, what in PLACES:
        if found.get(field) is not None:
            yield GaugeMetricFamily(name, what, found[field])
    if "refused" in found:
        yield CounterMetricFamily(
            "vyked_overload_refused", "Calls that were not begun for want of a place", found["refused"]
        )


def _connections(connections: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily("vyked_connections", "Open connections", labels=("transport",))
    for transport, count in connections.items():
        family.add_metric([transport], count)
    return family
