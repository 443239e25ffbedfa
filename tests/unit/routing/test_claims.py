"""Who may run a call with a key: whatever happens in whatever order, one at a time, and after the outcome nobody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vyked_host.routing.claims import Claim, Hold, Record, Standing, Watch, claimed, renewed, settled

TOKENS, DIGESTS, OUTCOMES = st.integers(0, 5), st.sampled_from([b"a", b"b"]), st.sampled_from([None, b"1", b"2"])


class AKey(RuleBasedStateMachine):
    """One key, processes that claim, beat, settle, and are taken for dead at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.record: Record | None = None
        self.holder: str | None = None  # by what was answered
        self.outcome: bytes | None = None
        self.seen: list[Hold] = []
        self.made = 0

    @rule(digest=DIGESTS, over=st.none() | st.integers(0, 20), again=st.booleans())
    def claim(self, digest: bytes, over: int | None, again: bool) -> None:
        self.made += not again
        token = f"t{self.made}"
        named = self.seen[over % len(self.seen)] if over is not None and self.seen else None
        before = self.record
        found, self.record = claimed(before, Claim(token=token, digest=digest, over=named))
        if before is None:
            assert found.state == "granted"
        elif before.digest != digest:
            assert found == Standing(state="reused")
        elif self.outcome is not None:
            assert found == Standing(state="done", outcome=self.outcome)
        elif token == self.holder or named == before.hold:
            assert found.state == "granted"
        else:
            assert found == Standing(state="held", hold=before.hold)
        if found.state == "granted":
            self.holder = token
        else:
            assert self.record == before
        if found.hold is not None:
            self.seen.append(found.hold)

    @rule(number=TOKENS)
    def beat(self, number: int) -> None:
        token = f"t{self.made - number}"
        found = renewed(self.record, token)
        assert (found is not None) == (token == self.holder and self.outcome is None)
        if found is not None:
            assert self.record is not None
            assert found.hold == Hold(token=token, beat=self.record.hold.beat + 1)
            self.record = found

    @rule(number=TOKENS, outcome=OUTCOMES)
    def settle(self, number: int, outcome: bytes | None) -> None:
        token = f"t{self.made - number}"
        before = self.record
        held, self.record = settled(before, token, outcome)
        assert held == (token == self.holder)
        if not held or self.outcome is not None:
            assert self.record == before, "who does not hold it changes nothing, and an outcome stays"
        elif outcome is None:
            assert self.record is None
            self.holder = None
        else:
            self.outcome = outcome

    @invariant()
    def what_was_answered_is_what_is_known(self) -> None:
        assert (self.record.hold.token if self.record else None) == self.holder
        assert (self.record.outcome if self.record else None) == self.outcome


TestAKey = AKey.TestCase


@given(beats=st.lists(st.integers(0, 3), min_size=1), steps=st.lists(st.floats(0.01, 5.0), min_size=40, max_size=40))
def test_a_hold_stands_still_since_it_was_first_seen_as_it_is(beats: list[int], steps: list[float]) -> None:
    watch, now, since, last = Watch(), 0.0, 0.0, None
    for beat, step in zip(beats, steps, strict=False):
        now += step
        if beat != last:
            since, last = now, beat
        assert watch.still_for("key", Hold(token="t", beat=beat), now) == now - since


def test_a_watch_forgets_what_it_saw_first() -> None:
    watch, hold = Watch(most=2), Hold(token="t")
    for at, key in enumerate("abc"):
        watch.still_for(key, hold, float(at))
    assert watch.still_for("b", hold, 5.0) == 4.0
    assert watch.still_for("a", hold, 5.0) == 0.0
    watch.forget("b")
    assert watch.still_for("b", hold, 6.0) == 0.0
