"""The serializers that ship with the host: `json` and `msgpack`, both on msgspec."""
