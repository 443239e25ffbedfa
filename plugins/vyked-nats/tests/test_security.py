"""Who may connect, and over what: a user with a password, a token, credentials (JWT and NKeys), TLS, certificates of both sides."""

import msgspec
import pytest
import trustme
from server import JETSTREAM, NatsServer
from tokens import credentials
from vyked_nats.options import BusOptions, JetStreamOptions
from vyked_nats.plugin import vyked_pubsub_backends

from vyked_host import ConfigError, StartError
from vyked_host.testing import environment, eventually, leaks
from vyked_host.testing.conformance.pubsub import Inbox, event, to

NOT_IN = "(?i)authorization|does not let us in"
KINDS = {"nats": BusOptions, "nats-jetstream": JetStreamOptions}
PROVIDERS = {each.name: each for each in vyked_pubsub_backends()}


@pytest.fixture
async def env():
    """With the times of a host: nothing here is about time, and a slow machine may take its own for a handshake."""
    async with leaks(), environment() as env:
        yield env


@pytest.fixture(params=KINDS)
def bus_of(request, env, tmp_path):
    """Builds the bus under test, its folder being that of the test."""
    provider = PROVIDERS[request.param]

    def bus_of(url, **options):
        made = KINDS[request.param](url=url, **options)
        return provider, provider.build(made, msgspec.structs.replace(env, folder=str(tmp_path)))

    return bus_of


@pytest.fixture
def serving():
    started = []

    def serving(*settings):
        started.append(NatsServer(JETSTREAM, *settings).start())
        return started[-1].url.removeprefix("nats://")

    yield serving
    for each in started:
        each.close()


async def works(provider, bus, env):
    """It is let in, and an event goes through it."""
    inbox = Inbox()
    try:
        await provider.verify(bus)
        await bus.subscribe(to(None, "m"), inbox)
        await bus.publish(event(), deadline=env.clock.now() + 5)
        await eventually(lambda: inbox.ids)
    finally:
        await bus.aclose()


async def refused(provider, bus, match, secret="s3cret"):
    """It is not, and nothing that says so shows the secret."""
    try:
        with pytest.raises(StartError, match=match) as found:
            await provider.verify(bus)
        assert secret not in str(found.value)
    finally:
        await bus.aclose()


@pytest.fixture
def certificates(tmp_path):
    """An authority, a server's certificate and a client's."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("server", "client"):
        made = ca.issue_cert("127.0.0.1", "localhost", common_name=name)
        made.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        made.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.crt"))
    return tmp_path


def tls(folder, *more):
    """Lines of a server's configuration."""
    files = f'cert_file: "{folder}/server.crt", key_file: "{folder}/server.key", ca_file: "{folder}/ca.pem"'
    return f"tls {{ {', '.join((files, *more))} }}"


# ---- who ----------------------------------------------------------------------------------------------------------------
async def test_a_user_with_a_password_is_let_in_and_no_other(serving, bus_of, env):
    place = serving("authorization { user: a, password: s3cret }")
    await works(*bus_of(f"nats://a:s3cret@{place}"), env)
    await refused(*bus_of(f"nats://a:wr0ng@{place}"), NOT_IN, "wr0ng")
    await refused(*bus_of(f"nats://{place}"), NOT_IN)


async def test_a_token_is_let_in_and_no_other(serving, bus_of, env):
    place = serving('authorization { token: "s3cret" }')
    await works(*bus_of(f"nats://s3cret@{place}"), env)
    await refused(*bus_of(f"nats://wr0ng@{place}"), NOT_IN, "wr0ng")


async def test_credentials_are_let_in_and_no_others(serving, bus_of, env, tmp_path):
    lines, file = credentials(tmp_path)
    others = tmp_path / "others"
    others.mkdir()
    _, strange = credentials(others)
    place = serving(lines)
    await works(*bus_of(f"nats://{place}", credentials=file), env)
    await refused(*bus_of(f"nats://{place}", credentials=f"others/{strange}"), NOT_IN)


async def test_a_file_of_credentials_that_is_not_there_is_refused_with_its_name(shared, bus_of):
    with pytest.raises(ConfigError, match=r"there is no file .*nowhere\.creds"):
        bus_of(shared.url, credentials="nowhere.creds")


async def test_whoever_is_not_let_in_is_told_of_credentials_and_not_to_start_the_server(serving, bus_of):
    place = serving("authorization { user: a, password: s3cret }")
    provider, bus = bus_of(f"nats://a:wr0ng@{place}")
    with pytest.raises(
        StartError, match=r"; correct user and password in \[pubsub\.nats.*\] url, or credentials"
    ) as told:
        await provider.verify(bus)
    assert "start the server" not in str(told.value)
    await bus.aclose()


# ---- over what ------------------------------------------------------------------------------------------------------------
async def test_a_server_is_checked_against_the_authorities_that_are_named(serving, bus_of, env, certificates):
    place = serving(tls(certificates))
    await works(*bus_of(f"tls://{place}", ca="ca.pem"), env)
    await refused(*bus_of(f"tls://{place}"), "(?i)certificate")  # the system's do not know it
    trustme.CA().cert_pem.write_to_path(str(certificates / "strangers.pem"))
    await refused(*bus_of(f"tls://{place}", ca="strangers.pem"), "(?i)certificate")


async def test_a_server_that_asks_for_a_certificate_gets_it(serving, bus_of, env, certificates):
    place = serving(tls(certificates, "verify: true"))
    await works(*bus_of(f"tls://{place}", ca="ca.pem", certificate="client.crt", key="client.key"), env)
    await refused(*bus_of(f"tls://{place}", ca="ca.pem"), "let us in; where it asks for a certificate")


async def test_a_server_without_tls_is_refused_where_tls_is_wanted(shared, bus_of):
    await refused(*bus_of(shared.url.replace("nats://", "tls://")), "(?i)tls")


async def test_a_file_that_can_not_be_used_is_refused_with_its_name(shared, bus_of):
    with pytest.raises(ConfigError, match=r"nowhere\.pem can't be used"):
        bus_of(shared.url, ca="nowhere.pem")
