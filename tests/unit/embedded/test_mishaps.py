"""A loop that goes on after what nobody expected says so, without filling the log."""

import logging

from vyked_host.builtin.embedded.mishaps import Mishaps


def failure(number):
    try:
        if number < 0:
            raise KeyError(number)
        raise ValueError(number)
    except (KeyError, ValueError) as error:
        return error


def test_each_kind_is_logged_once_with_its_traceback_and_then_at_each_power_of_ten(caplog):
    mishaps = Mishaps(logging.getLogger("vyked"), "the stream")
    for number in range(100):
        mishaps.met(failure(number))
    mishaps.met(failure(-1))
    assert mishaps.count == 101
    assert [bool(each.exc_info) for each in caplog.records] == [True, False, False, True]
    assert "the stream failed 100 times by now and goes on: ValueError(99)" in caplog.text


def test_an_error_that_was_never_raised_is_told_too(caplog):
    Mishaps(logging.getLogger("vyked"), "the stream").met(ValueError("never raised"))
    assert "never raised" in caplog.text
