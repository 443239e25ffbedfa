"""The kit over one installed plugin: what `vyked-host plugins verify` runs, in a process of its own.

A distribution says how its plugin is to be tested by an entry point of the group ``vyked_host.conformance``, named like the
plugin's own (``pubsub.nats = acme.conformance:Nats``); without one the kit takes the suite of the kind and default options.
"""
