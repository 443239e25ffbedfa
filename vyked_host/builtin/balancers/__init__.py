"""The load-balancing strategies that ship with the host. Each takes `chance`, a source of floats in [0, 1), so that a seed makes
a run repeatable. What they are given is usable (`contracts.Balancer.update`), so none of them looks for it."""
