"""A right file whose plugin is broken is not the file's fault: exit 3, not 4."""

import pytest

from vyked_host import config, loading
from vyked_host.cli.check import exit_code
from vyked_host.errors import ConfigError, StartError


def loaded(text: str) -> config.Loaded:
    catalogue = loading.load(environ={})
    catalogue.find("transport", "tcp").fail("it is ill")
    return config.load("vyked.toml", text=text, environ={}, installed=catalogue)


def test_a_broken_plugin_is_told_at_its_table():
    found = loaded("[host]\nname = 'x'\n[transports.tcp]\n")
    problem = found.errors[0]
    assert problem.place == "vyked.toml:3:13"
    assert "transport.tcp of vyked-host" in problem.message
    assert "it is ill" in problem.message


def test_it_is_a_start_error_and_exit_3():
    found = loaded("[transports.tcp]\n")
    assert exit_code(found) == 3
    with pytest.raises(StartError, match="it is ill"):
        found.require()


def test_with_a_fault_of_the_file_beside_it_the_file_is_wrong():
    found = loaded("[host]\nname = 3\n[transports.tcp]\n")
    assert exit_code(found) == 4
    with pytest.raises(ConfigError):
        found.require()
