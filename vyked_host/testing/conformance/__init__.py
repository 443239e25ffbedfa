"""Suites that say what each kind of plugin has to do, as test classes to inherit from.

One fixture is to be written, `provider`; `options` may be overridden where the defaults don't fit a test machine (ports).
The classes have no Test prefix, so importing one collects nothing. The host's own back ends pass the same suites.
"""

import pytest

_SUITES = (
    "balancers", "bench", "middlewares", "operations", "plugins", "pubsub", "queues", "registries", "results", "serializers", "suite",
    "transports",
)  # fmt: skip

# before the first of them is imported: without it a failure shows a bare AssertionError
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _SUITES))
