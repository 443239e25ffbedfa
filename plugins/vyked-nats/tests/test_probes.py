"""Who is asked for, and how soon again after a question that is not answered."""

import pytest
from vyked_nats.jetstream.api import UNHEARD
from vyked_nats.message import Message
from vyked_nats.registry.probes import Probes

from vyked_host.testing import environment

NODE = ("one", 7)


class Line:
    """A connection whose questions are answered by hand."""

    def __init__(self):
        self.open, self.asked = {}, 0

    def ask(self, subject, data, answered):
        assert subject == "one.7"
        self.asked += 1
        reply = b"%d" % self.asked
        self.open[reply] = answered
        return reply

    def forget(self, reply):
        del self.open[reply]


class Clock:
    """Goes when it is told to."""

    seconds = 100.0

    def now(self):
        return self.seconds


@pytest.fixture
async def asking():
    """(probes, line, clock, who was found cut off)."""
    clock, line, found = Clock(), Line(), []
    async with environment(clock=clock) as env:
        probes = Probes(env, "{}.{}".format, lambda *node: found.append(node))
        probes.joined(line)
        yield probes, line, clock, found, env.timing


async def test_a_node_that_is_killed_with_a_question_in_its_hands_is_found_within_a_heartbeat(asking):
    """That one will never be answered, and nobody says so."""
    probes, line, clock, found, timing = asking
    probes.ask([NODE], 1)
    clock.seconds += timing.heartbeat
    probes.ask([NODE], 1)
    ((_, answered),) = line.open.items()
    answered(Message(b"", b"", b"", UNHEARD + b"\r\n\r\n"))
    assert (line.asked, found) == (2, [NODE])
    assert timing.heartbeat < timing.lease


async def test_while_a_question_is_out_there_is_no_other(asking):
    probes, line, clock, found, timing = asking
    for _ in range(10):
        probes.ask([NODE], 1)
        clock.seconds += timing.heartbeat / 11
    assert (line.asked, found) == (1, [])


async def test_who_answers_is_asked_again(asking):
    probes, line, _clock, found, _timing = asking
    for _ in range(3):
        probes.ask([NODE], 1)
        _, answered = line.open.popitem()
        answered(Message(b"", b"", b"", b""))
    assert (line.asked, found) == (3, [])
