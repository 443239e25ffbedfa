"""A name of `vyked_host.testing` is the same thing whatever was imported before."""

import subprocess
import sys

import pytest

from vyked_host import testing

PROGRAM = """
import importlib, pkgutil, types
import vyked_host.testing as testing
for each in pkgutil.walk_packages(testing.__path__, "vyked_host.testing."):
    importlib.import_module(each.name)
print(*(name for name in testing.__all__ if isinstance(getattr(testing, name), types.ModuleType)))
"""


def test_no_module_hides_a_name():
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (told.returncode, told.stdout.strip()) == (0, ""), told.stdout + told.stderr


def test_what_is_not_there_is_told_with_what_is():
    with pytest.raises(AttributeError, match="it has: BalancerConformance, "):
        testing.nothing  # noqa: B018
