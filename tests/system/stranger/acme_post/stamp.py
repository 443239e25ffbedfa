"""A word after each text that a handler answers."""

from vyked_host.contracts import EndpointDescription, Kind, Middleware, Proceed


class Stamp(Middleware):
    def __init__(self, word: str) -> None:
        self._word = word

    def wrap(self, endpoint: EndpointDescription, side: str, proceed: Proceed) -> Proceed:
        if endpoint.kind is not Kind.UNARY or endpoint.result is not str:
            return proceed

        async def stamped(arguments):
            return f"{await proceed(arguments)} {self._word}"

        return stamped
