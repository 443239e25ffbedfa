"""What vyked.toml may say about tcp, and what is refused before anything is bound."""

from __future__ import annotations

import msgspec
import pytest

from vyked_host.builtin.tcp import provider
from vyked_host.builtin.tcp.options import Options


def faults(insecure: bool = False, **options):
    settings = {"transports": {"wire": {"use": "tcp", "options": options}}, "security": {"insecure": insecure}}
    return [(path, fault) for path, fault, _ in provider.vyked_check_settings(settings)]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_security(host):
    assert faults(host=host) == []


@pytest.mark.parametrize("host", ["10.0.0.7", "example.org", "192.168.1.1", "2001:db8::1"])
def test_a_bind_beyond_loopback_is_refused(host):
    [(path, fault)] = faults(host=host)
    assert path == "transports.wire.host"
    assert host in fault
    assert faults(insecure=True, host=host) == []


def test_all_addresses_need_one_that_others_dial():
    [(_, fault)] = faults(insecure=True, host="0.0.0.0")
    assert "which one to dial" in fault
    assert faults(insecure=True, host="0.0.0.0", advertise="10.0.0.7") == []


def test_flat_tables_and_names_without_use_are_understood():
    settings = {
        "transports": {
            "tcp": {"host": "10.0.0.7"},
            "http": {"host": "10.0.0.7"},
            "web": {"use": "http", "host": "10.0.0.7"},
        }
    }
    assert [path for path, _, _ in provider.vyked_check_settings(settings)] == ["transports.tcp.host"]


@pytest.mark.parametrize("port", [-1, 65536, "4502", 1.5, True])
def test_a_port_is_a_port(port):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"port": port}, Options)


@pytest.mark.parametrize("text", ["10.0.0.7", "10.0.0.7:4502", "host.example:1", "[::1]", "[::1]:4502"])
def test_an_advertised_address_is_a_host_and_perhaps_a_port(text):
    assert msgspec.convert({"advertise": text}, Options).advertise == text


@pytest.mark.parametrize("text", ["", ":1", "a b", "tcp://x:1", "::1", "host:port"])
def test_anything_else_is_no_address(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"advertise": text}, Options)


def test_the_provider_says_what_it_can_do():
    [found] = provider.vyked_transports()
    guarantees = found.guarantees(found.options())
    assert found.name == "tcp"
    assert (guarantees.streams, guarantees.cancels, guarantees.push) == (True, True, True)
