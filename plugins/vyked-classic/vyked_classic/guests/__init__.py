"""Old processes as guests of a mesh: they register, ping and ask as they did at their registry, and appear beside new nodes.

`roster` decides (no I/O), `reception` listens and tells, `leases` announces, `bridge` carries events.
"""
