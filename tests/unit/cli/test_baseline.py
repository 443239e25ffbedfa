"""What a run is compared with has to have been measured in the same way."""

import pytest

from vyked_host import UsageError
from vyked_host.cli.baseline import ANY, Figures, Load, Run, check

NONE = Figures(
    seconds=1.0, calls=0, per_second=0.0, p50_ms=0.0, p90_ms=0.0, p99_ms=0.0, p999_ms=0.0, max_ms=0.0, outcomes={}
)
LOAD = Load(endpoint="shop.echo", loop="closed", in_flight=64, rate=None)


def of(*ways: str) -> Run:
    return Run(load=LOAD, ways=dict.fromkeys(ways, NONE))


@pytest.mark.parametrize(
    ("saved", "ways", "says"),
    [
        (("tcp", "local"), (ANY,), "it has tcp, local; measure with --compare tcp,local"),
        ((ANY,), ("tcp",), "it was without --compare; leave it out"),
        (("tcp",), ("tcp", "http"), "it has tcp; measure with --compare tcp"),
    ],
)
def test_ways_that_the_baseline_has_not_are_said_with_what_to_do(saved, ways, says):
    with pytest.raises(UsageError) as caught:
        check(of(*saved), LOAD, ways, "b.json")
    assert str(caught.value) == f"--baseline b.json was measured otherwise: {says}"


def test_some_of_its_ways_are_enough():
    check(of("tcp", "http"), LOAD, ("http",), "b.json")
