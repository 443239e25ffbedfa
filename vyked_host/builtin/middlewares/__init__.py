"""The middlewares that ship with the host: `logging`."""
