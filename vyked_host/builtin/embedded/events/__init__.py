"""The embedded event bus: a broker behind a desk at the hub's holder, and the client of every node."""
