"""The files of ``[security.tls]``: contexts made of them, and what is wrong with them - found by shaking hands with oneself,
which is what peers will do, so nothing is judged by rules of our own.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from typing import Any, Literal

from ..errors import ConfigError
from ..model import identity
from ..model.settings import TlsTable
from ..model.values import Value

Clients = Literal["required", "optional", "none"]
"""Whether who connects has to show a certificate."""

_MODES = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_ROUNDS = 10  # of messages between the two ends; TLS 1.3 needs three


class Unusable(ConfigError):
    """One of the files can't be used. `key` is its name in the table."""

    def __init__(self, key: str, message: str, remedy: str) -> None:
        super().__init__(f"[security.tls] {key}: {message}; {remedy}")
        self.key, self.message, self.remedy = key, message, remedy


class ServerContext(ssl.SSLContext):
    """A context that knows which certificate it shows: `fingerprint` is its SHA-256, to which proofs are bound."""

    fingerprint: bytes = b""


class Certificate(Value):
    """This host's certificate as peers see it. `expires` is in seconds since 1970."""

    identity: str | None
    names: tuple[str, ...]
    expires: float


def paths(table: TlsTable, folder: str) -> dict[str, str]:
    """Key -> path of each file."""
    return {key: os.path.join(folder, os.path.expanduser(getattr(table, key))) for key in ("cert", "key", "ca")}


def server(files: dict[str, str], clients: Clients) -> ServerContext:
    """What a listener shows and asks for. Raises Unusable."""
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = _MODES[clients]
    context.num_tickets = 0  # no resumption: it would skip the look at the certificate
    context.options |= ssl.OP_NO_TICKET
    _load(context, files)
    with open(files["cert"], encoding="ascii", errors="replace") as file:
        context.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first(file.read()))).digest()
    return context


def client(files: dict[str, str], *, names: bool) -> ssl.SSLContext:
    """What a dialler shows and asks for; `names`: the certificate has to be one for the address. Raises Unusable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = names
    _load(context, files)
    return context


def _first(text: str) -> str:
    begin, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    return text[begin : end + len(ssl.PEM_FOOTER)]


def _load(context: ssl.SSLContext, files: dict[str, str]) -> None:
    # 1.2 resumes sessions by their ids, which can't be switched off here, and would skip the look at the certificate
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for key, path in files.items():
        _readable(key, path)
    try:
        context.load_cert_chain(files["cert"], files["key"], password=_no_pass_phrase)
    except ssl.SSLError as error:
        raise _chain_fault(error, files) from error
    except ConfigError:
        raise Unusable("key", f'"{files["key"]}" has a pass phrase', "write it without one: openssl pkey") from None
    try:
        context.load_verify_locations(files["ca"])
    except ssl.SSLError as error:
        raise Unusable("ca", f'"{files["ca"]}" holds no certificates', "it has to be in PEM") from error


def _readable(key: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Unusable(key, f'"{path}" can\'t be read: {why}', "paths start at the folder of vyked.toml") from error


def _no_pass_phrase() -> str:
    raise ConfigError("asked for a pass phrase")


def _chain_fault(error: ssl.SSLError, files: dict[str, str]) -> Unusable:
    if error.reason == "KEY_VALUES_MISMATCH":
        text = f'"{files["key"]}" is not the key of the certificate "{files["cert"]}"'
        return Unusable("key", text, "name the two that belong together")
    with open(files["cert"], encoding="ascii", errors="replace") as file:
        key = "key" if ssl.PEM_HEADER in file.read() else "cert"
    what = "private key" if key == "key" else "certificate"
    return Unusable(key, f'"{files[key]}" is no {what}', "it has to be in PEM")


def examine(files: dict[str, str]) -> Certificate:
    """The certificate, once both ends of a connection have accepted it. Raises Unusable: missing, unreadable, of another
    key, expired, of another authority, or not meant for both ends."""
    one, other = client(files, names=False), server(files, "required")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        one.wrap_bio(to_client, to_server, server_side=False),
        other.wrap_bio(to_server, to_client, server_side=True),
    )
    try:
        done: set[int] = set()
        for _ in range(_ROUNDS):
            for number, end in enumerate(ends):
                if _advance(end):
                    done.add(number)
            if len(done) == len(ends):
                return _described(ends[0].getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        raise _refused(error, files) from error
    except ssl.SSLError as error:
        raise Unusable("cert", f'"{files["cert"]}" can\'t be used: {error.reason}', "make another one") from error
    raise Unusable("cert", f'"{files["cert"]}" can\'t be used: the handshake does not end', "make another one")


def _advance(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _refused(error: ssl.SSLCertVerificationError, files: dict[str, str]) -> Unusable:
    why = error.verify_message
    remedy = (
        "renew it" if "expired" in why else "it has to come from the ca, and to be meant for both ends of a connection"
    )
    return Unusable("cert", f'peers would refuse "{files["cert"]}": {why}', remedy)


def _described(found: dict[str, Any]) -> Certificate:
    names = tuple(str(value) for _, value in found.get("subjectAltName", ()))
    return Certificate(
        identity=identity.of_certificate(found),
        names=names,
        expires=float(ssl.cert_time_to_seconds(str(found["notAfter"]))),
    )
