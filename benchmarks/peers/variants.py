"""What each of our semantics costs: the echo with one of them turned off, or one more turned on.

Deadlines and their sweep, cancellation, a task and a context of its own for every call, the counters and the call's metadata
can't be turned off: no setting does it, so no variant here does. Validation goes with the type: a method of `Any` has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Variant(NamedTuple):
    """Settings of the server and the client over those of `ours`, options of each call, another method."""

    server: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    options: Mapping[str, Any] = {}
    method: str = ""


VARIANTS: dict[str, Variant] = {
    "all on": Variant(),
    "no middleware": Variant(server=("middleware.server=[]", "logging.access=false")),
    "middleware at the client too": Variant(client=('middleware.client=["logging"]',)),
    "no validation": Variant(method="anything"),
    "no limit of calls in flight": Variant(server=('limits.in_flight="none"',)),
    "balancer random": Variant(client=('clients.default.balancer="random"',)),
    "balancer ewma": Variant(client=('clients.default.balancer="ewma"',)),
    "no watch of the registry": Variant(client=('registry.use="static"', 'registry.static.nodes=["{address}"]')),
    "metadata of 40 bytes": Variant(options={"metadata": {"trace": "6f1c92e0b7d84a53a1c0ffee12345678"}}),
}
"""Name -> what differs. `{address}` is that of the server."""
