"""The benchmarks run and add up. No time is asserted: figures are for people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import events, fake_plugins, memory, report, rpc, startup
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
    assert [line.split()[0] for line in lines[1:]] == ["peer", "vyked", "raw"]


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


def test_what_grows_per_call_is_that_after_the_second_load() -> None:
    resident = memory.Resident(idle=20, after=[30.0, 31.0, 31.5, 32.0], calls=[10, 10, 512, 512], peak=33, client=25)
    assert list(memory.cells(resident)) == ["20.0", "30.0", "32.0", "33.0", "1024", "1000.00", "25.0"]


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
