"""JSON, backwards: types and errors are those of the host's own serializer."""

from vyked_host.contracts import Codec, Environment, Serializer, message_limit


class Mirror(Serializer):
    content_type = "application/x-mirror"

    def __init__(self, env: Environment) -> None:
        self._env = env

    def codec(self, shape) -> Codec:
        return MirrorCodec(self._env.serializers()["json"].codec(shape), message_limit(shape, self._env.limits))


class MirrorCodec(Codec):
    def __init__(self, straight: Codec, cap: int | None) -> None:
        self._straight, self._cap = straight, cap

    def encode(self, value):
        return self._straight.encode(value)[::-1]

    def decode(self, body):
        if self._cap is not None and len(body) > self._cap:
            raise ValueError(f"{len(body)} bytes, {self._cap} are the most")
        return self._straight.decode(bytes(body)[::-1])
