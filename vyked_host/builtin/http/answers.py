"""What a node answered, read by the client side: results with their cap, and faults out of error bodies."""

from __future__ import annotations

from typing import Any, Literal

import aiohttp
import msgspec

from ...contracts import Code, Fault

LARGEST_ERROR = 64 << 10
ERROR_START = b'{"error":'


class ErrorBody(msgspec.Struct):
    """The one error body, read back."""

    error: str
    code: Code
    type: str = ""
    details: Any = None
    executed: Literal["not_executed", "executed", "unknown"] = "unknown"
    retry_after: float | None = None

    def fault(self) -> Fault:
        """As the caller's side has it."""
        return Fault(
            code=self.code,
            message=self.error,
            executed=self.executed,
            type=self.type,
            details=self.details,
            retry_after_s=self.retry_after,
        )


_decode = msgspec.json.Decoder(ErrorBody).decode


class AnswerTooLarge(ValueError):
    """An answer over the limit: reading was stopped."""


async def read(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The whole body, at most `limit` bytes (0: no bound). Raises AnswerTooLarge, aiohttp.ClientError."""
    parts: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if limit and size > limit:
            answer.close()
            raise AnswerTooLarge(f"the answer is over [limits] message = {limit}")
        parts.append(chunk)
    return b"".join(parts)


def error_item(item: bytes) -> Fault | None:
    """The fault that the last item of a broken-off stream tells, or None when it is an ordinary one."""
    try:
        return _decode(item).fault()
    except (ValueError, RecursionError):
        return None


async def fault_of(answer: aiohttp.ClientResponse) -> Fault:
    """The fault in an answer that is none of success."""
    try:
        found = error_item(await read(answer, LARGEST_ERROR))
    except AnswerTooLarge:
        found = None
    if found is not None:
        return found
    text = f"{answer.url} answered {answer.status} {answer.reason}, not in the words of a vyked-host"
    code: Code = "UNAVAILABLE" if answer.status in (502, 503, 504) else "INTERNAL"
    return Fault(code=code, message=text, executed="unknown")
