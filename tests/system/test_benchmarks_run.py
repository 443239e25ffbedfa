"""The benchmarks run and add up. No time is asserted: figures are for people."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import (
    brokers,
    events,
    fairness,
    fake_plugins,
    goals,
    growth,
    http,
    local,
    memory,
    old_wire,
    overload,
    path,
    profile,
    registry,
    report,
    rpc,
    startup,
)
from benchmarks.__main__ import BENCHMARKS, benchmark, parser
from benchmarks.__main__ import settings as settings_of
from benchmarks.echo import Case
from benchmarks.processes import DidNotStart, environment, running


def test_the_rpc_benchmark_measures_the_host_beside_the_raw_limit(capsys: pytest.CaptureFixture[str]) -> None:
    settings = rpc.Settings(peers=("vyked", "raw"), rounds=1, seconds=0.1, sequential=20, in_flight=4)
    found = rpc.run(settings)
    for peer in settings.peers:
        (measured,) = found.rounds[peer]
        assert measured.calls_per_second > 0
        assert 0 < measured.p50_us <= measured.p99_us
        assert measured.server_mib > 5
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["peer", "vyked", "raw"]


def test_the_path_of_a_call_is_counted_at_either_end() -> None:
    more = "middleware at the client too"
    found = path.run(path.Settings(calls=64, in_flight=4, variants=("all on", more))).rounds
    counted = {(half, each.function): each for half, costs in found.items() for each in costs}
    assert round(counted["all on, server", "runtime/dispatcher.py Dispatcher.dispatch"].entries) == 1
    assert counted["all on, client", "tcp/sending.py SendingLink.dispatch"].opcodes > 50
    assert ("all on, client", "runtime/dispatcher.py Dispatcher.dispatch") not in counted
    assert any("AccessLog" in name for half, name in counted if half == f"{more}, client")
    assert not any("AccessLog" in name for half, name in counted if half == "all on, client")


@pytest.mark.parametrize("case", [Case(handler="suspends", connections=2), Case(payload="k1", loop="asyncio")])
def test_the_circumstances_are_the_same_for_all_peers(case: Case) -> None:
    found = rpc.run(rpc.Settings(peers=("vyked", "raw"), rounds=1, seconds=0.1, sequential=20, in_flight=4, case=case))
    assert all(measured.calls > 0 for (measured,) in found.rounds.values())


def test_the_old_wire_is_measured_beside_its_control(capsys: pytest.CaptureFixture[str]) -> None:
    found = old_wire.run(old_wire.Settings(rounds=1, seconds=0.1, sequential=20, in_flight=4))
    assert all(measured.calls > 0 for (measured,) in found.rounds.values())
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["peer", "classic", "lines"]


def test_a_semantic_can_be_switched_off() -> None:
    load = rpc.Settings(rounds=1, seconds=0.1, sequential=20, in_flight=4)
    rounds = rpc.interleaved(
        load, {name: ("vyked", Case(variant=name)) for name in ("no validation", "no watch of the registry")}
    )
    assert all(measured.calls > 0 for (measured,) in rounds.values())


def test_a_local_call_hands_over_what_is_frozen_all_the_way_down() -> None:
    found = local.run(local.Settings(rounds=1, calls=50, counted=50)).rounds
    (took,) = found["local"]
    entries = {each.function: each.entries for each in found["path"]}
    assert round(entries["runtime/nearby.py Nearby.given"]) == 1
    assert "runtime/dispatcher.py Dispatcher.dispatch" not in entries
    assert took.client_us > 0


def test_small_calls_are_measured_beside_a_stream_and_beside_idle_connections() -> None:
    settings = fairness.Settings(rounds=1, calls=20, mib=1, held=0.1, idle=5)
    (late,) = fairness.run(settings).rounds["p99"]
    assert min(late.alone_us, late.stream_us, late.idle_us) > 0


def test_a_registry_in_a_server_tells_all_watchers_and_says_what_it_costs() -> None:
    found = registry.run(registry.Settings(instances=20, watchers=3, changes=2, seconds=0.2))
    assert all(0 < each.first_ms <= each.last_ms for each in found.rounds["changes"])
    assert found.rounds["idle"].server_mib > 1


def test_a_flood_is_measured_beside_the_peak() -> None:
    found = overload.run(overload.Settings(rounds=1, seconds=2.0, times=2.0))
    for (shed,) in found.rounds.values():
        assert shed.goodput > 0
        assert shed.calm_ms > 0


def test_a_mesh_grows_by_nodes_that_live_and_nodes_that_were_lost() -> None:
    settings = growth.Settings(rounds=1, instances=4, entries=40, in_flight=4, seconds=0.1)
    measured = growth.measured(settings, growth.Size(kind="Wide", live=2, down=2, others=2))
    assert measured.calls > 0


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_http_is_measured_beside_bare_aiohttp() -> None:
    found = http.run(http.Settings(rounds=1, connections=2, seconds=1))
    assert all(served.per_second > 0 for (served,) in found.rounds.values())
    assert len(found.rounds) == 4


@pytest.mark.parametrize("bus", brokers.PEERS)
def test_events_over_a_server_are_measured_beside_the_client_library(bus: str) -> None:
    found = brokers.run(brokers.Settings(rounds=1, calls=640, sequential=3, only=(bus,)))
    assert set(found.rounds) >= {f"{bus} ours", f"{bus} bare"}
    assert all(speed["per_second"] > 0 < speed["p50_us"] for (speed,) in found.rounds.values())


def test_a_profile_tells_functions_apart_by_their_shares() -> None:
    stacks = [
        "Runner.run (asyncio/runners.py:118);call (vyked_host/a.py:7);decode (msgspec.so) 3",
        "Runner.run (asyncio/runners.py:118);call (vyked_host/a.py:9) 1",
        "Runner.run (asyncio/runners.py:118);epoll_pwait (libc.so.6) 50",
        "<module> (vyked_host/start.py:1) 46",
    ]
    found = profile.shares(stacks, us_per_call=8.0)
    assert [(each.function, each.own, each.own_us) for each in found] == [
        ("vyked_host/a.py call > decode", 75.0, 6.0), ("vyked_host/a.py call", 25.0, 2.0),
    ]  # fmt: skip
    assert found[1].whole == 100.0


def test_a_figure_says_whether_it_reaches_its_floor_and_its_goal() -> None:
    more = [goals.Figure(figure="", floor=18, goal=30, measured=each, command="") for each in (17, 18, 30)]
    less = [goals.Figure(figure="", floor=2, goal=1, measured=each, command="", more=False) for each in (3, 2, 1)]
    assert [each.verdict for each in more] == ["below", "floor", "goal"]
    assert [each.verdict for each in less] == ["below", "floor", "goal"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_takes_its_settings_as_options(name: str) -> None:
    asked = vars(parser().parse_args([name]))
    kind = benchmark(name).Settings
    assert settings_of(kind, asked) == kind()


def test_every_round_is_saved_with_what_it_ran_on(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    report.Report("rpc", {"rounds": 2}, {"raw": [{"p50_us": 1.0}, {"p50_us": 2.0}]}).save(file)
    saved = msgspec.json.decode(file.read_bytes())
    assert saved["rounds"]["raw"] == [{"p50_us": 1.0}, {"p50_us": 2.0}]
    assert {"python", "cores", "load", "versions"} <= set(saved["machine"])


def test_help_imports_none_of_many_installed_plugins(tmp_path: Path) -> None:
    fake_plugins.install(tmp_path, 30)
    ended = startup.command(startup.COMMANDS[startup.HELP], [tmp_path])
    assert ended.cpu_ms > 0
    assert fake_plugins.imported(tmp_path) == []


def test_an_import_of_a_fake_plugin_would_be_noticed(tmp_path: Path) -> None:
    fake_plugins.install(tmp_path, 2)
    startup.command([sys.executable, "-c", "import fake_plugin_1"], [tmp_path])
    assert fake_plugins.imported(tmp_path) == ["fake_plugin_1"]


def test_the_host_sees_the_fake_plugins(tmp_path: Path) -> None:
    fake_plugins.install(tmp_path, 2)
    argv = [*startup.COMMANDS[startup.HELP][:1], "plugins", "-o", "json"]
    done = subprocess.run(argv, env=environment(path=[tmp_path]), capture_output=True, text=True, check=True)
    assert "fake_1" in done.stdout


def test_the_demo_gets_ready() -> None:
    ready = startup.demo()
    assert ready.ready_ms > 0
    assert ready.resident_mib > 5


def test_what_grows_per_call_is_that_after_the_first_tenth() -> None:
    resident = memory.Resident(idle=20, tenth=31.0, whole=32.0, calls=1024, peak=33, client=25)
    assert list(memory.cells(resident)) == ["20.0", "31.0", "32.0", "33.0", "1024", "1000.00", "25.0"]


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('no licence')"]
    with running(argv, cwd=tmp_path, env=environment()) as server, pytest.raises(DidNotStart, match="no licence"):
        server.wait_for_port(1)


def test_medians_are_taken_field_by_field() -> None:
    rounds = [startup.Ready(ready_ms=ms, cpu_ms=0, resident_mib=mib) for ms, mib in ((1, 9), (2, 7), (9, 8))]
    assert report.median(rounds) == startup.Ready(ready_ms=2, cpu_ms=0, resident_mib=8)


def test_a_table_is_aligned() -> None:
    assert report.table(("peer", "x"), [("a", "1"), ("grpc", "100")]) == "peer    x\na       1\ngrpc  100"


@pytest.mark.timeout(180)
def test_the_benchmark_of_events_counts_all_of_them_beside_redis(capsys: pytest.CaptureFixture[str]) -> None:
    found = events.run(events.Settings(peers=("vyked", "redis"), rounds=1, events=2000, acked=500, many=0))
    for peer, count in (("vyked", 2000), ("redis", 2000), ("vyked-acked", 500)):
        (got,) = found.rounds[peer]
        assert (got.received, got.lost) == (count, 0)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "bus", "vyked", "redis", "vyked-acked",
    ]  # fmt: skip


@pytest.mark.timeout(180)
def test_the_benchmark_of_events_tells_what_the_memory_of_the_holder_is_made_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = events.run(events.Settings(peers=(), rounds=0, many=1000, samples=1))
    assert len(found.rounds["memory_mib"]) == 2
    for one in found.rounds["memory_mib"]:
        assert 0 < one.python + one.c < one.resident
        assert one.trimmed <= one.resident + 1
    assert "python_kept" in capsys.readouterr().out
