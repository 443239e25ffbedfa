"""What the settings of a stream say of how safe it is: decided here, without I/O, and told when a host starts.

Not among them: whether the server tells its disk to write (`sync_interval`), which it tells nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def doubts(name: str, config: Mapping[str, Any], wanted_replicas: int, *, is_cluster: bool) -> Iterator[str]:
    """What of stream `name` keeps events less safe than its users may think, and what to do. Storage can't be changed: such a stream
    has to be made anew."""
    if config.get("storage") == "memory":
        yield (
            f"stream {name} keeps events in memory: they are lost with the process of its server; once it is empty, "
            f"nats stream rm {name}, and it is made anew, in files"
        )
    elif config.get("persist_mode") == "async":
        yield (
            f"stream {name} has persist_mode async: events are confirmed before they are written, and may be lost with the "
            "process of its server; it can't be changed: make it anew once it is empty"
        )
    replicas = int(config.get("num_replicas", 1))
    if replicas < wanted_replicas:
        yield (
            f"stream {name} is kept by {replicas} of the servers, and replicas = {wanted_replicas}, which counts only when it is "
            f"made: nats stream edit {name} --replicas {wanted_replicas}"
        )
    elif replicas == 1 and is_cluster:
        yield (
            f"stream {name} is kept by one server of a cluster: while that is away nothing is published nor handled, and with its "
            f"disk all is lost: replicas = 3, and nats stream edit {name} --replicas 3"
        )
