"""What is asserted of a plugin, in words: of each guarantee, of the contract of its kind, and of its packaging. Single source of the matrix
that `plugins verify` prints, and of the tables of docs/guarantees.md."""

from __future__ import annotations

from collections.abc import Mapping

from .verdicts import PACKAGING

GUARANTEES: Mapping[str, Mapping[str, str]] = {
    "pubsub": {
        "fan_out": "each event to every instance (`@subscribe`)",
        "at_least_once": "each event to one of a group, until it is handled (`@xsubscribe`)",
        "durability.process": "what waits outlives the process that keeps it",
        "durability.disk": "and the machine",
        "ordered.publisher": "events of one publisher come in order",
        "strategies.any": "whoever is free",
        "strategies.leader": "`LEADER`: one gets all",
        "strategies.random": "`RANDOM`: by chance",
        "strategies.keyed": "`DESIGNATION`: a key stays with one",
        "replay": "what was before (`from_`)",
        "dead_letter": "what was given up on is kept (`vyked-host dlq`)",
        "queues": "jobs (`@enqueue`, `@work`)",
        "delays": "jobs for later (`delay=`)",
        "dedupe_s": "the same id twice goes out once (`dedupe=True`)",
    },
    "transport": {
        "streams": "streams, each way",
        "cancels": "who gives up ends the handler",
        "push": "the server can speak first: it says that it is leaving",
    },
}
"""By kind, and as in `Guarantees`, with the value after a dot where a field may have several."""
CONTRACTS: Mapping[str, str] = {
    "balancer": "chooses one of those it may, in no time that grows with their number",
    "middleware": "lets calls, answers and errors through, and wraps once",
    "pubsub": "publishing ends in its time, what is too large is refused, it closes without a trace; what is not declared is refused",
    "registry": "who announces is seen by all, who leaves or is silent is gone, an older life changes nothing",
    "results": "of calls with one key one runs, and all get its outcome",
    "serializer": "gives back what it was given, and refuses what is too large or does not fit",
    "transport": "calls, answers and errors arrive as they were sent, in their time, and it closes without a trace",
}
"""What every plugin of a kind has to do, whatever it declares."""
PACKAGED = "its distribution says what it offers and needs, and importing it does nothing"


def claim(kind: str, row: str) -> str:
    """What a row of the matrix is about; "": its name says all."""
    if row == PACKAGING:
        return PACKAGED
    found = CONTRACTS.get(kind, "") if row == "contract" else GUARANTEES.get(kind, {}).get(row, "")
    return found.replace("`", "")
