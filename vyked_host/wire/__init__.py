"""The native protocol without I/O: bytes in, packets out, and the other way round. docs/wire-protocol.md is its text.

No asyncio, socket, clock or chance in here: whoever has a socket feeds :class:`connection.Connection` and sends what it
makes. Times that matter on the wire are remaining milliseconds, so no two clocks are ever compared.
"""
