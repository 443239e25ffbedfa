"""Middlewares with a defect each, under the kit. Not collected by itself: test_planted.py runs it and reads what failed."""

import asyncio

import pytest

from vyked_host.contracts import Provider
from vyked_host.testing import MiddlewareConformance, since, waiting


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(waiting, "WITHIN_S", 0.4)


class Planted:
    def __init__(self, env):
        self.env = env

    def wrap(self, endpoint, side, proceed):
        async def run(arguments):
            return await self.run(endpoint, proceed, arguments)

        return run


class RunsTwice(Planted):
    async def run(self, _endpoint, proceed, arguments):
        await proceed(arguments)
        return await proceed(arguments)


class Translates(Planted):
    async def run(self, _endpoint, proceed, arguments):
        try:
            return await proceed(arguments)
        except Exception as error:
            raise RuntimeError(str(error)) from error


class SwallowsCancellation(Planted):
    async def run(self, _endpoint, proceed, arguments):
        try:
            return await proceed(arguments)
        except asyncio.CancelledError:
            return None


class OneAtATime(Planted):
    def __init__(self, env):
        super().__init__(env)
        self.lock = asyncio.Lock()

    async def run(self, _endpoint, proceed, arguments):
        async with self.lock:
            return await proceed(arguments)


class MixesUp(Planted):
    """What it remembers of a call it keeps for all of them."""

    async def run(self, _endpoint, proceed, arguments):
        self.arguments = arguments
        await asyncio.sleep(0)
        return await proceed(self.arguments)


class WrapsTheFirstOnly(Planted):
    first = None

    def wrap(self, endpoint, side, proceed):
        self.first = self.first or proceed
        return super().wrap(endpoint, side, self.first)


class HoldsUpProbes(Planted):
    async def run(self, endpoint, proceed, arguments):
        if endpoint.lane == "control":
            raise PermissionError("no token")
        return await proceed(arguments)


class AnswersNothing(Planted):
    async def run(self, _endpoint, proceed, arguments):
        await proceed(arguments)


class LeavesATask(Planted):
    left = []

    async def run(self, _endpoint, proceed, arguments):
        self.left.append(asyncio.get_running_loop().create_task(asyncio.sleep(3600), name="forgotten"))
        return await proceed(arguments)


class Watches(Planted):
    """Says how each call ends, in a line. As one that wraps it does so well."""

    slow_s = 0.0

    async def run(self, _endpoint, proceed, arguments):
        try:
            result = await proceed(arguments)
        except BaseException as error:
            self.say(error)
            raise
        self.say(None)
        return result

    def watch(self, endpoint, side):
        return self

    def say(self, error):
        self.env.log.info("a call ended: %s", "OK" if error is None else type(error).__name__)


class HearsNothingOfFailures(Watches):
    def ended(self, arguments, elapsed_s, error):
        if error is None:
            self.say(error)


class SaysItTwice(Watches):
    def ended(self, arguments, elapsed_s, error):
        self.say(error)
        self.say(error)


class SaysThatAllIsWell(Watches):
    def ended(self, arguments, elapsed_s, error):
        self.say(None)


class HearsOfSlowOnesOnly(Watches):
    slow_s = 2.0

    def ended(self, arguments, elapsed_s, error):
        self.say(error)


class IsNeverAwaited(Watches):
    async def ended(self, arguments, elapsed_s, error):
        self.say(error)


class CountsOnlyWhatItWraps(Watches):
    count = 0

    def say(self, error):
        self.count += 1

    def ended(self, arguments, elapsed_s, error):
        """Counts are beside the lines: `noted` finds it."""


def middleware(planted):
    return Provider(name="planted", summary="planted", build=lambda options, env: planted(env))


class TestRunsTwice(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(RunsTwice))


class TestTranslates(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(Translates))


class TestSwallowsCancellation(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(SwallowsCancellation))


class TestOneAtATime(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(OneAtATime))


class TestMixesUp(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(MixesUp))


class TestWrapsTheFirstOnly(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(WrapsTheFirstOnly))


class TestHoldsUpProbes(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(HoldsUpProbes))


class TestAnswersNothing(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(AnswersNothing))


class TestLeavesATask(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(LeavesATask))


# ---- told, or around -------------------------------------------------------------------------------------------------
class TestHearsNothingOfFailures(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(HearsNothingOfFailures))


class TestSaysItTwice(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(SaysItTwice))


class TestSaysThatAllIsWell(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(SaysThatAllIsWell))


class TestHearsOfSlowOnesOnly(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(HearsOfSlowOnesOnly))


class TestIsNeverAwaited(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(IsNeverAwaited))


class TestCountsOnlyWhatItWraps(MiddlewareConformance):
    provider = pytest.fixture(lambda self: middleware(CountsOnlyWhatItWraps))

    def noted(self, middleware):
        return middleware.count


# ---- what the kit says of itself -------------------------------------------------------------------------------------
class Fine(Planted):
    async def run(self, _endpoint, proceed, arguments):
        return await proceed(arguments)


class TestKnowsAFailureThatIsNone(MiddlewareConformance):
    known_failures = {"test_the_result_comes_back[server]": "it does come back"}
    provider = pytest.fixture(lambda self: middleware(Fine))


class Later(MiddlewareConformance):
    """A kit with a case that came later, and that none of the plugins passes."""

    provider = pytest.fixture(lambda self: middleware(Fine))

    @since("1.7")
    async def test_it_came_later(self, middleware, side):
        raise AssertionError("it was asked")


class TestIsOfToday(Later):
    spi = "1.7"


class TestIsOfYesterday(Later):
    spi = "1.6"
