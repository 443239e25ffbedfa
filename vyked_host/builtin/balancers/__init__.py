"""The load-balancing strategies that ship with the host: `random`, `round_robin`, `hash`."""
