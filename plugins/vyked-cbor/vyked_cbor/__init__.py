"""A serializer for vyked-host: CBOR, RFC 8949."""
