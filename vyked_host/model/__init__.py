"""Values only: names, versions, calls, topology, descriptions, settings, phases. No asyncio, no clock, no I/O."""
