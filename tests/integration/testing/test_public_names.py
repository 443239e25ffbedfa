"""What is imported lazily stays what it is, whatever else was imported before."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

import pytest

import vyked_host
from vyked_host import testing


@pytest.mark.parametrize(
    ("package", "names"), [(vyked_host, vyked_host.NAMES), (testing, testing.__all__)], ids=["vyked_host", "testing"]
)
def test_no_module_has_the_name_of_something_that_is_imported_lazily(package: ModuleType, names: Iterable[str]) -> None:
    """Python binds an imported module to its name in the package, in front of what `__getattr__` would give."""
    assert set(names)
    assert set(names) & {each.name for each in pkgutil.iter_modules(package.__path__)} == set()


def test_leaks_is_a_function_also_once_its_module_was_imported() -> None:
    importlib.import_module("vyked_host.testing.conformance.suite")
    from vyked_host.testing import leaks

    assert callable(leaks)
