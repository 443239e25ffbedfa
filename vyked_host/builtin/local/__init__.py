"""The `local` transport: calls between services of one node."""
