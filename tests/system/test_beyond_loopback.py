"""A secured mesh of processes: hosts that belong to it meet, the command line gets in with the same file, nobody else does, and
the secret is nowhere to be seen."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import authority, issue
from tests.ports import free_port

from .program import command, environment

SECRET = "correct-horse-battery-staple-0815"
OTHER = "another-horse-another-battery-4711"
SERVICE = """
from vyked_host import Service, api, context, get


class Hello(Service, name="hello", version="1.0.0"):
    @api
    async def greet(self, name: str) -> str:
        caller = context().caller
        return f"hello {name}, you are {caller.identity if caller else None}"

    @api
    async def guarded(self) -> str:
        return "come in"

    @get("/public")
    async def public(self) -> str:
        return "for everybody"
"""
FILE = """
[host]
mesh = "secured"
[transports.tcp]
port = 0
[transports.http]
port = 0
[registry.embedded]
address = "none"
[pubsub.embedded]
address = "none"
path = "events.db"
[services.hello]
use = "hello:Hello"
"""
TLS = '[security.tls]\ncert = "host.crt"\nkey = "host.key"\nca = "ca.pem"\n'
BY_SECRET = '[security]\nsecret = "${file:secret}"\n'


def written(folder, security, secret=SECRET, file=FILE):
    folder.mkdir(exist_ok=True)
    (folder / "hello.py").write_text(SERVICE)
    (folder / "vyked.toml").write_text(file + security)
    (folder / "secret").touch(mode=0o600)
    (folder / "secret").write_text(secret + "\n")
    return folder


@pytest.fixture
def folder(tmp_path):
    ca = authority(tmp_path)
    issue(ca, tmp_path, "host", uris=["spiffe://shop/hello"])
    return tmp_path


@pytest.fixture
def outside(tmp_path):
    return tmp_path / "outside"


def addresses(host):
    return {uri.partition(":")[0]: uri for uri in host.facts["addresses"]}


@pytest.mark.parametrize(
    ("security", "identity", "schemes"),
    [
        (BY_SECRET, "mesh:secured", ("tcp", "http")),
        (TLS, "spiffe://shop/hello", ("tcp", "https")),
        (BY_SECRET + TLS, "spiffe://shop/hello", ("tcp", "https")),
    ],
    ids=["secret", "tls", "both"],
)
def test_the_command_line_proves_itself_with_the_same_file(launch, folder, outside, security, identity, schemes):
    host = launch(folder=written(folder, security)).ready()
    found = addresses(host)
    assert set(found) == set(schemes)
    strangers = written(outside, "")
    for uri in found.values():
        code, out, err = command("call", "hello.greet", "name=ada", "--address", uri, folder=folder)
        assert (code, json.loads(out or "null")) == (0, f"hello ada, you are {identity}"), err
        code, out, err = command(
            "call", "hello.greet", "name=ada", "--address", uri, "--mesh", "secured", folder=strangers
        )
        assert (code, out) == (3, ""), err
        assert "[security" in err
        assert "Traceback" not in err
    assert host.stop() == 0


def test_another_secret_is_exit_3_and_says_what_to_set(launch, folder, outside):
    host = launch(folder=written(folder, BY_SECRET)).ready()
    written(outside, BY_SECRET, secret=OTHER)
    for uri in addresses(host).values():
        code, _, err = command("call", "hello.greet", "name=ada", "--address", uri, folder=outside)
        assert (code, "set [security] secret alike in both" in err) == (3, True), err
        assert SECRET not in err
        assert OTHER not in err
    assert host.stop() == 0


def test_two_hosts_meet_over_mutual_tls_and_a_third_of_another_authority_does_not(launch, folder, outside):
    place = free_place()
    file = FILE.replace('address = "none"', f'address = "{place}"') + BY_SECRET + TLS
    first = launch(folder=written(folder, "", file=file)).ready()
    second = launch("--set", 'services.hello.name="again"', folder=folder).ready()
    code, out, err = command("call", "again.greet", "name=ada", folder=folder)
    assert (code, "spiffe://shop/hello" in out) == (0, True), err
    outside.mkdir()
    issue(authority(outside), outside, "host")
    third = launch(folder=written(outside, "", file=file))
    assert third.ends() == 3
    assert "certificate" in third.words
    assert [each.stop() for each in (second, first)] == [0, 0]


def free_place():
    return f"127.0.0.1:{free_port()}"


# ---- what the file says ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("security", "text"),
    [
        ('[security]\nsecret = "${file:short}"\n', r"security.secret: expected a string .*16"),
        (TLS.replace("host.crt", "gone.crt"), r'security.tls.cert: ".*gone.crt" can\'t be read: no such file'),
        (TLS.replace("host.key", "other.key"), r"security.tls.key: .* is not the key of the certificate"),
        (
            TLS.replace("host.crt", "old.crt").replace("host.key", "old.key"),
            r"security.tls.cert: .*has expired; renew it",
        ),
        (TLS.replace("ca.pem", "otherca.pem"), r"security.tls.cert: peers would refuse"),
        (TLS.replace("ca.pem", "secret"), r"security.tls.ca: .* holds no certificates"),
        (TLS.replace("host.crt", "secret"), r"security.tls.cert: .* is no certificate"),
        ('[security]\nauthenticator = "nobody"\n', r"security|nobody"),
        ('[security]\naccept_secrets = ["${file:secret}"]\n', r"security.accept_secrets: there is no secret"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_before_anything_is_bound(launch, folder, security, text):
    ca = authority(folder, "otherca")
    issue(ca, folder, "other")
    ca = authority(folder)
    issue(ca, folder, "host")
    issue(ca, folder, "old", days=-1)
    (folder / "short").write_text("too short")
    written(folder, security)
    code, out, _ = command("check", folder=folder)
    assert code == 4
    assert re.search(rf"vyked\.toml:\d+:\d+  error  .*({text})", out), out
    assert "too short" not in out
    ended = launch(folder=folder)
    assert ended.ends() == 4
    assert "ready in" not in ended.words


@pytest.mark.parametrize(
    ("security", "code", "text"),
    [
        ("", 4, "without identity or encryption"),
        (BY_SECRET, 4, "without encryption"),
        (BY_SECRET + "insecure = true\n", 0, ""),
        (TLS, 0, ""),
        (BY_SECRET + TLS, 0, ""),
    ],
)
def test_row_1_what_a_bind_beyond_loopback_needs(folder, security, code, text):
    file = FILE.replace("[transports.tcp]\n", '[transports.tcp]\nhost = "0.0.0.0"\nadvertise = "127.0.0.1"\n')
    written(folder, security, file=file)
    found, out, err = command("check", folder=folder)
    assert (found, text in out) == (code, True), out + err


def test_a_secret_on_a_command_line_is_refused(folder):
    written(folder, "")
    code, out, err = command("check", "--set", f"security.secret={SECRET}", folder=folder)
    assert (code, "can be seen by every user of this machine" in out, SECRET in out + err) == (4, True, False)


# ---- row 16: nowhere to be seen --------------------------------------------------------------------------------------
def test_row_16_the_secret_is_nowhere(launch, folder, outside):
    """Every way in which it could come out: start, faults, refusals, forged hellos, shows, process lists, dumps."""
    written(folder, BY_SECRET + 'accept_secrets = ["${OLD}"]\nidentity = { token = "${file:token}" }\n' + TLS)
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text("token-of-this-host-2342")
    said = []
    host = launch("--set", "logging.level=debug", folder=folder, OLD=OTHER).ready()
    for uri in addresses(host).values():
        said += command("call", "hello.greet", "name=ada", "--address", uri, folder=folder, OLD=OTHER)[1:]
        said += command("call", "hello.none", "--address", uri, folder=folder, OLD=OTHER)[1:]
        written(outside, BY_SECRET, secret="guess-guess-guess-guess")
        said += command("call", "hello.greet", "name=ada", "--address", uri, folder=outside)[1:]
    said.append(Path(f"/proc/{host.process.pid}/cmdline").read_text())
    said.append(
        subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(host.process.pid)], capture_output=True, text=True).stdout
    )
    for form in ("text", "json", "toml"):
        said += command("config", "show", "-o", form, folder=folder, OLD=OTHER)[1:]
        said += command("config", "show", "-o", form, "--origin", folder=folder, OLD=OTHER)[1:]
    for key in (
        "security",
        "security.secret",
        "security.accept_secrets",
        "security.identity",
        "security.identity.token",
    ):
        said += command("config", "explain", key, folder=folder, OLD=OTHER)[1:]
    for form in ("text", "json"):
        said += command("doctor", "-o", form, folder=folder, OLD=OTHER)[1:]
        said += command("check", "-o", form, folder=folder, OLD=OTHER)[1:]
    host.signal(12)  # SIGUSR2: every task and its stack
    host.said("task ")
    assert host.stop() == 0
    everything = "\n".join([*said, host.words])
    assert "hello ada" in everything
    for secret in (SECRET, OTHER, "token-of-this-host-2342"):
        assert secret not in everything


def test_row_16_a_secret_written_into_the_file_is_warned_of_and_not_shown(folder):
    written(folder, f'[security]\nsecret = "{SECRET}"\n')
    code, out, err = command("check", folder=folder)
    assert (code, "a secret that stands in the file itself" in out) == (0, True)
    for form in ("text", "json", "toml"):
        out += "".join(map(str, command("config", "show", "-o", form, folder=folder)))
    out += "".join(map(str, command("config", "explain", "security.secret", folder=folder)))
    (folder / "vyked.toml").write_text(FILE + '[security]\nsecret = "horse-too-short"\n')
    out += "".join(map(str, command("check", folder=folder)))
    assert SECRET not in out + err
    assert "horse-too-short" not in out


def test_row_16_no_repr_shows_it(folder):
    written(folder, BY_SECRET)
    program = (
        "from vyked_host.assembly import prepare\n"
        "ready = prepare('vyked.toml')\n"
        "settings = ready.loaded.require()\n"
        "from vyked_host.assembly.trust import trust\n"
        "made = trust(settings.security, 'm', None)\n"
        "from vyked_host.config.effective import told\n"
        "print(settings, [settings], made, made.seal, told(settings))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, env=environment(), timeout=30
    )
    assert (done.returncode, "SecurityTable(secret" in done.stdout) == (0, True), done.stderr
    assert SECRET not in done.stdout + done.stderr


# ---- row 20: what other users of the machine see ---------------------------------------------------------------------
def test_row_20_what_a_host_writes_is_its_own(launch, folder):
    written(folder, BY_SECRET)
    host = launch(folder=folder).ready()
    modes = {path.name: path.stat().st_mode & 0o077 for path in folder.glob("events.db*")}
    assert modes
    assert set(modes.values()) == {0}
    assert host.stop() == 0
