"""The service of this distribution."""

import asyncio
import os
from collections.abc import AsyncIterator

from vyked_host import Service, ServiceError, api


class TooLong(ServiceError, code="too_long", status=400):
    words: int


class Telegraph(Service, name="telegraph", version="1.0.0"):
    def __init__(self) -> None:
        self.given_up = 0

    @api(raises=[TooLong])
    async def send(self, text: str) -> str:
        if len(text.split()) > 5:
            raise TooLong(words=len(text.split()))
        return text

    @api
    async def words(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield word

    @api
    async def count(self, words: AsyncIterator[str]) -> int:
        return len([word async for word in words])

    @api
    async def wait(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up += 1

    @api
    async def waited(self) -> int:
        return self.given_up

    @api
    async def process(self) -> int:
        return os.getpid()
