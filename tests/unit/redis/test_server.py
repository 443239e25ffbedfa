"""Addresses of servers, and that no password leaves with a word about them."""

import pytest
import trustme
from redis.exceptions import AuthenticationError, ConnectionError, InvalidResponse, ResponseError

from vyked_host.builtin.redis.options import BusOptions
from vyked_host.builtin.redis.server import Server
from vyked_host.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "place", "settings"),
    [
        ("redis://db", "redis://db:6379/0", {"host": "db", "port": 6379, "db": 0}),
        ("redis://db:7000/3", "redis://db:7000/3", {"host": "db", "port": 7000, "db": 3}),
        ("redis://db?db=4", "redis://db:6379/4", {"host": "db", "port": 6379, "db": 4}),
        ("redis://[::1]:7000", "redis://[::1]:7000/0", {"host": "::1", "port": 7000, "db": 0}),
        ("unix:///run/s?db=2", "unix:///run/s", {"path": "/run/s", "db": 2}),
        ("redis://:p%40ss%2Fw@db", "redis://db:6379/0", {"password": "p@ss/w"}),
        ("rediss://ada:secret@db/1", "rediss://db:6379/1", {"username": "ada", "password": "secret"}),
    ],
)
def test_an_address_says_where_and_who(url, place, settings):
    server = Server(url)
    assert server.place == place
    at = dict(zip(("host", "port"), server.address.places[0], strict=True)) if server.address.places else {}
    assert {**server._settings, **at}.items() >= settings.items()


def test_the_authority_of_an_address_is_that_of_its_connections(tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    server = Server(f"rediss://db?ssl_ca_certs={tmp_path}/ca.pem")
    assert (server.place, server._settings["ssl_ca_certs"]) == ("rediss://db:6379/0", f"{tmp_path}/ca.pem")


@pytest.mark.parametrize(
    ("url", "shown", "places", "master"),
    [
        (
            "redis+sentinel://a,b:7000/main",
            "redis+sentinel://a:26379,b:7000/main/0",
            (("a", 26379), ("b", 7000)),
            "main",
        ),
        ("redis+sentinel://u:p%40@[::1]/main/2", "redis+sentinel://[::1]:26379/main/2", (("::1", 26379),), "main"),
        ("rediss+cluster://:p@a:1,b", "rediss+cluster://a:1,b:6379", (("a", 1), ("b", 6379)), ""),
    ],
)
def test_an_address_of_several_names_all_of_them(url, shown, places, master):
    address = Server(url).address
    assert (address.shown, address.places, address.master) == (shown, places, master)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("redis://a,b", "several hosts"),
        ("redis+sentinel://a", "the name by which the Sentinels know the master"),
        ("redis+cluster://a/3", "no database but 0"),
        ("redis+sentinel://a,/main", "no host"),
        ("redis+cluster://a?sentinel_password=x", "sentinel_password"),
    ],
)
def test_what_can_t_be_said_of_several_is_refused(url, what):
    with pytest.raises(ConfigError, match=what):
        Server(url)


def test_the_password_of_the_sentinels_is_hidden_too():
    server = Server("redis+sentinel://a/main?sentinel_password=hunter2")
    assert server.address.asking["password"] == "hunter2"
    assert "hunter2" not in server.words(ResponseError("AUTH hunter2"))


@pytest.mark.parametrize(
    "url",
    [
        "", "db:6379", "http://db", "redis://", "unix://", "redis://db:port", "redis://db/name", "redis://db:99999",
        "redis://:sec/ret@db", "redis://:sec?ret=1@db", "redis://:12#ret@db", "redis://db?socket_timeout=3",
        "redis://db?ssl_ca_certs=/ca.pem", "rediss://db?ssl_cert_reqs=none",
    ],
)  # fmt: skip
def test_what_is_no_address_is_a_fault_of_the_file_and_is_not_quoted(url):
    with pytest.raises(ConfigError, match=r"\[pubsub\.redis\] url .*write redis://") as caught:
        Server(url)
    assert "ret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AuthenticationError("WRONGPASS"), "redis://db:6379/0 refused the user or password of"),
        (ConnectionError(AuthenticationError("WRONGPASS")), "redis://db:6379/0 refused the user or password of"),
        (InvalidResponse("Protocol Error: b'HTTP/1.1 400'"), "what answers at redis://db:6379/0 is no Redis or Valkey"),
        (ResponseError("unknown command 'AUTH', with args beginning with: 'hunter2'"), "beginning with: '***'"),
    ],
)
def test_failures_are_told_in_words_that_hide_the_password(error, words):
    told = Server("redis://:hunter2@db").words(error)
    assert words in told
    assert "hunter2" not in told


def test_options_do_not_show_their_address():
    assert "hunter2" not in repr(BusOptions(url="redis://:hunter2@db")) + str(BusOptions(url="redis://:hunter2@db"))
