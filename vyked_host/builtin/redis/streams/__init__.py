"""`pubsub.redis-streams`: events kept in streams of a Redis or Valkey server, for everybody or for one of each group."""
