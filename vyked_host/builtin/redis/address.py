"""Addresses of servers, as they stand in a file: one server, the Sentinels that know which of several is the one to write to, or
some nodes of a Cluster. A password is in none of the errors."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...contracts import Value
from ...errors import ConfigError

TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
Kind = Literal["alone", "sentinel", "cluster"]
Place = tuple[str, int]


class _Scheme(NamedTuple):
    kind: Kind
    has_tls: bool
    port: int


SCHEMES = {
    "redis": _Scheme("alone", False, 6379),
    "rediss": _Scheme("alone", True, 6379),
    "unix": _Scheme("alone", False, 0),
    "redis+sentinel": _Scheme("sentinel", False, 26379),
    "rediss+sentinel": _Scheme("sentinel", True, 26379),
    "redis+cluster": _Scheme("cluster", False, 6379),
    "rediss+cluster": _Scheme("cluster", True, 6379),
}


class Address(Value):
    """`settings` are those of each connection to a server of ours, but for host and port; `asking` of those to Sentinels. `shown` is
    what people may see; `secrets` are texts that they may not."""

    kind: Kind
    places: tuple[Place, ...]
    has_tls: bool
    settings: dict[str, Any]
    shown: str
    asking: dict[str, Any] = {}
    master: str = ""
    secrets: tuple[str, ...] = ()


def parsed(url: str, table: str) -> Address:
    """What `url` says. Raises ConfigError naming `table`."""
    try:
        parts = urlsplit(url)
        scheme = SCHEMES.get(parts.scheme)
        user, _, hosts = parts.netloc.rpartition("@")
        places = _places(hosts, scheme.port if scheme else 0)
        query = dict(parse_qsl(parts.query))
        master, database = _path(parts, scheme, query)
    except ValueError:
        # from None: the cause quotes the url, and a password with it
        raise unfit(table, "a part of it is no number") from None
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise unfit(table, "there is an '@' behind the host")
    is_unix = parts.scheme == "unix"
    if scheme is None or not (parts.path if is_unix else all(host for host, _ in places) and places):
        raise unfit(table, "it has no scheme or no host")
    if scheme.kind == "alone" and len(places) > 1:
        raise unfit(table, "it has several hosts, which are for redis+sentinel:// and redis+cluster://")
    _check(table, scheme, query, master, database)
    name, _, password = user.partition(":")
    given = {"username": unquote(name), "password": unquote(password)}
    settings: dict[str, Any] = {"db": database, **_tls(scheme, query), **{k: v for k, v in given.items() if v}}
    if is_unix:
        settings["path"] = unquote(parts.path)
    asking: dict[str, Any] = dict(_tls(scheme, query))
    if "sentinel_password" in query:
        asking["password"] = query["sentinel_password"]
    secrets = tuple(each for each in (given["password"], query.get("sentinel_password", "")) if each)
    return Address(
        kind=scheme.kind, places=() if is_unix else places, has_tls=scheme.has_tls, settings=settings,
        shown=f"unix://{parts.path}" if is_unix else _shown(parts.scheme, places, master, database, scheme.kind),
        asking=asking, master=master, secrets=secrets,
    )  # fmt: skip


def _places(hosts: str, port: int) -> tuple[Place, ...]:
    found = []
    for each in hosts.split(",") if hosts else ():
        one = urlsplit(f"//{each}")
        found.append((one.hostname or "", one.port or port))
    return tuple(found)


def _path(parts: SplitResult, scheme: _Scheme | None, query: dict[str, str]) -> tuple[str, int]:
    """The name of the master and the number of the database."""
    path = "" if parts.scheme == "unix" else parts.path.strip("/")
    master = ""
    if scheme is not None and scheme.kind == "sentinel":
        master, _, path = path.partition("/")
    return unquote(master), int(query.get("db") or path or 0)


def _shown(scheme: str, places: tuple[Place, ...], master: str, database: int, kind: Kind) -> str:
    hosts = ",".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in places)
    rest = {"alone": f"/{database}", "sentinel": f"/{master}/{database}", "cluster": ""}[kind]
    return f"{scheme}://{hosts}{rest}"


def _check(table: str, scheme: _Scheme, query: dict[str, str], master: str, database: int) -> None:
    allowed = {"db"} | (set(TLS_FILES) if scheme.has_tls else set())
    allowed |= {"sentinel_password"} if scheme.kind == "sentinel" else set()
    unknown = sorted(set(query) - allowed)
    if unknown:
        raise unfit(
            table,
            f"it may not have {', '.join(unknown)} behind the '?'; db, for rediss {', '.join(TLS_FILES)}, "
            "and for Sentinel sentinel_password may",
        )
    if scheme.kind == "sentinel" and not master:
        raise unfit(table, "the name by which the Sentinels know the master is missing behind the hosts")
    if scheme.kind == "cluster" and database:
        raise unfit(table, "a Cluster has no database but 0")


def _tls(scheme: _Scheme, query: dict[str, str]) -> dict[str, Any]:
    files: dict[str, Any] = {name: query[name] for name in TLS_FILES if name in query}
    return files | {"ssl_check_hostname": True} if scheme.has_tls else {}  # not every redis-py does by itself


def unfit(table: str, what: str) -> ConfigError:
    """The url of `table` is none, for the reason in `what`."""
    return ConfigError(
        f"[{table}] url is no address of a Redis server: {what}; write redis://USER:PASSWORD@HOST:PORT/DATABASE, "
        "rediss:// for TLS, unix:///PATH, redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT, "
        "with any of / ? # @ : % in a password percent-encoded"
    )
