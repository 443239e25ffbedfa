"""The HTTP transport, on aiohttp: routes of services, every endpoint at ``POST /-/call/SERVICE/METHOD``, probes, and the
client side of the same. Rules of binding, headers and errors: docs/http.md. Only this package knows aiohttp.
"""
