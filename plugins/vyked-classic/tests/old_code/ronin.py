"""A service without a registry that publishes and calls all the same: `ronin.py HTTP_PORT TCP_PORT`."""

import sys

from vyked import Host, HTTPService, Response, TCPService, TCPServiceClient, get, publish, request
from vyked.exceptions import ClientNotFoundError


class Nobody(TCPServiceClient):
    def __init__(self):
        super().__init__("nobody", 1)

    @request
    def answer(self):
        return locals()


class Tcp(TCPService):
    def __init__(self, port):
        super().__init__("alone", 1, "127.0.0.1", port)

    @publish
    def happened(self, what):
        return locals()


class Http(HTTPService):
    def __init__(self, port, tcp, nobody):
        super().__init__("alone", 1, "127.0.0.1", port)
        self.tcp, self.nobody = tcp, nobody

    @get(path="/publish")
    def publish(self, request):
        self.tcp.happened("something")
        return Response(text="published")

    @get(path="/call")
    def call(self, request):
        try:
            yield from self.nobody.answer()
        except ClientNotFoundError as error:
            return Response(text=type(error).__name__)


if __name__ == "__main__":
    nobody = Nobody()
    tcp = Tcp(int(sys.argv[2]))
    http = Http(int(sys.argv[1]), tcp, nobody)
    http.clients = [nobody]
    Host.configure("Alone")
    Host.ronin = True
    Host.attach_http_service(http)
    Host.attach_tcp_service(tcp)
    Host.run()
