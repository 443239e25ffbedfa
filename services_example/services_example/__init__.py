"""Services for vyked-host, found by their names through entry points: see setup.cfg."""
