"""A second implementation of the client side, written from docs/wire-protocol.md alone: blocking sockets, the standard
library and msgspec's JSON. It shares no code with the host: what they agree on is what the document says.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
from typing import Any, NamedTuple

import msgspec

HEADER = struct.Struct("<IIHHBBBBI")
(
    HELLO,
    WELCOME,
    REQUEST,
    RESPONSE,
    FAULT,
    CANCEL,
    ITEM,
    END,
    CREDIT,
    PING,
    PONG,
    GOAWAY,
    SURFACE,
    REJECT,
    CHALLENGE,
    PROOF,
) = range(1, 17)
META = 1
FIRST_CREDIT = 32


def parts(*each: bytes) -> bytes:
    """Each part behind its length."""
    return b"".join(struct.pack("<I", len(part)) + part for part in each)


def proof(secret: str, *signed: bytes) -> str:
    """A proof of the mesh secret, section 10."""
    return hmac.new(secret.encode(), parts(*signed), hashlib.sha256).hexdigest()


class Packet(NamedTuple):
    """One packet as it was read."""

    kind: int
    call: int
    value: int
    payload: bytes


class CallFailed(Exception):
    """A FAULT came; `fault` is its JSON."""

    def __init__(self, fault: dict[str, Any]) -> None:
        super().__init__(fault["message"])
        self.fault = fault


class Refused(Exception):
    """A REJECT came; `reject` is its JSON."""

    def __init__(self, reject: dict[str, Any]) -> None:
        super().__init__(reject["message"])
        self.reject = reject


class TinyClient:
    """One connection, one thing at a time. JSON bodies."""

    def __init__(
        self, host: str, port: int, mesh: str, callers: tuple[str, ...] = (), *, secret: str = "", wrap: Any = None
    ) -> None:
        plain = socket.create_connection((host, port), timeout=5)
        self.socket = plain if wrap is None else wrap(plain)
        self.last = 0
        self.goaway: tuple[int, dict[str, Any]] | None = None
        hello = msgspec.json.encode({
            "versions": [1], "mesh": mesh, "node": "tiny", "serializers": ["json"],
            "limits": {"message": 65536}, "callers": callers, **({"nonce": secrets.token_hex(32)} if secret else {}),
        })  # fmt: skip
        self._send(HELLO, hello)
        answer = self.read()
        signed = parts(hello), b""
        if answer.kind == CHALLENGE:
            certificate = self.socket.getpeercert(True) if wrap is not None else b""
            signed = parts(hello, answer.payload), hashlib.sha256(certificate).digest() if certificate else b""
            self._send(PROOF, msgspec.json.encode({"proof": proof(secret, b"vyked-host client", *signed)}))
            answer = self.read()
        if answer.kind == REJECT:
            self.close()
            raise Refused(msgspec.json.decode(answer.payload))
        assert answer.kind == WELCOME
        self.welcome = msgspec.json.decode(answer.payload)
        self.table = self.welcome["endpoints"]
        if secret:
            assert self.welcome["proof"] == proof(secret, b"vyked-host server", *signed), (
                "the host does not know the secret"
            )

    def close(self) -> None:
        self.socket.close()

    def index(self, service: str, name: str) -> int:
        return next(row["index"] for row in self.table if (row["service"], row["name"]) == (service, name))

    # ---- packets -----------------------------------------------------------------------------------------------------
    def _send(
        self, kind: int, payload: bytes = b"", *, call: int = 0, endpoint: int = 0, caller: int = 0, flags: int = 0,
        attempt: int = 0, value: int = 0,
    ) -> None:  # fmt: skip
        header = HEADER.pack(len(payload), call, endpoint, caller, kind, flags, attempt, 0, value)
        self.socket.sendall(header + payload)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("the host closed the connection")
            data += chunk
        return data

    def read(self) -> Packet:
        """The next packet that is about a call or the hello; pings are answered, news are noted."""
        while True:
            length, call, _, _, kind, _, _, _, value = HEADER.unpack(self._exactly(HEADER.size))
            payload = self._exactly(length)
            if kind == PING:
                self._send(PONG, value=value)
            elif kind == GOAWAY:
                self.goaway = (call, msgspec.json.decode(payload))
            elif kind == SURFACE:
                self.table = msgspec.json.decode(payload)["endpoints"]
            else:
                return Packet(kind, call, value, payload)

    def until(self, call: int, *kinds: int) -> Packet:
        """The next packet of `call`; raises CallFailed for a FAULT unless that is asked for."""
        while True:
            packet = self.read()
            if packet.call != call:
                continue
            if packet.kind == FAULT and FAULT not in kinds:
                raise CallFailed(msgspec.json.decode(packet.payload))
            if packet.kind in kinds:
                return packet

    # ---- calls -------------------------------------------------------------------------------------------------------
    def request(
        self, service: str, name: str, body: Any, *, timeout_ms: int = 5000, caller: int = 0,
        meta: dict[str, Any] | None = None,
    ) -> int:  # fmt: skip
        """Send a REQUEST; its call id."""
        self.last += 1
        payload = msgspec.json.encode(body)
        if meta is not None:
            block = msgspec.json.encode(meta)
            payload = struct.pack("<H", len(block)) + block + payload
        self._send(
            REQUEST, payload, call=self.last, endpoint=self.index(service, name), caller=caller,
            flags=META if meta is not None else 0, attempt=1, value=timeout_ms,
        )  # fmt: skip
        return self.last

    def call(self, service: str, name: str, body: Any, **more: Any) -> Any:
        """The result of a unary call."""
        return msgspec.json.decode(self.until(self.request(service, name, body, **more), RESPONSE).payload)

    def download(self, service: str, name: str, body: Any) -> list[Any]:
        """All items of a streamed answer; each half of the credit that is used up is granted again."""
        call, found, left = self.request(service, name, body), [], FIRST_CREDIT
        while (packet := self.until(call, ITEM, RESPONSE)).kind == ITEM:
            found.append(msgspec.json.decode(packet.payload))
            left -= 1
            if left <= FIRST_CREDIT // 2:
                self._send(CREDIT, call=call, value=FIRST_CREDIT - left)
                left = FIRST_CREDIT
        return found

    def upload(self, service: str, name: str, body: Any, items: list[Any]) -> Any:
        """The result of a call that takes a stream."""
        call, credit = self.request(service, name, body), FIRST_CREDIT
        for item in items:
            while credit == 0:
                credit += self.until(call, CREDIT).value
            self._send(ITEM, msgspec.json.encode(item), call=call)
            credit -= 1
        self._send(END, call=call)
        return msgspec.json.decode(self.until(call, RESPONSE).payload)

    def cancel(self, call: int) -> dict[str, Any]:
        """Give up a call; the FAULT that confirms it."""
        self._send(CANCEL, call=call)
        return msgspec.json.decode(self.until(call, FAULT).payload)

    def ping(self, value: int) -> int:
        """The value of the PONG."""
        self._send(PING, value=value)
        return self.until(0, PONG).value
