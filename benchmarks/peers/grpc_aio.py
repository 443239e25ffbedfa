"""grpc.aio: a generic handler with msgpack bodies, so that the codec is the same for all (protobuf's speed is alike).

Without deadlines, interceptors and message options: the fastest that it is.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio

from ..echo import Row, decode, encode
from ..load import Measured, Plan, drive
from ..processes import LOOPBACK
from . import own_server

SERVICE, METHOD = "bench.Echo", "echo"


def server(folder: Path, port: int) -> list[str]:
    """The command of the server."""
    return own_server("grpc", port)


async def serve(port: int) -> None:
    """Echo until killed."""
    handler = grpc.unary_unary_rpc_method_handler(_echo, request_deserializer=decode, response_serializer=encode)
    listener = grpc.aio.server()
    listener.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    listener.add_insecure_port(f"{LOOPBACK}:{port}")
    await listener.start()
    await listener.wait_for_termination()


async def load(folder: Path, port: int, plan: Plan) -> Measured:
    """The client: one channel, one multi-callable."""
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        call = channel.unary_unary(f"/{SERVICE}/{METHOD}", request_serializer=encode, response_deserializer=decode)
        return await drive(call, plan)


async def _echo(row: Row, context: object) -> Row:
    return row
