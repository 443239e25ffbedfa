"""One endpoint that keeps results: a call with a key runs once, and whoever comes again with that key gets what it gave.

What a handler decided is kept: its result, and the errors that its endpoint declares. Where it was broken off - by an exception that
is not declared, by its own time limit, by the end of its host - nothing is kept and the key is free: it may begin again. Refusals
are not kept either: nothing was run.

A key belongs to one method, of one major version, and one caller. Which of several calls runs is decided by `routing.claims` in the
store; here is waited and told.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from ..contracts import Claim, Hold, Proceed, Standing
from ..errors import CallError, ServiceError
from ..model.message import Fault
from ..model.version import parse
from ..routing.backoff import Backoff
from .keyed import KEYED, KeyedInvocation
from .outcomes import application_fault, find_declared, to_error

if TYPE_CHECKING:
    from .keys import Keys
    from .routes import Route

CODEC = "msgpack"
LOOK = Backoff(first=0.02, most=0.5)
"""Between two looks at a key that another process holds ([timing] scale applies)."""
LEFT_S = 0.1
"""What is left to say that the key is still held, but no more than a tenth of the call's time."""
AGAIN_S = 0.5
"""When whoever was told so may come again."""
FORM = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
"""A key: what a header of HTTP can hold, at most 255 characters as at Stripe."""


class Kept(msgspec.Struct, array_like=True, omit_defaults=True):
    """An outcome as it is stored; `code` is empty for a result."""

    body: bytes = b""
    code: str = ""
    message: str = ""
    type: str = ""
    details: Any = None


_write = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(Kept).decode
_canonical = msgspec.msgpack.Encoder(order="deterministic").encode


class Once:
    """Around the handler of `route`."""

    def __init__(self, keys: Keys, route: Route, proceed: Proceed) -> None:
        endpoint, version = route.endpoint, parse(route.endpoint.version)
        major = f"{version.major}" if version.major else f"0.{version.minor}"
        self._keys, self._route, self._proceed = keys, route, proceed
        self._scope = f"{endpoint.service}@{major}.{endpoint.name}"
        self._codec = keys.codecs.bind(endpoint.result, CODEC)

    async def call(self, arguments: Any) -> Any:
        """One call; without a key it is like any other."""
        invocation = KEYED.get()
        if invocation.call.idempotency_key is None:
            return await self._proceed(arguments)
        key = self._key(invocation)
        digest = hashlib.sha256(_canonical(arguments)).digest()
        token = secrets.token_hex(8)
        outcome = await self._claimed(invocation, key, Claim(token=token, digest=digest))
        if outcome is not None:
            return self._given_again(invocation, _read(outcome))
        return await self._run(invocation, key, token, arguments)

    # ---- the key -----------------------------------------------------------------------------------------------------
    def _key(self, invocation: KeyedInvocation) -> str:
        """The digest of the key, and of all that it holds for. A caller is who it proved to be, and the service that it says it is."""
        call = invocation.call
        key = call.idempotency_key or ""
        if not FORM.fullmatch(key):
            text = f"{self._route.endpoint.path}: an idempotency key has 1 to 255 printable ASCII characters, such as a UUID"
            self._refuse(invocation, "INVALID_ARGUMENT", text, details={"field": "idempotency_key"})
        who = self._keys.own() if call.peer is None else call.peer.identity or ""
        parts = (self._scope, who, call.caller.partition("/")[0], key)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    async def _claimed(self, invocation: KeyedInvocation, key: str, claim: Claim) -> bytes | None:
        """None: run it; else what it gave. Waits for a call that holds the key, for as long as this one has time."""
        call, now = invocation.call, self._keys.clock.now()
        until, looks = call.deadline - min(LEFT_S, (call.deadline - now) / 10), 0
        while True:
            standing = await self._asked(invocation, key, claim, until)
            if standing.state == "granted":
                return None
            if standing.state == "done":
                return standing.outcome
            if standing.state == "reused" or standing.hold is None:
                self._refuse(
                    invocation, "INVALID_ARGUMENT", f"{self._route.endpoint.path}: the idempotency key was used with another payload",
                    type="key_reused", details={"field": "idempotency_key"},
                )  # fmt: skip
            if not await self._waited(key, standing.hold, until, looks):
                text = f"{self._route.endpoint.path}: the call that has this idempotency key has not ended yet"
                self._refuse(invocation, "RESOURCE_EXHAUSTED", text, type="key_in_use", retry_after_s=AGAIN_S)
            looks += 1
            claim = self._next_claim(key, claim, standing.hold)

    async def _asked(self, invocation: KeyedInvocation, key: str, claim: Claim, until: float) -> Standing:
        try:
            return await self._keys.store.claim(key, claim, deadline=until)
        except CallError as error:
            self._free_beside(key, claim)  # it may have been granted all the same
            text = f"{self._route.endpoint.path}: {error}"
            again = error.retry_after
            self._refuse(invocation, error.code if again else "UNAVAILABLE", text, retry_after_s=again)
        except asyncio.CancelledError:
            self._free_beside(key, claim)
            raise

    def _free_beside(self, key: str, claim: Claim) -> None:
        self._keys.tasks(self._free(key, claim.token), "claim of a keyed call that nobody waits for")

    async def _free(self, key: str, token: str) -> None:
        try:
            await self._keys.store.settle(key, token, None)
        except CallError as error:
            self._keys.log.info("a key may be held until its lease is over: %s", error)

    async def _waited(self, key: str, hold: Hold, until: float, looks: int) -> bool:
        """Wait until it is worth to ask again: the call has ended, where it runs here. False: there is no more time."""
        left = until - self._keys.clock.now()
        if left <= 0.0:
            return False
        run = self._keys.here.get(key)
        if run is not None:
            await asyncio.wait({run.over}, timeout=left)
        else:
            alive_s = self._keys.lease_s - self._still(key, hold)
            await asyncio.sleep(min(LOOK.ceiling(looks) * self._keys.scale, left, max(alive_s, 0.0)))
        return True

    def _next_claim(self, key: str, claim: Claim, hold: Hold) -> Claim:
        over = hold if key not in self._keys.here and self._still(key, hold) >= self._keys.lease_s else None
        return Claim(token=claim.token, digest=claim.digest, over=over)

    def _still(self, key: str, hold: Hold) -> float:
        return self._keys.watch.still_for(key, hold, self._keys.clock.now())

    def _refuse(self, invocation: KeyedInvocation, code: Any, text: str, **more: Any) -> NoReturn:
        self._give(invocation, Fault(code=code, message=text, executed="not_executed", **more))

    def _give(self, invocation: KeyedInvocation, fault: Fault) -> NoReturn:
        error = to_error(fault, self._route.endpoint, None)
        invocation.given = (error, fault)
        raise error

    # ---- what it gives -----------------------------------------------------------------------------------------------
    async def _run(self, invocation: KeyedInvocation, key: str, token: str, arguments: Any) -> Any:
        run = self._keys.begin(key, token)
        invocation.has_begun = True
        try:
            result = invocation.checked(await self._proceed(arguments))
            outcome = self._kept(result)
        except BaseException as error:
            if find_declared(error, self._route.declared):
                await run.end(self._declared(error))
            else:
                run.end_beside()
            raise
        await run.end(outcome)
        return result

    def _kept(self, result: Any) -> bytes:
        body = self._codec.encode(result)
        if len(body) <= self._keys.most:
            return _write(Kept(body=body))
        text = f"{self._route.endpoint.path} gave {len(body)} bytes, of which [limits] message = {self._keys.most} can be kept"
        return _write(Kept(code="TOO_LARGE", message=f"{text}: it has run, and its result is not given again"))

    def _declared(self, error: Any) -> bytes | None:
        assert isinstance(error, ServiceError)
        try:
            fault = application_fault(error)
            return _write(Kept(code=fault.code, message=fault.message, type=fault.type, details=fault.details))
        except Exception:  # noqa: BLE001 - its fields can't be read: the caller hears of it as of an undeclared error
            return None

    def _given_again(self, invocation: KeyedInvocation, kept: Kept) -> Any:
        if kept.code:
            fault: Any = {"code": kept.code, "message": kept.message, "type": kept.type, "details": kept.details}
            self._give(invocation, Fault(**fault, executed="executed"))
        return self._codec.decode(kept.body)
