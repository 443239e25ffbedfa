"""The wire of Vyked 2.x, sans I/O: bytes in, packets out, and the other way round.

`scanner` finds where packets end, `stream` cuts a byte stream into packets within limits, `packets` reads them and `speech`
writes them, each in the dialect of the peer.
"""
