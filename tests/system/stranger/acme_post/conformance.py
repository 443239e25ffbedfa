"""How the conformance kit tests what is offered here: `vyked-host plugins verify acme-post`."""

from vyked_host.testing import BalancerConformance, MiddlewareConformance


class Lowest(BalancerConformance):
    spreads = False  # by design: it prefers one


class Stamp(MiddlewareConformance):
    transparent = False  # by design: it adds a word to texts
    settings = {"word": "FULL STOP"}
