"""Services over TLS as people wrote them: one that is served so, and one that calls it."""

import os
import ssl
import sys

from vyked import Host, HTTPService, HTTPServiceClient, Response, TCPService, TCPServiceClient, api, get, request

FOLDER, REGISTRY, REDIS = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def served():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.path.join(FOLDER, "vault.crt"), os.path.join(FOLDER, "vault.key"))
    return context


def trusting(name):
    return ssl.create_default_context(cafile=os.path.join(FOLDER, name))


class Vault(TCPService):
    def __init__(self):
        super().__init__("vault", 1, "127.0.0.1", int(sys.argv[5]), ssl_context=served())

    @api
    def open(self, code):
        return "opened with " + code


class Door(HTTPService):
    def __init__(self):
        super().__init__("vault", 1, "127.0.0.1", int(sys.argv[6]), ssl_context=served())

    @get(path="/door")
    def door(self, request):
        return Response(text="a door")


class VaultClient(TCPServiceClient):
    def __init__(self):
        super().__init__("vault", 1, ssl_context=trusting("ca.pem"))

    @request
    def open(self, code):
        return locals()


class DoorClient(HTTPServiceClient):
    def __init__(self):
        super().__init__("vault", 1, ssl_context=trusting("ca.pem"))

    @get
    def door(self):
        return {"path": "/door"}


class Till(HTTPService):
    def __init__(self, vault, door):
        super().__init__("till", 1, "127.0.0.1", int(sys.argv[5]))
        self.clients = [vault, door]
        self.vault, self.its_door = vault, door

    @get(path="/till")
    def till(self, request):
        return Response(text=(yield from self.vault.open("1234")))

    @get(path="/door")
    def door(self, request):
        answer = yield from self.its_door.door()
        return Response(text=(yield from answer.text()))


if __name__ == "__main__":
    Host.configure(sys.argv[1], "127.0.0.1", REGISTRY, "127.0.0.1", REDIS)
    Host.registry_client_ssl = trusting("ca.pem")
    if sys.argv[1] == "vault":
        Host.attach_tcp_service(Vault())
        Host.attach_http_service(Door())
    else:
        Host.attach_http_service(Till(VaultClient(), DoorClient()))
    Host.run()
