"""`post`: one object per ``[transports.NAME]``."""

import asyncio
import sys

from vyked_host import Unavailable
from vyked_host.contracts import Address, Calls, Channel, Environment, Listener, Surface, Transport

from .letterbox import Letterbox
from .office import Office
from .options import PostOptions


class Post(Transport):
    def __init__(self, options: PostOptions, env: Environment) -> None:
        self._options, self._env = options, env
        limit = env.limits.message
        self._largest = sys.maxsize if limit == "none" else 2 * limit

    async def serve(self, calls: Calls, surface: Surface) -> Listener:
        options = self._options
        office = Office(calls, surface, self._env, options.serializer, self._largest)
        uri = f"tcp://{options.host}:{options.port}"
        office.opened(await self._env.net.listen(uri, office.desk, self._env.tls("server")), options.host)
        return office

    async def dial(self, address: Address, *, deadline: float) -> Channel:
        offers = list(dict.fromkeys((self._options.serializer, *self._env.serializers())))
        box = Letterbox(self._env, offers, self._largest)
        uri = address.uri.replace("post://", "tcp://", 1)
        try:
            async with asyncio.timeout(deadline - self._env.clock.now()):
                await self._env.net.connect(uri, lambda: box.line, self._env.tls("client"))
                box.hello()
                await box.opened
        except (OSError, TimeoutError) as error:
            await box.aclose()
            box.opened.exception()  # nobody waits for it any more
            raise Unavailable(f"{address.uri}: {error or 'no answer in time'}", executed="not_sent") from error
        except Unavailable as error:
            await box.aclose()
            raise Unavailable(f"{address.uri}: {error}", executed="not_sent") from error
        return box
