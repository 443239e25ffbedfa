"""Which serializer a body has and which one the answer gets: Content-Type and Accept against what this host has."""

from __future__ import annotations

from collections.abc import Mapping

from ...contracts import Serializer
from .refusal import JSON, Refused

DEFAULT = "json"


class Negotiation:
    """The serializers of this host by name and by content type."""

    def __init__(self, serializers: Mapping[str, Serializer]) -> None:
        self.serializers = dict(serializers)
        self._names = {each.content_type: name for name, each in serializers.items()}
        self.of_json = self._names.get(JSON, DEFAULT)  # bodies that say so are nearly all there are
        self._names.setdefault("application/x-msgpack", "msgpack" if "msgpack" in serializers else DEFAULT)

    def content_type(self, name: str) -> str:
        """What HTTP calls the serializer `name`."""
        return self.serializers[name].content_type

    def of_body(self, content_type: str) -> str:
        """The serializer of a body. No type at all: JSON. Raises Refused (415) naming those that are known.

        A form's type is never taken for JSON: a page of another origin can send forms without being asked.
        """
        found = self._names.get(content_type) if content_type else DEFAULT
        if found is None and content_type.endswith("+json"):
            found = DEFAULT
        if found is None:
            raise Refused(
                "INVALID_ARGUMENT",
                f"a body of type {content_type!r} can't be read here; known: {', '.join(sorted(self._names))}",
                status=415,
            )
        return found

    def of_answer(self, accept: str, otherwise: str = DEFAULT) -> str:
        """The serializer of an answer: the first acceptable one by weight; `otherwise` when nothing fits."""
        if not accept:
            return otherwise
        for wanted in preferences(accept):
            if wanted in ("*/*", "application/*"):
                return otherwise
            found = self._names.get(wanted)
            if found is not None:
                return found
        return otherwise


def preferences(accept: str) -> list[str]:
    """The media types of an Accept header, most wanted first; those with q=0 are left out."""
    weighted: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept.split(",")[:32]):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _weight(parameters)
        if media and weight > 0:
            weighted.append((-weight, position, media))
    return [media for _, _, media in sorted(weighted)]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def wants_events(accept: str) -> bool:
    """Does the client prefer server-sent events?"""
    return "text/event-stream" in accept
