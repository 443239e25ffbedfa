"""Events over the Redis channels of Vyked 2.x: ``service/version/event`` for everybody, and one more part, the id of a node, for
the one instance of a group that gets it."""
