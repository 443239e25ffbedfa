"""The samples of the project's own description, completed where the page lost its decorators, with addresses filled in."""

import json
import sys
from asyncio import sleep

from vyked import Host, HTTPService, Request, Response, TCPService, api, get, post, publish


class IdentityTCPService(TCPService):
    def __init__(self, ip, port):
        super().__init__("IdentityService", 1, ip, port)

    @api
    def create(self, user_name, password):
        result = yield from sleep(0.1)  # long running task
        if user_name is None:
            raise Exception("username cannot be none")
        self.password_changed(user_name)
        return result

    @publish
    def password_changed(self, user_name):
        """
        calling this method from within your code will cause a 'password_changed' event to be published
        to all subscribing services
        """
        # @publish decorated methods must return a dict of values to be published
        return locals()  # easy way to return a dict containing all the params - in this case, user_name.


class IdentityHTTPService(HTTPService):
    def __init__(self, ip, port):
        super().__init__("IdentityService", 1, ip, port)

    @get(path="/users/{username}")
    def get(self, request: Request):
        username = request.match_info.get("username")
        return Response(status=200, body=(f"Hello {username}").encode())

    @post(path="/users")
    def create(self, request: Request):
        data = yield from request.json()
        return Response(status=200, body=(json.dumps(data)).encode())


if __name__ == "__main__":
    http = IdentityHTTPService("127.0.0.1", int(sys.argv[1]))
    tcp = IdentityTCPService("127.0.0.1", int(sys.argv[2]))
    Host.registry_host = "127.0.0.1"
    Host.registry_port = int(sys.argv[3])
    Host.pubsub_host = "127.0.0.1"
    Host.pubsub_port = int(sys.argv[4])
    Host.name = "Identity"
    Host.attach_http_service(http)
    Host.attach_tcp_service(tcp)
    Host.run()
