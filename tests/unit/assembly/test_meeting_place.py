"""Where the back ends of a host meet those of the others: at one place, unless the file names two."""

import pytest

from vyked_host.assembly.hubs import meeting_place
from vyked_host.assembly.prepare import prepare

REGISTRY = '[registry.embedded]\naddress = "127.0.0.1:4711"\n'
BUS = '[pubsub.embedded]\naddress = "127.0.0.1:{port}"\n'


@pytest.mark.parametrize(
    ("text", "is_alone", "place"),
    [
        (REGISTRY, False, "127.0.0.1:4711"),
        (REGISTRY, True, "127.0.0.1:4711"),
        ("", False, None),
        ("", True, "none"),
        ('[registry.embedded]\naddress = "none"\n', False, "none"),
        ('[registry]\nuse = "static"\n[registry.static]\nnodes = ["tcp://127.0.0.1:4711"]\n', False, None),
    ],
)
def test_who_names_no_place_meets_where_the_registry_does(text, is_alone, place):
    assert meeting_place(prepare(None, text=text).loaded.require(), is_alone=is_alone) == place


def test_two_back_ends_may_name_one_place():
    assert prepare(None, text=REGISTRY + BUS.format(port=4711)).loaded.problems == ()


def test_a_transport_may_not_bind_it():
    (problem,) = prepare(None, text=f"{REGISTRY}[transports.tcp]\nport = 4711\n").loaded.problems
    assert "4711 is taken" in problem.message
