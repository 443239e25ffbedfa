"""Errands: what is asked first is done first, and a script that a server does not know, or has forgotten, is sent whole."""

import pytest
from redis.exceptions import NoScriptError

from vyked_host.builtin.redis.errands import Errands
from vyked_host.builtin.redis.script import Script

BURY = Script("return 1")


@pytest.fixture
async def errands():
    under_test = Errands(lambda: None)
    yield under_test
    under_test.close()


async def test_a_script_goes_out_whole_the_first_time_so_that_what_is_asked_after_it_comes_after_it(errands):
    errands.run(BURY, ("key",), "one")
    errands.run(BURY, ("key",), "two")
    errands.ask("ZRANGE", "key", "0", "-1")
    assert [words for words, _ in errands.take()] == [
        ("EVAL", BURY.text, "1", "key", "one"),
        ("EVALSHA", BURY.digest, "1", "key", "two"),
        ("ZRANGE", "key", "0", "-1"),
    ]


async def test_a_script_that_the_server_has_forgotten_goes_out_whole_again(errands):
    errands.run(BURY, ("key",), "one")
    said = errands.run(BURY, ("key",), "two")
    _, (_, second) = errands.take()
    second.answered(NoScriptError("NOSCRIPT"))
    ((words, again),) = errands.take()
    assert words == ("EVAL", BURY.text, "1", "key", "two")
    again.answered(1)
    assert await said == 1
