"""Results at a Redis or Valkey server, shared by all instances: a hash for each key, changed by scripts only, so that each step is
one at the server.

The server's clock decides nothing about who may run a call: expiry only clears away what nobody settled or asks for any more. What
an answer was lost of is sent again, which `routing.claims` allows for. The scripts are its functions once more.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from redis.exceptions import NoPermissionError, OutOfMemoryError, RedisError, ResponseError

from ...contracts import Claim, Environment, Hold, ResultStore, Standing
from ...errors import Overloaded, StartError, Unavailable
from .errands import Errands
from .keeper import Keeper
from .line import Line
from .options import ResultOptions
from .script import Script
from .server import Server
from .wire import Wire

LEASES = 20
"""What is held is kept for so many leases after its last beat (`contracts.ResultStore`)."""
RIGHTS = "~<prefix>:* +hset +hmget +hincrby +pexpire +del +set +get +eval +evalsha"

CLAIM = Script("""
-- KEYS: key. ARGV: digest, token, ms, and the token and beat that stood still.
local known = redis.call('HMGET', KEYS[1], 'digest', 'token', 'beat', 'outcome')
if known[1] then
  if known[1] ~= ARGV[1] then return {'reused'} end
  if known[4] then return {'done', known[4]} end
  if known[2] == ARGV[2] then return {'granted'} end
  if known[2] ~= ARGV[4] or known[3] ~= ARGV[5] then return {'held', known[2], known[3]} end
end
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'token', ARGV[2], 'beat', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'granted'}
""")

RENEW = Script("""
-- KEYS: key. ARGV: token, ms.
local known = redis.call('HMGET', KEYS[1], 'token', 'outcome')
if known[1] ~= ARGV[1] or known[2] then return 0 end
redis.call('HINCRBY', KEYS[1], 'beat', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
""")

SETTLE = Script("""
-- KEYS: key. ARGV: token, ms, and the outcome where there is one to keep.
local known = redis.call('HMGET', KEYS[1], 'token', 'outcome')
if known[1] ~= ARGV[1] then return 0 end
if known[2] then return 1 end
if ARGV[3] then
  redis.call('HSET', KEYS[1], 'outcome', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 1
""")


class RedisResults(ResultStore):
    """`contracts.ResultStore` of all hosts that use one server, database and prefix."""

    def __init__(self, options: ResultOptions, env: Environment) -> None:
        self._env, self._server = env, Server(options.url, "results.redis", env.namespace)
        self._base = f"{options.prefix}:{self._server.mesh}:result"
        self._keep_ms, self._held_ms = str(int(options.keep * 1000)), str(int(LEASES * env.timing.key_lease * 1000))
        self._keeper = Keeper("results", self._server, env, self._speak, joined=_ignore, left=_ignore)
        self._errands = Errands(self._keeper.wake, "the store of results is closed")
        self._closed = False

    def _speak(self, wire: Wire) -> Line:
        return Line(wire, self._server, self._env, self._errands.take, _ignore)

    async def open(self) -> str:
        """Raises StartError when the server can't be reached, or does not let this host in."""
        try:
            async with asyncio.timeout(self._env.timing.dial):
                await self._errands.ask("SET", self._base, secrets.token_hex(8), "NX")
                name = await self._errands.ask("GET", self._base)
                await self._run(CLAIM, "opening", "", "", "1", "", "")
                policy = await self._policy()
        except TimeoutError:
            raise self._unusable(self._keeper.away, self._keeper.todo) from None
        except (RedisError, Unavailable) as error:
            todo = self._server.unreachable(error).todo if isinstance(error, RedisError) else self._keeper.todo
            raise self._unusable(self._words(error), todo) from None
        if policy not in ("", "noeviction"):
            raise self._unusable(
                f"{self._server.place} throws away results for room (maxmemory-policy {policy}): a call could run twice. Set "
                "noeviction, or give results a server of their own"
            )
        return f"redis:{bytes(name).decode()}" if isinstance(name, bytes) else f"redis:{self._server.place}"

    async def _policy(self) -> str:
        """What the server throws away when it is full; "" where it has no limit, or does not tell (managed services, ACL)."""
        try:
            limit = await self._errands.ask("CONFIG", "GET", "maxmemory")
            policy = await self._errands.ask("CONFIG", "GET", "maxmemory-policy")
        except ResponseError:
            return ""
        match limit, policy:
            case [_, bytes() as most], [_, bytes() as told] if most != b"0":
                return told.decode(errors="replace")
        return ""

    async def claim(self, key: str, claim: Claim, *, deadline: float) -> Standing:
        """One script. Raises Overloaded when the server has no room."""
        over = (claim.over.token, str(claim.over.beat)) if claim.over is not None else ("", "")
        left = deadline - self._env.clock.now()
        answer = await self._asked(left, CLAIM, key, claim.digest.hex(), claim.token, self._held_ms, *over)
        match answer:
            case [b"held", bytes() as token, bytes() as beat]:
                return Standing(state="held", hold=Hold(token=token.decode(), beat=int(beat)))
            case [b"done", bytes() as outcome]:
                return Standing(state="done", outcome=outcome)
            case [b"reused"]:
                return Standing(state="reused")
        return Standing(state="granted")

    async def renew(self, key: str, token: str) -> bool:
        """One more beat."""
        return bool(await self._asked(self._env.timing.dial, RENEW, key, token, self._held_ms))

    async def settle(self, key: str, token: str, outcome: bytes | None) -> bool:
        """Keep the outcome, or free the key."""
        kept = () if outcome is None else (outcome,)
        return bool(await self._asked(self._env.timing.dial, SETTLE, key, token, self._keep_ms, *kept))

    async def aclose(self) -> None:
        """What is under way gets its answers, for a moment. Idempotent."""
        if not self._closed:
            self._closed = True
            await self._errands.flush(self._env.timing.pong)
            self._errands.close()
        await self._keeper.aclose()

    async def _asked(self, within_s: float, script: Script, key: str, *arguments: str | bytes) -> Any:
        if self._closed:
            raise Unavailable(f"the results at {self._server.place}: closed", executed="not_executed")
        within_s = min(within_s, self._env.timing.dial)
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                return await self._run(script, key, *arguments)
        except TimeoutError:
            why = self._keeper.away if self._keeper.line is None else f"no answer within {within_s:.3g} s"
            raise Unavailable(
                f"the results at {self._server.place} can't be reached: {why}", executed="unknown"
            ) from None
        except OutOfMemoryError as error:
            text = f"{self._server.place} has no room for results: {self._server.words(error)}"
            raise Overloaded(text, executed="not_executed", retry_after=1.0) from None
        except RedisError as error:
            raise Unavailable(self._words(error), executed="not_executed") from None

    def _run(self, script: Script, key: str, *arguments: str | bytes) -> asyncio.Future[object]:
        return self._errands.run(script, (f"{self._base}:{key}",), *arguments)

    def _words(self, error: Exception) -> str:
        text = self._server.words(error)
        return f"{text}; its user needs {RIGHTS}" if isinstance(error, NoPermissionError) else text

    def _unusable(self, cause: str, todo: str = "correct [{table}] url") -> StartError:
        return StartError(
            f"the store of results 'redis' can't be used: {cause}; {todo.format(table='results.redis')}, or choose "
            'another store with [results] use = "memory"'
        )


def _ignore(*_: object) -> None:
    """Nothing is pushed here, and whoever waits is told by its answer."""
