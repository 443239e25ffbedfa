import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from .program import command


def call(host, *words):
    return command("call", *words, "--address", host.address(0), "--mesh", "slow")


@pytest.fixture
def beside():
    with ThreadPoolExecutor(4) as threads:
        yield threads.submit


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_call_finish_and_ends_with_0(slow, beside, tmp_path, number):
    answer = beside(call, slow, "slow.hold", f"until={tmp_path}/go")
    slow.said("holding")
    slow.signal(number)
    slow.said("draining: 1")
    assert slow.process.poll() is None
    (tmp_path / "go").touch()
    assert answer.result() == (0, '"let go"\n', "")
    assert slow.ends() == 0
    assert "on_stop ran" in slow.words
    assert "Traceback" not in slow.words


def test_without_calls_a_signal_ends_it_at_once(slow):
    assert slow.stop() == 0
    assert "on_stop ran" in slow.words
    assert "nobody ended" not in slow.words


def test_a_second_signal_forces_and_names_what_was_left(slow, beside, tmp_path):
    answer = beside(call, slow, "slow.hold", f"until={tmp_path}/never")
    slow.said("holding")
    slow.signal(signal.SIGTERM)
    slow.said("draining")
    slow.signal(signal.SIGTERM)
    assert slow.ends() == 1
    assert "slow.hold" in slow.said("stopped by force")
    assert answer.result()[0] == 5


def test_a_drain_that_takes_too_long_is_cut_and_named(start, folder, beside):
    host = start("--set", "host.drain_timeout=0.2", folder=folder).ready()
    answer = beside(call, host, "slow.hold", f"until={folder}/never")
    host.said("holding")
    host.signal(signal.SIGTERM)
    assert host.ends() == 1
    assert "slow.hold" in host.said("still running")
    assert answer.result()[0] == 5


def test_usr2_writes_every_task_with_its_stack_and_it_serves_on(slow, beside, tmp_path):
    answer = beside(call, slow, "slow.hold", f"until={tmp_path}/go")
    slow.said("holding")
    slow.signal(signal.SIGUSR2)
    slow.said("slow.py:")
    (tmp_path / "go").touch()
    assert answer.result()[0] == 0
    assert call(slow, "slow.echo", "text=hi")[1] == '"hi"\n'


def test_no_answer_in_time_is_exit_6(slow, tmp_path):
    code, _, err = call(slow, "slow.hold", f"until={tmp_path}/never", "--timeout", "0.2")
    assert code == 6
    assert "slow.hold" in err


def test_what_a_handler_did_not_declare_stays_in_its_host(slow):
    code, out, err = call(slow, "slow.fail")
    assert code == 5
    assert "secret" not in out + err
    slow.said("a secret of the handler")


def test_a_port_in_use_is_exit_3_and_says_who_to_ask(start, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        host = start("--set", f"transports.tcp.port={port}", folder=folder)
        assert host.ends() == 3
    assert f"127.0.0.1:{port}" in host.words
    assert "ss -ltnp" in host.words
    assert "Traceback" not in host.words
    assert "active" not in host.words


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[services.slow]\nuse = "slow:Sloww"\n', "Sloww"),
        ('[services.slow]\nuse = "slow:Slow"\n[transports.tpc]\n', "tcp"),
        ('[services.slow]\nuse = "slow:Slow"\nnmae = "x"\n', "name"),
        ("[host\n", "TOML"),
    ],
)
def test_a_broken_file_is_exit_4_and_nothing_is_bound(launch, folder, text, says):
    (folder / "vyked.toml").write_text(text)
    host = launch(folder=folder)
    assert host.ends() == 4
    assert "vyked.toml:" in host.words
    assert says in host.words
    assert "Traceback" not in host.words
    assert "ready in" not in host.words


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise RuntimeError('no database')", "bad.on_start failed: RuntimeError('no database')"),
        ("await asyncio.sleep(60)", "bad.on_start took over 2 s ([timing] start)"),
    ],
)
def test_S8_a_start_that_fails_ends_its_process_with_3_and_the_reason_and_whoever_began_it_may_begin_it_again(
    launch, tmp_path, body, says
):
    """Nothing here starts a process anew: that, with pauses and an end, is the work of systemd, Kubernetes or whoever it is."""
    (tmp_path / "bad.py").write_text(
        "import asyncio\n"
        "from vyked_host import Service\n"
        "class Bad(Service, name='bad', version='1.0.0'):\n"
        f"    async def on_start(self): {body}\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    sets = [f"transports.tcp.port={port}", "timing.start=2", "plugins.autoload=false", "host.mesh=weak"]
    for _ in range(2):  # the second finds everything as the first did: no port, no file and no name is left taken
        host = launch("bad:Bad", *(word for each in sets for word in ("--set", each)), folder=tmp_path)
        assert host.ends() == 3
        assert host.words.count(says) == 1
        assert "Traceback" not in host.words
        assert "ready in" not in host.words
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_one_class_runs_without_a_file(start, folder):
    (folder / "vyked.toml").unlink()
    host = start("slow:Slow", "--set", "transports.tcp.port=0", "--set", "host.mesh=slow", folder=folder).ready()
    assert call(host, "slow.echo", "text=hi")[1] == '"hi"\n'
    assert host.stop() == 0
