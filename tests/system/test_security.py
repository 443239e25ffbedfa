"""Rows of the security matrix that only show in a process of its own: what is imported, bound, logged and told."""

import json
import re
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.ports import free_port
from tests.unit.loading.shelf import Shelf

from .program import command

OPEN = "can be reached from other machines"
GUARDED = """
import sys
from typing import Any

import msgspec
from vyked_host import Service, api, get, post


class Options(msgspec.Struct):
    password: str = ""
    salt: str = ""


class Guarded(Service, name="guarded", version="1.0.0"):
    options: Options

    async def on_start(self) -> None:
        self.log.info("imported: %s", sorted(name for name in sys.modules if name.startswith("lurking")))

    @api
    async def note(self, text: str) -> None:
        self.log.warning("noted %s", text)

    @post("/number")
    async def number(self, value: int) -> int:
        return value

    @post("/real")
    async def real(self, value: float) -> float:
        return value

    @post("/any")
    async def any(self, value: Any) -> Any:
        return value

    @get("/fail")
    async def fail(self, text: str) -> None:
        raise RuntimeError(text)
"""


class Answer(NamedTuple):
    status: int
    body: object


def post(url, body):
    """The answer to a body that need not be sound JSON, whatever its status."""
    request = Request(url, data=body.encode(), headers={"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=10) as answer:
            return Answer(answer.status, json.loads(answer.read() or b"null"))
    except HTTPError as error:
        with error:
            return Answer(error.code, json.loads(error.read()))


FILE = '[host]\nmesh = "m"\n[transports.tcp]\nport = 0\n[transports.http]\nport = 0\n[services.guarded]\nuse = "guarded:Guarded"\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "guarded.py").write_text(GUARDED)
    (tmp_path / "vyked.toml").write_text(FILE)
    return tmp_path


# ---- row 18: plugins that are installed, but not named ---------------------------------------------------------------
LURKER = "import pathlib, os\npathlib.Path(os.environ['LURKER_TRACE']).write_text(__name__)\n"


@pytest.fixture
def lurking(folder):
    """The environment of a process with a plugin of each kind and a service installed, none of them named in the file."""
    path = folder / "installed"
    path.mkdir()
    kinds = ("transport", "pubsub", "registry", "results", "serializer", "balancer", "middleware", "authenticator")
    Shelf(path).add(
        "lurking",
        plugins={f"{kind}.lurking": f"lurking_{kind}" for kind in kinds},
        services={"lurking": "lurking_service:Lurking"},
        modules={f"lurking_{name}": LURKER for name in (*kinds, "service")},
    )
    return {"PYTHONPATH": str(path), "LURKER_TRACE": str(folder / "trace")}


def test_row_18_a_plugin_that_is_installed_but_not_named_leaves_no_trace(launch, folder, lurking):
    host = launch(folder=folder, **lurking).ready()
    assert "imported: []" in host.said("imported:")
    assert host.stop() == 0
    assert not (folder / "trace").exists()


def test_row_18_it_is_listed_and_checked_without_being_imported(folder, lurking):
    code, out, _ = command("plugins", "-o", "json", folder=folder, **lurking)
    assert (code, "transport.lurking" in out or '"lurking"' in out) == (0, True)
    assert command("check", folder=folder, **lurking)[0] == 0
    assert not (folder / "trace").exists()


def test_row_18_once_named_it_is_imported_so_the_trace_would_have_shown(folder, lurking):
    (folder / "vyked.toml").write_text(FILE + "[transports.lurking]\n")
    assert command("check", folder=folder, **lurking)[0] != 0
    assert (folder / "trace").read_text() == "lurking_transport"


# ---- row 1: beyond loopback ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("transport", "host"), [("tcp", "0.0.0.0"), ("tcp", "example.org"), ("http", "::"), ("http", "10.0.0.7")]
)
def test_row_1_a_host_beyond_loopback_is_refused_with_its_place(launch, folder, transport, host):
    text = FILE.replace(f"[transports.{transport}]\n", f'[transports.{transport}]\nhost = "{host}"\n')
    (folder / "vyked.toml").write_text(text)
    line = text.splitlines().index(f'host = "{host}"') + 1
    ended = launch(folder=folder)
    assert ended.ends() == 4
    assert re.search(rf"vyked\.toml:{line}:\d+ ", ended.words), ended.words
    assert OPEN in ended.words
    assert "insecure = true" in ended.words
    assert "ready in" not in ended.words


@pytest.mark.parametrize("host", ["127.0.0.5", "localhost"])
def test_row_1_loopback_needs_no_word_and_gets_no_warning(launch, folder, host):
    served = launch("--set", f"transports.tcp.host={host}", folder=folder).ready()
    assert served.stop() == 0
    assert OPEN not in served.words


def test_row_1_what_is_meant_is_allowed_and_warned_of_at_each_start(launch, folder):
    (folder / "vyked.toml").write_text(
        FILE.replace("[transports.tcp]\n", '[transports.tcp]\nhost = "0.0.0.0"\nadvertise = "127.0.0.1"\n')
        + "[security]\ninsecure = true\n"
    )
    for _ in range(2):
        served = launch(folder=folder).ready()
        warning = json.loads(served.said(OPEN))
        assert (warning["level"], "transports.tcp.host" in warning["message"]) == ("warning", True)
        assert served.stop() == 0
        assert len([line for line in served.lines if OPEN in line]) == 1


# ---- row 16: what peers say in logs, and secrets ---------------------------------------------------------------------
FORGED = "x\n12:00:00 ERROR   vyked        forged\r\x1b[31mred\x9b31m\x7f\u2028\x00end"


@pytest.fixture
def port():
    return free_port()


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_row_16_a_peer_can_neither_forge_a_line_nor_steer_a_terminal(launch, folder, form, port):
    host = launch("--set", f"logging.format={form}", "--set", f"transports.http.port={port}", folder=folder)
    host.said("ready in")
    for method in ("note", "fail"):
        answer = post(f"http://127.0.0.1:{port}/-/call/guarded/{method}", json.dumps({"text": FORGED}))
        assert answer.status == {"note": 200, "fail": 500}[method]
    host.said("RuntimeError")
    assert host.stop() == 0
    assert "31mred" in host.words
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028]", host.words)
    if form == "json":
        assert [json.loads(line)["message"] for line in host.lines if "noted" in line] == [f"noted {FORGED}"]
    else:
        assert not [line for line in host.lines if line.startswith("12:00:00")]


@pytest.mark.parametrize("words", ["text", "json", "toml", "text --origin", "json --origin"])
def test_row_16_secrets_by_reference_are_not_shown(folder, words):
    (folder / "key").write_text("s3cret-of-a-file")
    (folder / "vyked.toml").write_text(
        FILE + '[services.guarded.options]\npassword = "${DB_PASSWORD}"\nsalt = "${file:key}"\n'
    )
    code, out, err = command("config", "show", "-o", *words.split(), folder=folder, DB_PASSWORD="s3cret-of-the-env")
    assert code == 0, err
    assert "s3cret" not in out + err
    assert "DB_PASSWORD" in out


# ---- row 17: numbers and objects that parsers disagree about ---------------------------------------------------------
NONSENSE = {
    "digits": ("number", '{"value": %s}' % ("9" * 5000)),
    "exponent": ("number", '{"value": 1e400}'),
    "NaN for an int": ("number", '{"value": NaN}'),
    "NaN": ("real", '{"value": NaN}'),
    "infinity": ("real", '{"value": Infinity}'),
    "minus infinity": ("real", '{"value": -Infinity}'),
    "NaN for anything": ("any", '{"value": NaN}'),
    "depth": ("any", '{"value": %s}' % ("[" * 60_000)),
    "two values": ("number", '{"value": 1} {"value": 2}'),
}


def test_row_17_numbers_that_are_none_are_refused_and_of_two_equal_keys_the_last_counts(launch, folder):
    base = next(uri for uri in launch(folder=folder).ready().facts["addresses"] if uri.startswith("http"))
    for path in ("", "-/call/guarded/"):
        for name, (method, body) in NONSENSE.items():
            answer = post(f"{base}/{path}{method}", body)
            assert answer.status == 400, (path, name, answer.body)
            assert answer.body["executed"] == "not_executed", (path, name)
        twice = post(f"{base}/{path}number", '{"value": 1, "value": 2}')
        assert (twice.status, twice.body) == (200, 2)
