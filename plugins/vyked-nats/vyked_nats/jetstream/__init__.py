"""`pubsub.nats-jetstream`: events kept in a stream of the servers, for everybody or for one of each group."""
