"""`pubsub.redis`: events between hosts over a Redis or Valkey server, fan-out only (docs/redis.md)."""
