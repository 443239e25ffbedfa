"""A service as people wrote them: generators, plain functions, helpers, in ronin mode."""

import asyncio
import json
import sys

from vyked import Host, HTTPService, Response, TCPService, api, get, post


@asyncio.coroutine
def outside(text):
    yield from asyncio.sleep(0)
    return text.upper()


class Tcp(TCPService):
    def __init__(self, port):
        super().__init__("IdentityService", 1, "127.0.0.1", port)

    @api
    def create(self, user_name, password):
        result = yield from self._helper(user_name)
        return result

    def _helper(self, user_name):
        yield from asyncio.sleep(0)
        return (yield from outside(user_name))


class Http(HTTPService):
    def __init__(self, port):
        super().__init__("IdentityService", 1, "127.0.0.1", port, allow_cross_domain=True)

    @get(path="/users/{username}", required_params="key")
    def hello(self, request):
        name = yield from outside(request.match_info.get("username"))
        return Response(status=200, body=f"Hello {name}".encode())

    @post(path=["/users", "/people"])
    @asyncio.coroutine
    def create(self, request):
        data = yield from request.json()
        return Response(status=200, body=json.dumps(data).encode())

    @get(path="/slow", timeout=0.1)
    def slow(self, request):
        yield from asyncio.sleep(10)


if __name__ == "__main__":
    Host.configure("Identity")
    Host.ronin = True
    Host.attach_http_service(Http(int(sys.argv[1])))
    Host.attach_tcp_service(Tcp(int(sys.argv[2])))
    Host.run()
