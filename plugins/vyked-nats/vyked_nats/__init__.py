"""NATS as a back end of vyked-host: events to everybody who listens (docs/nats.md)."""
