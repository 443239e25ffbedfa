"""Stores for the results of calls with an idempotency key: in memory, and in a file."""
