"""`transport.nats`: calls between hosts over subjects, so that a host needs no open port."""
