"""A right file, bound."""

from vyked_host.model import names
from vyked_host.model.settings import Settings


def test_nothing_at_all_is_a_right_file(load, tmp_path):
    settings = load("[transports.tcp]\n").require()
    assert settings.host.name == tmp_path.name.lower()
    assert settings.host.mesh == names.of_folder(str(tmp_path))
    assert settings.folder == str(tmp_path)
    assert settings.limits == Settings().limits


def test_a_bound_choice_has_the_options_of_its_plugin(load):
    settings = load('[clients.shop]\nbalancer = { use = "hash" }\n[transports.tcp]\nport = 0\n').require()
    assert settings.clients["shop"].balancer.use == "hash"
    assert type(settings.transports["tcp"].options).__module__ == "vyked_host.builtin.tcp.options"


def test_a_client_stands_on_the_default(load):
    text = '[clients.default]\ntimeout = 3\nbalancer = "hash"\n[clients.a]\nprefer_local = false\n[clients.b]\ntimeout = 4\n[transports.tcp]\n'
    clients = load(text).require().clients
    assert (clients["a"].timeout, clients["a"].balancer.use, clients["a"].prefer_local) == (3, "hash", False)
    assert (clients["b"].timeout, clients["b"].balancer.use, clients["b"].prefer_local) == (4, "hash", True)


def test_registry_and_bus_may_meet_at_one_address(load):
    text = '[registry.embedded]\naddress = "127.0.0.1:4500"\n[pubsub.embedded]\naddress = "127.0.0.1:4500"\n[transports.local]\n'
    settings = load(text).require()
    assert settings.registry.options.address == settings.pubsub.options.address == "127.0.0.1:4500"


def test_without_transports_there_are_local_and_tcp(load):
    assert list(load("").require().transports) == ["local", "tcp"]


def test_with_a_route_there_is_http_too(shop):
    loaded = shop('[services.shop]\nuse = "broken_shop:Shop"\n')
    assert list(loaded.settings.transports) == ["local", "tcp", "http"]


def test_one_class_can_run_twice(shop):
    text = '[services.one]\nuse = "broken_shop:Shop"\n[services.two]\nuse = "broken_shop:Shop"\nname = "second"\nhttp_prefix = "/two"\n[transports.tcp]\n'
    loaded = shop(text)
    loaded.require()
    assert [service.description.name for service in loaded.services] == ["shop", "second"]


def test_services_behind_different_transports_may_share_a_route(shop):
    text = (
        '[transports.a]\nuse = "tcp"\n[transports.b]\nuse = "tcp"\n'
        '[services.shop]\nuse = "broken_shop:Shop"\ntransports = ["a"]\n'
        '[services.rival]\nuse = "broken_shop:Rival"\ntransports = ["b"]\n'
    )
    assert not shop(text).problems


def test_the_options_of_a_service_are_of_its_struct(shop):
    loaded = shop('[transports.tcp]\n[services.shop]\nuse = "broken_shop:Shop"\noptions.tries = 4\n')
    assert loaded.services[0].options.tries == 4
    assert loaded.services[0].options.greeting == "Hello"


def test_a_default_port_takes_no_port(load):
    assert not load(
        '[transports.tcp]\n[transports.two]\nuse = "tcp"\n[transports.three]\nuse = "tcp"\nport = 4502\n'
    ).problems


def test_a_name_that_disables_nothing_is_a_warning(load):
    loaded = load('[plugins]\ndisable = ["no-such-plugin"]\n[transports.tcp]\n')
    assert [(problem.severity, problem.line, problem.column) for problem in loaded.problems] == [("warning", 2, 12)]
    loaded.require()


DEMO = """\
#:schema ./vyked.schema.json
[host]
name = "demo"
mesh = "demo"
labels = { zone = "${ZONE:-a}" }
drain_timeout = 30
[plugins]
autoload = true
disable = []
[logging]
level = "info"
format = "auto"
access = true
slow_ms = 500
[registry]
use = "embedded"
[registry.embedded]
address = "127.0.0.1:4500"
[pubsub]
use = "embedded"
[pubsub.embedded]
[transports.tcp]
use = "tcp"
host = "127.0.0.1"
port = 4502
serializer = "msgpack"
[transports.http]
use = "http"
host = "127.0.0.1"
port = 4501
cors = { origins = [] }
[services.shop]
use = "broken_shop:Shop"
transports = ["tcp", "http"]
[services.shop.options]
greeting = "Hello"
[clients.default]
timeout = 10
balancer = "round_robin"
prefer_local = true
[clients.shop]
balancer = "hash"
[middleware]
server = ["logging"]
client = ["logging"]
[limits]
message = "1MiB"
in_flight = 1024
"""


def test_a_file_that_says_everything_is_right(shop):
    loaded = shop(DEMO)
    assert [problem.sentence for problem in loaded.problems] == []
    assert loaded.require().limits.message == 1 << 20
