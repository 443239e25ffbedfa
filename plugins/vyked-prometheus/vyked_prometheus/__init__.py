"""Metrics of a vyked-host for Prometheus: calls, events, connections, loop lag."""
