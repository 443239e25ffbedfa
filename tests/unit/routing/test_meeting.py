"""Where a mesh meets, and what a node does with what it finds there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host.routing.meeting import DEFAULT_PORT, Decision, Finding, Found, Place, decide, elders, place, places

FIRST, SECOND, THIRD = (Place(host="127.0.0.1", port=port) for port in (4500, 20001, 20002))
ALL = frozenset({FIRST, SECOND, THIRD})


def found(*what: Found) -> list[Finding]:
    known = (FIRST, SECOND, THIRD)
    return [Finding(place=known[at], found=each, said=f"{each} there") for at, each in enumerate(what)]


def decided(*what: Found, may_hold: bool = True, can_bind: frozenset[Place] = ALL) -> Decision:
    return decide(found(*what), may_hold=may_hold, can_bind=can_bind)


def test_a_holder_of_ones_own_mesh_is_joined_wherever_it_is() -> None:
    for what in (("ours",), ("nobody", "ours"), ("silent", "other", "ours")):
        decision = decided(*what)
        assert decision.action == "join"
        assert decision.place == (FIRST, SECOND, THIRD)[len(what) - 1]


def test_the_first_free_place_is_held() -> None:
    assert decided("nobody", "nobody") == Decision(action="hold", place=FIRST)
    assert decided("other", "silent", "nobody") == Decision(action="hold", place=THIRD)


def test_who_may_not_hold_is_told_what_is_there() -> None:
    decision = decided("nobody", "other", may_hold=False)
    assert decision.action == "refuse"
    assert decision.reason == "127.0.0.1:20001: other there"
    assert decided("nobody", "nobody", may_hold=False).reason == "127.0.0.1:4500: nobody there"


def test_a_place_of_another_machine_is_not_held() -> None:
    assert decided("nobody", can_bind=frozenset()).action == "refuse"


def test_who_is_not_welcome_in_its_own_mesh_forms_none_beside_it() -> None:
    decision = decided("unwelcome", "nobody")
    assert (decision.action, decision.reason) == ("refuse", "unwelcome there")


def test_a_holder_that_leaves_or_opens_is_waited_for() -> None:
    assert decided("leaving", "nobody").action == "again"


@given(
    st.lists(st.sampled_from(["ours", "leaving", "unwelcome", "silent", "other", "nobody"]), max_size=3), st.booleans()
)
def test_what_is_decided_can_be_done(what: list[Found], may_hold: bool) -> None:
    findings = found(*what)
    decision = decide(findings, may_hold=may_hold, can_bind=ALL)
    by_place = {each.place: each.found for each in findings}
    if decision.action == "join":
        assert decision.place is not None
        assert by_place[decision.place] == "ours"
    elif decision.action == "hold":
        assert decision.place is not None
        assert by_place[decision.place] == "nobody"
        assert may_hold
        assert "ours" not in what
    else:
        assert decision.place is None


@given(st.text(min_size=1, max_size=64))
def test_every_node_of_a_mesh_knows_the_same_places_and_the_default_comes_first(mesh: str) -> None:
    known = places(mesh)
    assert known == places(mesh)
    assert known[0].port == DEFAULT_PORT
    assert len(set(known)) == len(known) > 1
    assert all(1024 < each.port < 32768 and each.host == "127.0.0.1" for each in known)


def test_meshes_meet_at_different_places() -> None:
    seen = [places(f"mesh-{number}")[1].port for number in range(100)]
    assert len(set(seen)) > 90


def test_the_elders_of_a_place_are_those_before_it() -> None:
    known = (FIRST, SECOND, THIRD)
    assert [elders(each, known) for each in known] == [(), (FIRST,), (FIRST, SECOND)]


@pytest.mark.parametrize(("text", "host", "port"), [("127.0.0.1:4500", "127.0.0.1", 4500), ("[::1]:9", "::1", 9)])
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert place(text) == Place(host=host, port=port)
    assert place(text).text == text
    assert place(text).uri == f"tcp://{text}"


@pytest.mark.parametrize("text", ["", "4500", ":4500", "host:", "host:0", "host:99999", "host:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        place(text)
