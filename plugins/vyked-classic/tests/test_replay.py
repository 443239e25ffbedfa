"""What the original's processes said is said to ours, and answered with equivalent packets. Where the original was wrong the answer
is another one, and the number of the defect stands beside it."""

import asyncio
import json

import pytest
from captured import segments
from old_peer import Wire
from processes import free_port
from vyked import TCPService, VykedServiceException, api, apideprecated

from vyked_host import Host
from vyked_host.testing import eventually

MESH = """
[host]
mesh = "m"
[plugins]
autoload = false
[registry]
use = "embedded"
[registry.embedded]
address = "none"
[middleware]
server = ["classic"]
[transports.local]
[transports.classic]
port = 0
registry = "127.0.0.1:{port}"
[timing]
dial = 1
"""


class Line:
    """A connection that says what one of the captured said."""

    @classmethod
    async def to(cls, port):
        line = cls()
        line.heard = []
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: Wire(lambda packet, _: line.heard.append(packet)), "127.0.0.1", port
        )
        line.wire = wire
        return line

    async def says(self, data, answers):
        before = len(self.heard)
        self.wire.transport.write(data)
        await eventually(lambda: len(self.heard) >= before + answers)
        return self.heard[before:]

    def close(self):
        self.wire.transport.close()


def captured(sender, kind):
    """The segments of a sender that begin with a packet of this type."""
    return [
        each.data
        for each in segments()
        if sender in (each.sender, each.receiver) and f'"type": "{kind}"'.encode() in each.data
    ]


def meaning(packet):
    """A packet without its own id."""
    return {name: value for name, value in packet.items() if name != "pid"}


def said(data):
    return [meaning(each) for each in json.loads(b"[" + data.rstrip(b",") + b"]")]


@pytest.fixture
async def registry():
    port = free_port()
    async with Host(text=MESH.format(port=port)):
        yield port


def one(sender, receiver, kind):
    (found,) = {
        each.data
        for each in segments()
        if (sender, receiver) == (each.sender, each.receiver) and f'"type": "{kind}"'.encode() in each.data
    }
    return found


async def test_the_registry_answers_as_the_original_did(registry):
    bench, echo, echo_http, x = [await Line.to(registry) for _ in range(4)]
    bench.wire.transport.write(one(":50614", "REGISTRY", "register") + one(":50614", "REGISTRY", "xsubscribe"))
    (activated,) = await echo.says(one(":50628", "REGISTRY", "register"), 1)
    assert meaning(activated) == said(one("REGISTRY", ":50628", "registered"))[0]
    await eventually(lambda: bench.heard)
    assert meaning(bench.heard[0]) == said(one("REGISTRY", ":50614", "registered"))[0]

    (activated,) = await echo_http.says(one(":50636", "REGISTRY", "register"), 1)
    assert meaning(activated) == said(one("REGISTRY", ":50636", "registered"))[0]
    await eventually(lambda: len(bench.heard) == 2)
    told = [said(each.data)[0] for each in segments() if each.receiver == ":50614" and b'"new_instance"' in each.data]
    assert meaning(bench.heard[1]) == told[1], "13: the first one it was told twice"

    (activated,) = await x.says(one(":50646", "REGISTRY", "register"), 1)
    assert meaning(activated) == said(one("REGISTRY", ":50646", "registered"))[0]
    x.wire.transport.write(one(":50646", "REGISTRY", "xsubscribe"))

    asked = [each.data for each in segments() if each.sender == ":50628" and b"get_subscribers" in each.data][-1]
    (answer,) = await echo.says(asked, 1)
    answers = [said(each.data)[0] for each in segments() if each.receiver == ":50628" and b'"xservice"' in each.data]
    assert meaning(answer) == answers[-1]

    (pong,) = await bench.says(captured(":50614", "ping")[0], 1)
    assert meaning(pong) == said(captured(":50614", "pong")[0])[0]

    echo.close()
    echo_http.close()
    await eventually(lambda: len(bench.heard) >= 5)
    gone = [meaning(each) for each in bench.heard[3:]]
    assert said(one("REGISTRY", ":50614", "deregister"))[0] in gone, "15: at once, not after 85 s"
    assert {each["params"]["node_id"] for each in gone} == {"9f78b9aa", "2dd4d893"}, "16: the HTTP side too"
    for each in (bench, x):
        each.close()


async def test_questions_by_hand_are_answered_as_the_original_did(registry):
    lines = [await Line.to(registry) for _ in range(2)]
    await lines[0].says(one(":50628", "REGISTRY", "register"), 1)
    await lines[1].says(one(":50636", "REGISTRY", "register"), 1)
    asking = await Line.to(registry)
    for kind in ("get_instances", "uptime_report"):
        (question,) = {
            s.data for s in segments() if s.receiver == "REGISTRY" and f'"type": "{kind}"'.encode() in s.data
        }
        (answer,) = await asking.says(question, 1)
        expected = {"get_instances": "instances"}.get(kind, kind)
        (captured_answer,) = {
            s.data for s in segments() if s.sender == "REGISTRY" and f'"type": "{expected}"'.encode() in s.data
        }
        assert set(meaning(answer)) == set(said(captured_answer)[0])
        if kind == "get_instances":
            assert meaning(answer) == said(captured_answer)[0]
    (known,) = {s.data for s in segments() if b'"type": "ping", "node_id": "x"}' in s.data}
    (unknown,) = {s.data for s in segments() if b"nonexistent" in s.data}
    (pong,) = await asking.says(known, 1)
    assert (pong["type"], pong["node_id"]) == ("pong", "x")
    asking.wire.transport.write(unknown)  # not answered: what comes next is the answer to the next question
    (report,) = await asking.says(b'{"pid": "1", "type": "services_report"},', 1)
    assert set(report["params"]) == {"echoservice"}
    for each in (*lines, asking):
        each.close()


class Echo(TCPService):
    def __init__(self):
        super().__init__("EchoService", 1, "127.0.0.1", 0)

    @api
    def echo(self, data):
        return data

    @api
    def boom(self, data):
        raise Exception(f"boom {data}")

    @api
    def handled(self, data):
        raise VykedServiceException(f"handled {data}")

    @apideprecated(replacement_api="echo")
    def old_echo(self, data):
        return data

    @api(timeout=0.2)
    def slow(self, seconds):
        yield from asyncio.sleep(seconds)


async def test_a_service_answers_as_the_original_did():
    requests = [each.data for each in segments() if each.receiver == "ECHO-TCP" and b'"request"' in each.data]
    answers = [said(each.data)[0] for each in segments() if each.sender == "ECHO-TCP" and b'"response"' in each.data]
    assert len(requests) == len(answers) == 5
    async with Host(Echo(), text=MESH.format(port=free_port())) as host:
        port = int(next(each.uri for each in host.addresses if each.transport == "classic").split(":")[2].split("/")[0])
        line = await Line.to(port)
        ours = [meaning((await line.says(request, 1))[0]) for request in requests]
        line.close()
    for answer in ours:
        for more in ("code", "executed", "error_type"):
            answer["payload"].pop(more, None)
    answers[0]["payload"]["result"]["neg"] = -5  # 26: it was a float
    assert '"neg": -5,' in json.dumps(ours[0])
    del answers[2]["payload"]["result"]
    answers[2]["payload"]["error"] = "handled 2"  # 1: it was a result of null
    answers[4]["payload"]["error"] = (
        "echoservice.slow: the deadline passed while it ran (its own limit is 0.2 s)"  # 2: ""
    )
    assert ours == answers
