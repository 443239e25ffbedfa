"""grpc.aio: a generic handler with msgpack bodies, so that the codec is the same for all (protobuf's speed is alike).

Without deadlines, interceptors and message options: the fastest that it is.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec

from ..echo import Case, Codec
from ..load import Measured, Plan, drive
from ..processes import LOOPBACK
from . import own_server

SERVICE, METHOD = "bench.Echo", "echo"
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
"""Without it all channels of a process to one address share a connection."""


class Messages(Codec):
    """A bare string becomes a message of one field: grpc.aio would make bytes of it before its serializer sees it."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.pack, self.unpack = self.encode, self.decode
        if isinstance(self.payload.value, str):
            self.decode = whole = msgspec.msgpack.Decoder(tuple[str]).decode
            self.pack = lambda text: self.encode((text,))
            self.unpack = lambda data: whole(data)[0]


def server(folder: Path, port: int, case: Case) -> list[str]:
    """The command of the server."""
    return own_server("grpc", port, case)


async def serve(port: int, case: Case) -> None:
    """Echo until killed."""
    codec, echo = Messages(case), _suspends if case.handler == "suspends" else _plain
    handler = grpc.unary_unary_rpc_method_handler(
        echo, request_deserializer=codec.decode, response_serializer=codec.encode
    )
    listener = grpc.aio.server()
    listener.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    listener.add_insecure_port(f"{LOOPBACK}:{port}")
    await listener.start()
    await listener.wait_for_termination()


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: a channel and a multi-callable for each connection."""
    codec = Messages(plan.case)
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(plan.case.connections):
            made = grpc.aio.insecure_channel(f"{LOOPBACK}:{port}", options=OWN_CONNECTION)
            channel = await stack.enter_async_context(made)
            calls.append(
                channel.unary_unary(
                    f"/{SERVICE}/{METHOD}", request_serializer=codec.pack, response_deserializer=codec.unpack
                )
            )
        return await drive(calls, plan)


async def _plain(value: Any, context: object) -> Any:
    return value


async def _suspends(value: Any, context: object) -> Any:
    await asyncio.sleep(0)
    return value
