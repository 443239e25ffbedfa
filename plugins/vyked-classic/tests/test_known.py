"""What an old registry has told, as records of nodes."""

from vyked_classic.known import Known
from vyked_classic.wire.packets import NewInstance, Place, Registered, Vendor


def told(*places, name="shop", version="1", https=()):
    known = Known("m", https=frozenset(https))
    known.registered(Registered(dependencies=[Vendor(name=name, version=version, addresses=places)]))
    return known


def at(node, port, type="tcp", host="10.0.0.1"):
    return Place(host=host, port=port, node_id=node, type=type)


def uris(known):
    return {record.node_id: [each.uri for each in record.addresses] for record in known.nodes()[0]}


def test_the_http_side_of_a_service_is_an_address_of_its_nodes():
    assert uris(told(at("t1", 1), at("h1", 80, "http"))) == {
        "t1": ["classic://10.0.0.1:1/t1/1", "http://10.0.0.1:80/t1"]
    }


def test_an_http_side_with_a_context_of_its_client_is_dialled_over_https():
    assert uris(told(at("h1", 443, "http"), https=["shop"])) == {"h1": ["https://10.0.0.1:443/h1"]}
    assert uris(told(at("h1", 443, "http"), https=["other"])) == {"h1": ["http://10.0.0.1:443/h1"]}


def test_a_service_without_tcp_is_known_by_its_http_side():
    assert uris(told(at("h1", 80, "http"))) == {"h1": ["http://10.0.0.1:80/h1"]}


def test_each_http_side_is_used_once_and_on_its_own_machine():
    found = uris(
        told(
            at("t1", 1), at("t2", 2), at("t3", 3, host="10.0.0.2"),
            at("h1", 80, "http"), at("h2", 81, "http"), at("h3", 82, "http", host="10.0.0.2"),
        )
    )  # fmt: skip
    assert {node: found[node][1:] for node in found} == {
        "t1": ["http://10.0.0.1:80/t1"], "t2": ["http://10.0.0.1:81/t2"], "t3": ["http://10.0.0.2:82/t3"],
    }  # fmt: skip


def test_nodes_without_an_http_side_share_one_and_none_is_lost():
    found = uris(told(at("t1", 1), at("t2", 2), at("h1", 80, "http", host="10.0.0.9")))
    assert {node: found[node][1:] for node in found} == {
        "t1": ["http://10.0.0.9:80/t1"],
        "t2": ["http://10.0.0.9:80/t2"],
    }
    found = uris(told(at("t1", 1), at("h1", 80, "http"), at("h2", 81, "http")))
    assert found["t1"][1:] == ["http://10.0.0.1:80/t1", "http://10.0.0.1:81/t1"]


def test_the_http_side_of_another_service_is_not_mixed_in():
    known = told(at("t1", 1))
    known.came(NewInstance(name="pages", version="1", host="10.0.0.1", port=80, node_id="h1", service_type="http"))
    assert uris(known) == {"t1": ["classic://10.0.0.1:1/t1/1"], "h1": ["http://10.0.0.1:80/h1"]}
