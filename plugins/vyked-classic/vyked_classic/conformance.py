"""How far the conformance kit can test what is offered here: `vyked-host plugins verify vyked-classic`."""

from vyked_host.testing import PubSubConformance, RegistryConformance, TransportConformance


class Transport(TransportConformance):
    """The wire of old services."""

    unfit = "the wire of Vyked 2.x carries less than the kit asks for; tested beside old services in plugins/vyked-classic/tests"


class Registry(RegistryConformance):
    """The registry of old services."""

    unfit = "it registers services at a registry of Vyked 2.x, which keeps no records of ours"


class PubSub(PubSubConformance):
    """The Redis channels of old services."""

    unfit = "its groups need a registry of Vyked 2.x, which says who the consumers are"
