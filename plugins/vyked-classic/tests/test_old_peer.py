"""The old programs of these tests understand one another as the original's did: what they tell about ours can be believed."""

import json

import pytest
from captured import segments
from old_peer import Wire
from processes import eventually, old_registry, old_service


@pytest.fixture
def system(running, redis):
    """A registry of the old kind and where it is."""
    registry = running(old_registry())
    at = f"127.0.0.1:{registry.said(up='registry')['port']}"
    return {"registry": at, "redis": redis.at}


def test_a_consumer_waits_for_its_vendor_and_calls_it(running, system):
    consumer = running(old_service("bench", needs=[["echo", "1"]], **system))
    consumer.said(up=...)
    vendor = running(old_service("echo", **system))
    node = vendor.said(up=...)["up"]
    assert consumer.said(registered=...)["registered"] == [["echo", "1", [node]]]
    consumer.said(connected=node)
    assert consumer.call("echo", "1", "echo", {"data": {"a": [-5, 1.5, None, "é"]}})["result"] == {
        "a": [-5, 1.5, None, "é"]
    }
    assert consumer.call("echo", "1", "boom", {"data": 1})["error"] == "boom 1"
    assert consumer.call("echo", "1", "old_echo", {"data": 3})["replacement_api"] == "echo"
    assert consumer.call("echo", "1", "slow", {"seconds": 5})["error"] == ""
    assert consumer.call("echo", "1", "nothing", timeout=0.3)["timeout"], "as in the original, there is no answer"


def test_events_reach_every_subscriber_and_one_xsubscriber(running, system):
    vendor = running(old_service("echo", **system))
    needs = {"needs": [["echo", "1"]], "subscribe": [["echo", "1", "ticked"]]}
    consumers = [
        running(old_service("bench", xsubscribe=[["echo", "1", "ticked", "LEADER"]], **needs, **system)) for _ in "ab"
    ]
    for each in consumers:
        each.said(lambda fact: fact["subscribed"].count("/") == 3, subscribed=...)
        each.said(registered=...)
    vendor.tell(do="publish", event="ticked", payload={"n": 1})
    assert vendor.said(published="ticked")["groups"] == 1
    for each in consumers:
        assert each.said(event="ticked", how="subscribe")["payload"] == {"n": 1}
    heard = eventually(lambda: [each for one in consumers for each in one.facts if each.get("how") == "xsubscribe"])
    assert len(heard) == 1


def test_a_vendor_that_is_killed_is_told_of_and_its_successor_is_used(running, system):
    consumer = running(old_service("bench", needs=[["echo", "1"]], **system))
    vendor = running(old_service("echo", **system))
    node = vendor.said(up=...)["up"]
    consumer.said(connected=node)
    vendor.close()
    assert consumer.said(deregister=...)["deregister"][-1] == node
    successor = running(old_service("echo", **system)).said(up=...)["up"]
    consumer.said(connected=successor)
    assert consumer.call("echo", "1", "whoami")["result"] == successor


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_its_wire_reads_what_the_original_wrote(size):
    data = b"".join(each.data for each in segments()[:60])
    found = []
    wire = Wire(lambda packet, _: found.append(packet))
    for at in range(0, len(data), size):
        wire.data_received(data[at : at + size])
    assert found == json.loads(b"[" + data.rstrip(b",") + b"]")
