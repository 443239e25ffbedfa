"""Who is told what. The numbers are those of the defects of Vyked 2.x."""

import json

import msgspec
import pytest
from vyked_classic.guests.roster import Roster, Spot, report
from vyked_classic.guests.uptimes import REMEMBERED, Uptimes
from vyked_classic.wire.packets import Registration, Subscriptions

from vyked_host import UsageError
from vyked_host.contracts import Address, Instance, NodeRecord


def registration(name, node, version="1", needs=(), port=1, type="tcp", **more):
    said = {"name": name, "version": version, "host": "ignored", "port": port, "node_id": node, "type": type}
    dependencies = [{"name": each, "version": wanted} for each, wanted in needs]
    return msgspec.convert({**said, "dependencies": dependencies, **more}, Registration)


def node(service, version="1.0.0", node_id="new-1", status="active", uri=None):
    uri = uri or f"classic://127.0.0.1:9/{node_id}"
    instance = Instance(service=service, version=version, status=status)
    return NodeRecord(
        node_id=node_id, namespace="m", addresses=(Address(transport="classic", uri=uri),), instances=(instance,)
    )


@pytest.fixture
def roster():
    return Roster("m")


def told(tellings):
    """(guest, type, ids of the instances it is told of) of each packet."""
    found = []
    for each in tellings:
        packet = json.loads(each.packet)
        params = packet["params"]
        lists = params.get("dependencies")
        ids = sorted(a["node_id"] for d in lists for a in d["addresses"]) if lists is not None else [params["node_id"]]
        found.append((each.node_id, packet["type"], ids))
    return found


def join(roster, *args, **more):
    return told(roster.register(registration(*args, **more), "10.0.0.1"))


def test_a_service_without_dependencies_is_activated_at_once(roster):
    assert join(roster, "Echo", "e1") == [("e1", "registered", [])]
    assert roster.guests["e1"].spot.name == "echo"


def test_3_all_that_wait_for_it_are_activated_by_one_arrival(roster):
    for at in range(5):
        assert join(roster, "bench", f"b{at}", needs=[("echo", "1")]) == []
    assert join(roster, "echo", "e1")[:-1] == [(f"b{at}", "registered", ["e1"]) for at in range(5)]


def test_4_looking_something_up_creates_nothing_and_the_order_does_not_matter(roster):
    join(roster, "bench", "b", needs=[("echo", "1.7")])
    roster.exactly("echo", "1.7")
    assert roster.mesh([node("echo", "1.8.0")]) != []
    assert roster.guests["b"].is_active


def test_5_comings_and_goings_of_what_is_compatible_are_told(roster):
    join(roster, "bench", "b", needs=[("echo", "1.2")])
    assert told(roster.mesh([node("echo", "1.3.0")])) == [("b", "registered", ["new-1"])]
    assert told(roster.mesh([node("echo", "1.3.0"), node("echo", "1.4.0", "new-2")])) == [
        ("b", "new_instance", ["new-2"])
    ]
    assert told(roster.mesh([node("echo", "1.4.0", "new-2")])) == [("b", "deregister", ["new-1"])]


@pytest.mark.parametrize("version", ["1.1.9", "2.0.0", "0.9.0"])
def test_7_nobody_is_given_a_lower_version_or_another_major(roster, version):
    join(roster, "bench", "b", needs=[("echo", "1.2")])
    assert told(roster.mesh([node("echo", version)])) == []


def test_6_an_old_vendor_that_would_not_answer_another_version_is_not_given_and_people_are_told(roster):
    join(roster, "echo", "e1", version="1.0")
    join(roster, "bench", "b", needs=[("echo", "1")])
    assert not roster.guests["b"].is_active
    assert roster.never_matching(roster.guests["b"]) == [
        "bench asks for echo 1, and echo 1.0 at 10.0.0.1:1 answers no other version"
    ]


def test_13_nobody_is_told_of_an_instance_twice(roster):
    join(roster, "bench", "b", needs=[("echo", "1")])
    assert join(roster, "echo", "e1") == [("b", "registered", ["e1"]), ("e1", "registered", [])]
    assert told(roster.tell()) == []
    assert told(roster.mesh([])) == []


def test_14_a_dependency_that_went_and_came_while_another_was_awaited_is_told(roster):
    join(roster, "bench", "b", needs=[("echo", "1"), ("other", "1")])
    join(roster, "echo", "e1")
    roster.leave("e1")
    join(roster, "echo", "e2")
    assert ("b", "registered", ["e2", "o1"]) in join(roster, "other", "o1")


def test_17_a_node_that_registers_again_is_listed_once(roster):
    join(roster, "echo", "e1")
    join(roster, "echo", "e1", port=2)
    assert [each.port for each in roster.exactly("echo", "1")] == [2]
    roster.leave("e1")
    assert roster.exactly("echo", "1") == []


def test_an_instance_that_moved_is_told_anew(roster):
    join(roster, "echo", "e1")
    join(roster, "bench", "b", needs=[("echo", "1")])
    assert ("b", "new_instance", ["e1"]) in join(roster, "echo", "e1", port=2)


def test_18_xsubscriptions_go_with_their_node_and_are_not_added_up(roster):
    def wish(guest):
        event = {"name": "echo", "version": "1", "endpoint": "ticked", "strategy": "LEADER"}
        said = {"name": "bench", "version": "1", "port": 1, "node_id": guest, "events": [event]}
        roster.xsubscribe(msgspec.convert(said, Subscriptions))

    for each in ("b1", "b2", "b1"):
        join(roster, "bench", each)
        wish(each)
        wish(each)
    assert [g.spot.node_id for g, _ in roster.subscribers("echo", "1", "ticked")] == ["b1", "b2"]
    join(roster, "bench", "b1")
    assert len(roster.subscribers("echo", "1", "ticked")) == 2, "a lost connection does not lose them"
    roster.leave("b1")
    assert [g.spot.node_id for g, _ in roster.subscribers("echo", "1", "ticked")] == ["b2"]
    wish("nobody")


def test_28_instances_on_one_machine_don_t_hide_each_other(roster):
    join(roster, "echo", "e1", port=1)
    join(roster, "echo", "e2", port=2)
    assert report(roster) == {"echo": {"1": [["10.0.0.1", 1, "e1", "tcp"], ["10.0.0.1", 2, "e2", "tcp"]]}}
    join(roster, "bench", "b", needs=[("nobody", "1")])
    assert report(roster)["bench"]["1"][0][-1] == "is_pending"


def test_38_dependencies_are_those_of_the_instance(roster):
    join(roster, "bench", "b1", needs=[("gone", "1")])
    assert ("b2", "registered", []) in join(roster, "bench", "b2")


def test_a_waiting_node_and_one_that_does_not_listen_for_old_consumers_are_not_given(roster):
    join(roster, "bench", "b", needs=[("echo", "1")])
    assert roster.mesh([node("echo", status="waiting")]) == []
    plain = NodeRecord(
        node_id="n", namespace="m", addresses=(Address(transport="tcp", uri="tcp://h:1"),),
        instances=(Instance(service="echo", version="1.0.0", status="active"),),
    )  # fmt: skip
    assert roster.mesh([plain]) == []


def test_guests_of_another_host_are_given_to_those_who_ask_for_their_version(roster):
    join(roster, "bench", "b", needs=[("echo", "1")])
    assert roster.mesh([node("echo", node_id="e9", uri="classic://h:1/e9/1.0")]) == []
    assert told(roster.mesh([node("echo", node_id="e9", uri="classic://h:1/e9/1")])) == [("b", "registered", ["e9"])]


def test_the_mesh_sees_guests_as_nodes_that_wait_or_are_active(roster):
    join(roster, "bench", "b", needs=[("echo", "1")])
    (waiting,) = roster.records().values()
    assert (waiting.instances[0].status, waiting.instances[0].requires) == ("waiting", ("echo",))
    join(roster, "echo", "e1", port=4502)
    records = roster.records()
    assert {each.instances[0].status for each in records.values()} == {"active"}
    assert records["e1"].addresses[0].uri == "classic://10.0.0.1:4502/e1/1"
    join(roster, "echo", "h1", type="http")
    assert "h1" not in roster.records(), "calls go to its tcp side"
    join(roster, "pages", "h2", type="http", port=80)
    assert roster.records()["h2"].addresses[0].uri == "http://10.0.0.1:80"


@pytest.mark.parametrize("wrong", [{"version": "beta"}, {"port": "x"}, {"port": 99999}])
def test_a_registration_that_can_t_be_taken_is_refused_whole(roster, wrong):
    with pytest.raises((UsageError, ValueError)):
        join(roster, "echo", "e1", **wrong)
    assert roster.guests == {}


def test_each_guest_is_told_in_its_own_dialect(roster):
    said = registration("x", "s1", needs=[])
    said = msgspec.convert(
        {
            "service": "bench",
            "version": "1",
            "port": 1,
            "node_id": "s1",
            "vendors": [{"service": "echo", "version": "1"}],
        },
        Registration,
    )
    roster.register(said, "h")
    (telling, _) = roster.register(registration("echo", "e1"), "h")
    assert json.loads(telling.packet)["params"]["vendors"][0]["name"] == "echo"
    (telling,) = [each for each in roster.leave("e1") if each.node_id == "s1"]
    assert json.loads(telling.packet)["params"] == {"node_id": "e1", "service": "echo", "version": "1"}


# ---- since when ------------------------------------------------------------------------------------------------------
def spot(node_id, host="h", port=1, version="1"):
    return Spot("echo", "1.0.0", version, host, port, node_id, "tcp")


def test_28_uptimes_are_those_of_each_instance_of_a_machine_and_of_those_that_are_gone():
    uptimes = Uptimes()
    uptimes.came(spot("a", port=1), 10.0)
    uptimes.came(spot("b", port=2), 20.0)
    uptimes.came(spot("a", port=1), 30.0)  # it registers again: it was here all the time
    uptimes.went("a", 40.0)
    assert uptimes.report() == {
        "echo/1": {"h": {"uptime": 10, "node_id": "a", "downtime": 40}, "h:2": {"uptime": 20, "node_id": "b"}}
    }
    assert list(uptimes.lines(50.0)) == [
        {"service_name": "echo/1", "hostname": "h", "status": False, "uptime": 30},
        {"service_name": "echo/1", "hostname": "h:2", "status": True, "uptime": 30},
    ]
    uptimes.came(spot("c", port=1), 60.0)
    assert uptimes.report()["echo/1"]["h"] == {"uptime": 60, "node_id": "c"}
    uptimes.came(spot("c", host="i"), 70.0)
    assert set(uptimes.report()["echo/1"]) == {"h:2", "i"}


def test_those_that_are_gone_are_remembered_up_to_a_number():
    uptimes = Uptimes()
    for n in range(REMEMBERED + 3):
        uptimes.came(spot(f"n{n}", host=f"h{n}", version=str(n % 7)), float(n))
        uptimes.went(f"n{n}", float(n))
    assert sum(map(len, uptimes.report().values())) == REMEMBERED
