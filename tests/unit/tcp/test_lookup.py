"""What a node says that is asked for an endpoint it does not serve."""

import msgspec
import pytest

from vyked_host import NotFound
from vyked_host.builtin.tcp.lookup import find
from vyked_host.contracts import EndpointDescription, Kind, Surface


def of(name: str, version: str) -> EndpointDescription:
    return EndpointDescription(
        service="shop",
        version=version,
        name=name,
        kind=Kind.UNARY,
        arguments=msgspec.defstruct("None_", []),
        result=None,
    )


SURFACE = Surface(revision=1, endpoints=(of("buy", "1.0.0"), of("buy", "1.2.0"), of("sell", "1.2.0")))


def test_the_highest_version_that_fits_is_found() -> None:
    assert find(SURFACE, of("buy", ""), "n") == find(SURFACE, of("buy", "1"), "n") == 1


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        ("nope", "", "shop.nope does not exist at node n; shop has buy, sell"),
        ("nope", "1", "shop.nope 1 does not exist at node n; shop has buy, sell"),
        ("buy", "2", "shop.buy 2 does not exist at node n; it has shop.buy in version 1.0.0, 1.2.0"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(name: str, version: str, says: str) -> None:
    with pytest.raises(NotFound) as caught:
        find(SURFACE, of(name, version), "n")
    assert str(caught.value) == says
