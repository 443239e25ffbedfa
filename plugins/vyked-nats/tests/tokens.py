"""Operator, account and user of a server that uses JWT and NKeys, made as `nsc` makes them
(https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt)."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path

import nkeys


def made(prefix: int) -> nkeys.KeyPair:
    """A new pair of keys."""
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def _part(value: bytes | dict[str, object]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(by: nkeys.KeyPair, about: nkeys.KeyPair, kind: str, **more: object) -> str:
    """A token about a key."""
    claims = {
        "jti": base64.b32encode(os.urandom(16)).rstrip(b"=").decode(), "iat": int(time.time()), "name": kind,
        "iss": by.public_key.decode(), "sub": about.public_key.decode(), "nats": {"type": kind, "version": 2, **more},
    }  # fmt: skip
    text = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(claims)}"
    return f"{text}.{_part(by.sign(text.encode()))}"


def credentials(folder: Path) -> tuple[str, str]:
    """Lines of a server's configuration, and the name of the file of credentials in `folder` that it lets in."""
    operator, user = made(nkeys.PREFIX_BYTE_OPERATOR), made(nkeys.PREFIX_BYTE_USER)
    system, account = made(nkeys.PREFIX_BYTE_ACCOUNT), made(nkeys.PREFIX_BYTE_ACCOUNT)
    unlimited = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1}
    kept = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    account_token = signed(operator, account, "account", limits={**unlimited, **kept, "wildcards": True})
    user_token = signed(account, user, "user", subs=-1, data=-1, payload=-1, pub={}, sub={})
    Path(folder, "user.creds").write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    keys = {
        account.public_key.decode(): account_token,
        system.public_key.decode(): signed(operator, system, "account", limits={**unlimited, "wildcards": True}),
    }
    lines = (
        f"operator: {signed(operator, operator, 'operator')}", f"system_account: {system.public_key.decode()}",
        "resolver: MEMORY", "resolver_preload: {", *(f"{key}: {token}" for key, token in keys.items()), "}",
    )  # fmt: skip
    return "\n".join(lines), "user.creds"
