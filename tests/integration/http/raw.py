"""A plain socket that speaks whatever a test writes."""

from __future__ import annotations

import asyncio
import contextlib


class Raw:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Raw:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def until(self, mark: bytes) -> bytes:
        return await self._reader.readuntil(mark)

    async def head(self) -> str:
        return (await self.until(b"\r\n\r\n")).decode()

    async def everything(self) -> bytes:
        """What comes until the other side closes."""
        found = bytearray()
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(65536):
                found += data
        return bytes(found)

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
