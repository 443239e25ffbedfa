"""Outgoing calls with a stream, either way. They are made once: the first item commits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ..contracts import Channel, Running
from ..model.message import Call
from ..service.clients import CallOptions
from .answers import Reply
from .instances import Instance
from .outcomes import unsendable
from .outgoing import PLAIN, Outgoing
from .reading import Stream

TIMEOUT_S = 600.0
"""Of a stream whose method says nothing else."""


class Streams(Outgoing):
    """One endpoint with a stream."""

    async def upload(self, arguments: Any, inbound: AsyncIterator[Any], options: CallOptions | None) -> Any:
        """A stream to the handler, one answer back."""
        reply = self._reply(arguments, inbound, options)
        try:
            return await reply.result()
        finally:
            reply.leave()

    def stream(self, arguments: Any, inbound: AsyncIterator[Any] | None, options: CallOptions | None) -> Stream:
        """A streamed answer; nothing is sent before it is first waited for."""
        return Stream(self._reply(arguments, inbound, options))

    def _reply(self, arguments: Any, inbound: AsyncIterator[Any] | None, options: CallOptions | None) -> Reply:
        call = self._new(options or PLAIN, self._now())

        async def start(reply: Reply) -> Running | None:
            instance, channel = await self._open(call, options)
            codecs = self.codecs_of(call.codec)
            reply.instance, reply.decode, reply.encode = instance.node_id, codecs.decode, codecs.encode_item
            try:
                call.body = codecs.encode(arguments)
            except (ValueError, TypeError, OverflowError) as error:
                raise unsendable(self.endpoint, error) from error
            return channel.dispatch(call, reply)

        client = self.client
        return Reply(self.endpoint, call, start, client.pending, client.tasks, inbound, client.failures)

    async def _open(self, call: Call, options: CallOptions | None) -> tuple[Instance, Channel]:
        instance = self._choose(call, options, self._now())
        way = self._way_to(instance)
        channel = way.channel
        if channel is None:
            instance, way, channel = await self._dialled(instance, way, call, options)
        call.endpoint, call.codec = way.agreed(channel, self.endpoint)
        return instance, channel
