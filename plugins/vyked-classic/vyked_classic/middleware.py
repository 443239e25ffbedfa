"""The middleware `classic`: the counters of `GET /_stats`, and for services of the old face errors as their callers knew them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, ClassVar, Literal

from vyked_host import ServiceError, VykedServiceException
from vyked_host.contracts import EndpointDescription, Middleware, Proceed

from .faults import EXCEPTION
from .times import in_seconds

log = logging.getLogger("vyked")


ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What a person and the interpreter say; a cancellation beside them."""


class OldFailure(ServiceError, code=EXCEPTION, status=500):
    """Any exception of a service of the old face, those that are no Exception among them: its text travels, as it did."""


class Counting(Middleware):
    """Wraps handlers: `update` is `vyked.utils.stats.Aggregator.update_stats`."""

    kinds: ClassVar[dict[bool, str]] = {True: "http", False: "tcp"}

    def __init__(self, update: Any, totals: Any) -> None:
        self._update, self._totals = update, totals

    def wrap(
        self, endpoint: EndpointDescription, side: Literal["client", "server", "consumer"], proceed: Proceed
    ) -> Proceed:
        """Counted; where the endpoint declares OldFailure with the text of what is raised, and with times as they were."""
        if side != "server":
            return proceed
        speaks = any(each.code == EXCEPTION for each in endpoint.raises)
        raw, name = endpoint.kind.is_raw, endpoint.name

        async def counted(given: Any) -> Any:
            began = time.perf_counter()
            self._totals(raw, "total_requests")
            status: Any = "unhandled_exception" if raw else "unhandled_error"
            try:
                result = await proceed(given)
                status = getattr(result, "status", 200) if raw else "succesful"
                return in_seconds(result) if speaks and not raw else result
            except ENDS:
                raise
            except ServiceError as error:
                status = "handled_exception" if raw else "handled_error"
                if speaks and not (type(error) is VykedServiceException and str(error)):
                    raise VykedServiceException(_text(error)) from error
                raise
            except (TimeoutError, asyncio.CancelledError) as error:
                status = "timeout"
                self._totals(raw, "timedout")
                if speaks and isinstance(error, TimeoutError):
                    raise _failure(endpoint, error) from error
                raise
            except BaseException as error:
                if speaks:
                    raise _failure(endpoint, error) from error
                raise
            finally:
                self._ended(name, status, raw, (time.perf_counter() - began) * 1000)

        return counted

    def _ended(self, name: str, status: Any, raw: bool, took_ms: float) -> None:
        well = status == "succesful" or (isinstance(status, int) and status < 400)
        self._totals(raw, "total_responses" if well else "total_errors")
        self._update(name, status, took_ms, self.kinds[raw], well)


def _failure(endpoint: EndpointDescription, error: BaseException) -> OldFailure:
    """What goes out instead of it, once the log has it."""
    log.error("%s failed", endpoint.path, exc_info=error)
    return OldFailure(_text(error))


def _text(error: BaseException) -> str:
    """What its caller reads: Vyked 2.x sent nothing where there was no text."""
    return str(error) or type(error).__name__
