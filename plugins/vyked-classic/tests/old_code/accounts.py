"""The clients of the project's own description, in a service that uses them."""

import asyncio
import sys

from vyked import Host, HTTPServiceClient, TCPService, TCPServiceClient, api, get, request, subscribe


class IdentityClient(TCPServiceClient):
    def __init__(self):
        super().__init__("IdentityService", 1)

    @request
    def create(self, user_name, password):
        return locals()  # @request requires a dict containing params describing the request payload

    @subscribe
    def password_changed(self, user_name):
        print(f"Password changed event received for {user_name}", flush=True)
        yield from asyncio.sleep(0)


class Hello(HTTPServiceClient):
    def __init__(self):
        super().__init__("IdentityService", 1)

    @get
    def person(self, name):
        path = f"/users/{name}"
        params = {"key": "value"}
        headers = {"Content-Type": "application/json"}
        app_name = "test"
        return locals()


class Accounts(TCPService):
    def __init__(self, ip, port):
        super().__init__("Accounts", 1, ip, port)
        self.identity, self.hello = IdentityClient(), Hello()
        self.clients = [self.identity, self.hello]

    @api
    def open(self, user_name):
        yield from self.identity.create(user_name, "secret")
        return {"opened": user_name}

    @api
    def look(self, user_name):
        response = yield from self.hello.person(user_name)
        return (yield from response.text())


if __name__ == "__main__":
    Host.configure("Accounts", "127.0.0.1", int(sys.argv[2]), "127.0.0.1", int(sys.argv[3]))
    Host.attach_tcp_service(Accounts("127.0.0.1", int(sys.argv[1])))
    Host.run()
