"""Cycles, what is missing, and who may be active."""

from hypothesis import given
from hypothesis import strategies as st

from vyked_host.catalog.dependencies import Activation, activation, cycles, missing, required, required_everywhere
from vyked_host.contracts import Dependency, Instance, NodeRecord, ServiceDescription


def service(name, *needs, version="1.0.0", optional=()):
    dependencies = [Dependency(attribute=each, service=each, version="1") for each in needs]
    dependencies += [Dependency(attribute=each, service=each, version="1", required=False) for each in optional]
    return ServiceDescription(name=name, version=version, cls=None, dependencies=tuple(dependencies))


def node(node_id, service, version="1.0.0", status="active"):
    instance = Instance(service=service, version=version, status=status)
    return NodeRecord(node_id=node_id, namespace="m", addresses=(), instances=(instance,))


def test_cycles_are_found_and_named_once():
    edges = {"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": [], "e": ["e"], "f": ["a"]}
    assert cycles(edges) == (("a", "b", "c"), ("e",))


def test_the_shortest_cycle_is_reported_and_two_that_share_a_service_both_are():
    assert cycles({"a": ["b", "c"], "b": ["a"], "c": ["b", "a"]}) == (("a", "b"), ("c", "a"))


def test_a_service_that_is_not_described_is_no_cycle():
    assert cycles({"a": ["elsewhere"]}) == ()


def test_a_long_chain_needs_no_stack():
    edges = {f"{at:06}": [f"{at + 1:06}"] for at in range(5000)}
    edges["005000"] = ["000000"]
    assert len(cycles(edges)[0]) == 5001


graphs = st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefg"), max_size=3), max_size=7)


@given(graphs)
def test_every_reported_cycle_is_one_and_without_a_report_an_order_exists(edges):
    found = cycles(edges)
    for cycle in found:
        for here, there in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert there in edges[here]
    left = {name: set(needs) for name, needs in edges.items()}
    while done := [name for name, needs in left.items() if not needs & set(left)]:
        for name in done:
            del left[name]
    assert bool(found) == bool(left)


def test_only_required_ones_without_an_active_compatible_instance_are_missing():
    needs = service("x", "a", "b", "c", "d", optional=["e"]).dependencies
    nodes = [node("n1", "a"), node("n2", "b", "2.0.0"), node("n3", "c", status="waiting"), node("n4", "d", "1.5.0")]
    assert missing(needs, iter(nodes)) == ("b", "c")


def test_services_of_one_node_become_active_from_the_bottom_up():
    own = [service("top", "middle"), service("middle", "bottom"), service("bottom"), service("alone", "nowhere")]
    assert activation(own, []) == {
        "top/1.0.0": Activation(status="active"),
        "middle/1.0.0": Activation(status="active"),
        "bottom/1.0.0": Activation(status="active"),
        "alone/1.0.0": Activation(status="waiting", missing=("nowhere",)),
    }


def test_a_circle_stays_waiting_until_somebody_else_serves_it():
    own = [service("a", "b"), service("b", "a")]
    assert {each.status for each in activation(own, []).values()} == {"waiting"}
    assert {each.status for each in activation(own, [node("n", "a")]).values()} == {"active"}


def test_what_was_active_stays_so_and_says_what_is_missing():
    own = [service("a", "b"), service("c", "a")]
    found = activation(own, [], active={"a/1.0.0"})
    assert found["a/1.0.0"] == Activation(status="active", missing=("b",))
    assert found["c/1.0.0"] == Activation(status="active")


def test_the_version_of_a_neighbour_counts():
    found = activation([service("a", "b"), service("b", version="2.0.0")], [])
    assert found["a/1.0.0"].status == "waiting"


def test_two_releases_of_one_service_at_one_node_are_judged_each_for_itself():
    own = [service("a", "nowhere"), service("a", version="2.0.0"), service("b", "a")]
    found = activation(own, [])
    assert {release: each.status for release, each in found.items()} == {
        "a/1.0.0": "waiting", "a/2.0.0": "active", "b/1.0.0": "waiting"
    }  # fmt: skip


def test_across_nodes_an_edge_is_there_when_every_instance_needs_the_other():
    def at(node_id, name, *requires):
        instance = Instance(service=name, version="1.0.0", status="waiting", requires=requires)
        return NodeRecord(node_id=node_id, namespace="m", addresses=(), instances=(instance,))

    nodes = [at("n1", "a", "b", "c"), at("n2", "a", "b"), at("n3", "b", "a"), at("n4", "d")]
    assert required_everywhere(nodes) == {"a": ("b",), "b": ("a",), "d": ()}
    assert cycles(required_everywhere(nodes)) == (("a", "b"),)
    assert cycles(required_everywhere([*nodes, at("n5", "a")])) == ()


def test_the_edges_are_those_of_required_dependencies():
    assert required([service("a", "b", optional=["c"])]) == {"a": ("b",)}
