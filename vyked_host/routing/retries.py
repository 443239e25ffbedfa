"""Whether a call that failed is made again, and when. Pure: what happened, chance and what is known of the method are passed in.

The numbers are gRPC's (https://github.com/grpc/proposal/blob/master/A6-client-retries.md): few attempts, exponential backoff
with 20 % jitter, and what the server says about when to come again goes before the client's own backoff.
"""

from __future__ import annotations

from ..errors import RULES, Code, Executed
from ..model.values import Value
from .backoff import Backoff

JITTER = 0.2
"""Share by which a pause may be shorter or longer."""


class Failure(Value):
    """How an attempt ended. `retry_after`: seconds after which the instance may be asked again, as it says itself. `passing`: why it
    refused is over by then (`errors.HeldUp`)."""

    code: Code
    executed: Executed
    retry_after: float | None = None
    passing: bool = False


class Retries(Value):
    """At most `attempts` in all, and the pauses between them."""

    attempts: int = 3
    backoff: Backoff = Backoff(first=0.05, most=1.0)

    def pause(
        self, failure: Failure, *, attempt: int, repeatable: bool, elsewhere: bool, chance: float
    ) -> float | None:  # fmt: skip
        """Seconds to wait before the next attempt after number `attempt` (from 1) failed; None: there is none.

        `repeatable`: the method may run twice. `elsewhere`: there is an instance that this call has not tried. `chance` in [0, 1).
        """
        if attempt >= self.attempts or not _may_repeat(failure, repeatable=repeatable, elsewhere=elsewhere):
            return None
        if failure.retry_after is not None:
            # all that were refused in one turn would come back to it in one: never earlier than it says, and spread
            return failure.retry_after * (1.0 + chance if failure.passing and not elsewhere else 1.0)
        if attempt == 1 and elsewhere and failure.executed != "unknown":
            return 0.0
        return self.backoff.ceiling(attempt - 1) * (1.0 - JITTER + 2.0 * JITTER * chance)


def may_run_twice(*, idempotent: bool, has_key: bool, keyed: bool = False) -> bool:
    """May a method run again when nobody knows whether it ran? It says so itself (`idempotent`), or the call has an idempotency
    key and the instance keeps results by them (`keyed`)."""
    return idempotent or (has_key and keyed)


def _may_repeat(failure: Failure, *, repeatable: bool, elsewhere: bool) -> bool:
    if failure.code == "RESOURCE_EXHAUSTED":  # the same instance has as much to do as before, unless it says otherwise
        return (elsewhere or failure.passing) and failure.executed in ("not_sent", "not_executed")
    if failure.executed == "not_sent":
        return RULES[failure.code].retry != "never"
    if failure.code != "UNAVAILABLE":
        return False
    return failure.executed == "not_executed" or (failure.executed == "unknown" and repeatable)
