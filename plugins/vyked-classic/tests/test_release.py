"""What release 2.1.91 did otherwise than the last development version: events for one instance come over its own port."""

import json
import socket

import pytest
from processes import eventually, old_service
from systems import System, served


def said(link, packet):
    """The next packet after this one was sent."""
    link.sendall(json.dumps(packet).encode() + b",")
    text = b""
    while not text.endswith(b","):
        text += link.recv(1 << 16)
    return json.loads(text[:-1])


def event(endpoint, n):
    return {
        "pid": "1", "type": "publish", "service": "echo", "version": "1", "endpoint": endpoint,
        "payload": {"n": n, "who": "release"}, "publish_id": f"id-{n}",
    }  # fmt: skip


def test_an_event_for_one_instance_is_handled_and_acknowledged(running, redis):
    system = System(running, redis, "old")
    served("old", system.service("old"))
    consumer = system.consumer("new").ready()
    port = consumer.process.logged("serving bench on").partition("classic://127.0.0.1:")[2].partition("/")[0]
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as link:
        answer = said(link, event("ticked", 7))
        assert (answer["type"], answer["request_id"]) == ("ack", "id-7")
        (handled,) = eventually(lambda: consumer.events("xsubscribe", 7))
        assert handled["payload"] == {"n": 7, "who": "release"}
        assert not consumer.events("subscribe", 7), "those come over Redis"

        link.sendall(json.dumps(event("nothing", 8)).encode() + b",")
        answer = said(link, {"pid": "2", "type": "ping", "node_id": "x"})
        assert answer["type"] == "pong", "what nobody takes is not acknowledged"
    consumer.process.logged("event echo/1/nothing of 127.0.0.1")


@pytest.mark.parametrize("dialect", ["N", "S"])
def test_an_event_for_one_instance_reaches_one_of_the_release(running, redis, dialect):
    system = System(running, redis, "new")
    events = {"subscribe": [["echo", "1", "ticked"]], "xsubscribe": [["echo", "1", "ticked", "LEADER"]]}
    vendor = served("new", system.service("new"))
    more = {"needs": [["echo", "1"]], "release": True, "dialect": dialect, **events, **system.at}
    old = running(old_service("bench", "1.0", **more))
    old.said(connected=...)
    old.said(subscribed="echo/1/ticked")
    assert old.call("echo", "1", "tick", {"n": 9})["result"] is None
    assert old.said(event="ticked", how="xsubscribe")["payload"] == {"n": 9, "who": "new"}
    assert old.said(event="ticked", how="subscribe")["payload"] == {"n": 9, "who": "new"}
    assert vendor.end() == 0
