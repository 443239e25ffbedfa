"""WebSockets on the HTTP transport. aiohttp speaks the protocol; what it leaves to its user - masks, rates, slow peers, types,
back-pressure, who may open one, and the end - is here. Rules: docs/http.md.
"""
