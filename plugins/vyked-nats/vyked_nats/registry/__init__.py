"""`registry.nats`: who is where, in a key-value bucket of JetStream."""
