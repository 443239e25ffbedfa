"""`registry.redis`: who is where, in a Redis or Valkey server; no process of ours keeps it (docs/redis.md)."""
