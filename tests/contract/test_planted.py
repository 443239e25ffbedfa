"""The kit itself: each planted defect is caught, by the case that is there for it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(400)  # all of them run in one process, stateful machines among them
CAUGHT_BY = {
    "TestDrops": "test_many_calls_at_once_are_not_mixed_up",
    "TestAnswersTwice": "test_an_answer_comes_back_whole[at once]",
    "TestReorders": "test_a_streamed_answer_comes_whole_and_in_order",
    "TestNeverCancels": "test_giving_up_reaches_the_handler",
    "TestCallsAnything": "test_the_endpoint_that_is_not_there_is_named",
    "TestLeavesTasks": "test_it_says_where_it_listens_and_who_is_there",
    "TestLeavesTheCandidates": "test_only_candidates_of_the_last_update_are_chosen",
    "TestHasAFavourite": "test_equal_candidates_get_equal_shares",
    "TestLooksAtAll": "test_a_choice_of_two_hundred_looks_at_no_more_than_one_of_two[True]",
    "TestIsNotAffine": "test_an_entity_has_one_candidate_in_every_client",
    "TestLosesTypes": "test_every_type_survives",
    "TestRaisesSomethingElse": "test_any_bytes_give_a_value_or_a_value_error",
    "TestHasNoCap": "test_caps_hold_before_anything_is_built",
    "TestNeverRetries": "test_a_retry_comes_again_after_its_delay_and_counts",
    "TestGivesToAll": "test_each_event_goes_to_one_member_of_each_group",
    "TestDropsAnEvent": "test_every_subscriber_gets_every_event_whole",
    "TestAcksEarly": "test_what_is_not_settled_in_time_goes_to_somebody_again",
    "TestReordersEvents": "test_events_of_one_publisher_come_in_order",
    "TestForgetsTheCount": "test_a_retry_comes_again_after_its_delay_and_counts",
    "TestLosesDeadLetters": "test_what_is_rejected_is_a_dead_letter_that_can_be_replayed_or_forgotten",
    "TestTellsTwice": "test_every_subscriber_gets_every_event_whole",
    "TestForgetsIds": "test_what_is_published_again_under_its_id_is_accepted_and_goes_to_nobody",
    "TestCountsDeadLettersAsWaiting": "test_what_is_settled_is_not_behind_any_more",
    "TestGivesJobsAtOnce": "test_a_job_is_held_back_until_it_is_due",
    "TestKeepsTheGapToItself": "test_a_slow_subscriber_holds_up_nobody_and_is_told_what_it_missed",
    "TestIgnoresConcurrency": "test_no_more_than_concurrency_are_unsettled",
    "TestTakesTheFirstKind": "test_each_envelope_goes_to_the_topic_of_its_kind",
    "TestTellsNobodyOfEnvelopes": "test_each_envelope_is_accounted_for_once",
    "TestKeepsWhatMembersLeave": "test_what_a_member_leaves_behind_goes_to_another",
    "TestIgnoresGenerations": "test_a_newer_life_fences_the_older",
    "TestRemovesEarly": "test_a_lease_renews_itself",
    "TestTellsNobodyOfARemoval": "test_what_is_announced_updated_and_withdrawn_is_seen",
    "TestDoesNotSayWhoTookIt": "test_of_two_processes_with_one_node_id_the_later_has_it_and_the_earlier_is_told",
    "TestOverlooksLostConnections": "test_a_node_that_dies_without_a_word_is_told_gone",
    "TestGoesBack": "test_what_is_announced_updated_and_withdrawn_is_seen",
    "TestResurrects": "test_what_is_announced_updated_and_withdrawn_is_seen",
    "TestLosesFields": "test_a_record_comes_through_whole",
    "TestDropsSomeChanges": "test_what_is_announced_updated_and_withdrawn_is_seen",
    "TestLeavesASocket": "test_it_says_where_it_listens_and_who_is_there",
    "TestLeavesAThread": "test_it_says_where_it_listens_and_who_is_there",
    "TestAnswersTheWrongCall": "test_many_calls_at_once_are_not_mixed_up",
    "TestStreamsThoughItDeclaresNone": "test_what_is_not_declared_is_refused",
    "TestServesGroupsThoughItDeclaresNone": "test_what_is_not_declared_is_refused",
    "TestHasDeadLettersThoughItDeclaresNone": "test_what_is_not_declared_is_refused",
    "TestSaysThatItSurvives": "test_what_waits_for_a_group_is_there_for_the_next_process",
    "TestSaysThatItReplays": "test_from_the_beginning_gives_what_was_there_before",
    "TestReplaysTheWhole": "test_a_replay_goes_on_after_an_event_and_never_ends",
    "TestEndsAReplay": "test_a_replay_goes_on_after_an_event_and_never_ends",
    "TestWaitsForEver": "test_publishers_hear_in_time_that_the_server_is_away_and_then_all_goes_on[cut]",
    "TestAcksWhatItHandsOut": "test_the_server_has_what_was_not_acknowledged_and_nothing_else",
    "TestKeepsNoJunk": "test_what_is_no_event_ends_nothing_and_is_kept_where_dead_letters_are",
    "TestDiesWithItsServer": "test_nothing_that_was_accepted_dies_with_the_server",
    "TestStartsAnewUnderAnOldEpoch": "test_any_sequence_of_events_leaves_views_that_are_right",
    "TestLooksNoMore": "test_nobody_is_gone_while_the_server_is_away_and_then_all_goes_on[kill]",
    "TestTellsThatAllAreGone": "test_nobody_is_gone_while_the_server_is_away_and_then_all_goes_on[cut]",
    "TestLeavesItsRecord": "test_the_server_has_whom_was_announced_and_nobody_else",
    "TestComesBackAsItWas": "test_a_life_after_the_server_died_is_another_and_fences_the_one_before",
}
MIDDLEWARES_CAUGHT_BY = {
    "TestRunsTwice": "test_what_it_wraps_runs_once[server]",
    "TestTranslates": "test_an_error_passes_as_it_is[Retry-consumer]",
    "TestSwallowsCancellation": "test_who_gives_up_ends_what_is_wrapped[server]",
    "TestOneAtATime": "test_one_slow_call_holds_up_no_other[client]",
    "TestMixesUp": "test_many_calls_at_once_are_not_mixed_up[client]",
    "TestWrapsTheFirstOnly": "test_endpoints_are_wrapped_apart[server]",
    "TestHoldsUpProbes": "test_the_control_lane_answers_as_without_it[server]",
    "TestAnswersNothing": "test_the_result_comes_back[client]",
    "TestLeavesATask": "test_the_result_comes_back[server]",
    "TestHearsNothingOfFailures": "test_what_it_is_told_says_what_wrapping_says[server]",
    "TestSaysItTwice": "test_what_it_is_told_says_what_wrapping_says[server]",
    "TestSaysThatAllIsWell": "test_what_it_is_told_says_what_wrapping_says[server]",
    "TestHearsOfSlowOnesOnly": "test_what_it_is_told_says_what_wrapping_says[server]",
    "TestIsNeverAwaited": "test_what_it_is_told_says_what_wrapping_says[server]",
    "TestCountsOnlyWhatItWraps": "test_what_it_is_told_says_what_wrapping_says[server]",
    "TestKnowsAFailureThatIsNone": "test_the_result_comes_back[server]",
    "TestIsOfToday": "test_it_came_later[server]",
}
YESTERDAY = "TestIsOfYesterday", "test_it_came_later[server]"
"""A plugin that was written before a case is not asked, so it does not fail."""
BY_ANY_HISTORY = (
    "TestNeverRetries", "TestGivesToAll", "TestDropsAnEvent", "TestReordersEvents", "TestForgetsTheCount",
    "TestLosesDeadLetters", "TestTellsTwice",
)  # fmt: skip
ANY_HISTORY = "test_any_history_keeps_the_promises"
MACHINE = "test_any_sequence_of_events_leaves_views_that_are_right"
BY_THE_MACHINE = (
    "TestIgnoresGenerations", "TestRemovesEarly", "TestTellsNobodyOfARemoval", "TestOverlooksLostConnections", "TestGoesBack",
    "TestResurrects", "TestDropsSomeChanges",
)  # fmt: skip
HERE = Path(__file__).parent
WORDY = frozenset({"CI", "BUILD_NUMBER", "PYTEST_ADDOPTS"})


@pytest.fixture(scope="module")
def report():
    """What failed: class -> names of cases."""
    wanted = [
        *CAUGHT_BY.items(),
        *((planted, ANY_HISTORY) for planted in BY_ANY_HISTORY),
        *((planted, MACHINE) for planted in BY_THE_MACHINE),
    ]
    cases = [f"{HERE / 'planted.py'}::{planted}::{case}" for planted, case in wanted]
    middlewares = (*MIDDLEWARES_CAUGHT_BY.items(), YESTERDAY)
    cases += [f"{HERE / 'planted_middlewares.py'}::{planted}::{case}" for planted, case in middlewares]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", *cases]
    # told to be verbose, or that it is in CI, it would make out the difference of two long lists, which takes minutes
    environ = {name: value for name, value in os.environ.items() if name not in WORDY}
    told = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1], env=environ)
    found: dict[str, set[str]] = {}
    for name, case in re.findall(
        r"^(?:FAILED|ERROR) \S+planted\w*\.py::(\w+)::(\w+(?:\[[^]]*\])?)", told.stdout, re.MULTILINE
    ):
        found.setdefault(name, set()).add(case)
    assert found, told.stdout + told.stderr
    return found


@pytest.mark.parametrize(("planted", "case"), [*CAUGHT_BY.items(), *MIDDLEWARES_CAUGHT_BY.items()])
def test_a_planted_defect_is_caught(report, planted, case):
    assert case in report.get(planted, set())


def test_a_plugin_is_not_asked_what_came_after_it(report):
    planted, case = YESTERDAY
    assert case not in report.get(planted, set())


def test_there_are_enough_of_them():
    assert len(CAUGHT_BY) + len(MIDDLEWARES_CAUGHT_BY) >= 25


@pytest.mark.parametrize("planted", BY_THE_MACHINE)
def test_any_sequence_of_events_finds_it_too(report, planted):
    assert MACHINE in report.get(planted, set())


@pytest.mark.parametrize("planted", BY_ANY_HISTORY)
def test_the_machine_finds_it_too(report, planted):
    assert ANY_HISTORY in report.get(planted, set())
