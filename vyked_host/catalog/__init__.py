"""The registry as a state machine: pure functions over immutable state, no I/O, no clock. Whoever holds a registry feeds
changes to `reduce` and carries out the effects; whoever watches one judges activation and cycles with `dependencies`."""
