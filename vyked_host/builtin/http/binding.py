"""From a request to the arguments of a method: compiled once per route, run per request.

Texts (path, query, headers, cookies, forms) are converted (``"5"`` is an int, ``"true"`` a bool); JSON and other serializers are
taken strictly. What is unknown is refused: a misspelt parameter must not be lost silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_origin
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from ...contracts import Codec, EndpointDescription, HttpBinding
from ...errors import CallError
from .refusal import Refused
from .sources import Source, sources

FORM = "application/x-www-form-urlencoded"
TOLERATED = frozenset({"version", "service", "app"})
"""Query parameters that HTTP clients of Vyked 2.x add to every request."""

Codecs = Callable[[Any], Mapping[str, Codec]]
"""Type -> serializer name -> codec."""


class Binder:
    """Makes the arguments of one endpoint on one route."""

    def __init__(self, endpoint: EndpointDescription, binding: HttpBinding, codecs: Codecs) -> None:
        found = sources(endpoint, binding)
        self._shape = endpoint.arguments
        self._sensitive = frozenset(endpoint.sensitive)
        self._texts = [source for source in found if source.place in ("path", "query", "header", "cookie")]
        self._by_name = {source.field.encode_name: source for source in found}
        self._query = frozenset(source.key for source in found if source.place == "query") | frozenset(
            binding.required_params
        )
        self._required = binding.required_params
        self._text_shape = self._part(self._texts, found)
        fields = [source for source in found if source.place == "field"]
        self._fields = {source.key: source for source in fields}
        self._body_shape = self._part(fields, found)
        self._body_codecs = codecs(self._body_shape) if self._body_shape is not None else {}
        self._nothing = None if found or self._shape is None else self._shape()  # of a method without parameters
        self._whole = next((source for source in found if source.place == "body"), None)
        self._is_body = bool(fields) and self._body_shape is self._shape
        self._whole_codecs = codecs(self._whole.field.type) if self._whole is not None else {}

    @property
    def reads_body(self) -> bool:
        """Do parameters come from the body?"""
        return bool(self._fields) or self._whole is not None

    @property
    def takes_anything(self) -> bool:
        """Does a parameter take the body as it is, whatever its type?"""
        return self._whole is not None and plain(self._whole.field.type) in (bytes, str)

    def _part(self, chosen: Sequence[Source], every: Sequence[Source]) -> Any:
        """A Struct of some of the parameters: the arguments themselves where these are all."""
        if not chosen:
            return None
        if len(chosen) == len(every):
            return self._shape
        fields = [_field(source) for source in chosen]
        return msgspec.defstruct("Part", fields, kw_only=True, forbid_unknown_fields=True)

    # ---- per request -----------------------------------------------------------------------------------------------
    def bind(self, request: web.Request, body: bytes, serializer: str) -> Any:
        """The arguments in `request`. Raises Refused (400) naming the parameter, where it was looked for, and why."""
        if request.rel_url.raw_query_string or self._required:
            check_required(request, self._required)
            self._refuse_unknown(request)
        if self._shape is None or self._nothing is not None:
            return self._nothing
        if self._is_body:
            return self._from_body(body, serializer)
        texts = self._from_texts(request) if self._text_shape is not None else None
        if self._text_shape is self._shape and texts is not None:
            return texts
        found = self._from_body(body, serializer)
        values = msgspec.structs.asdict(texts) if texts is not None else {}
        if self._whole is not None:
            values[self._whole.name] = found
        elif self._fields:
            values |= msgspec.structs.asdict(found)
        return self._shape(**values)

    def _refuse_unknown(self, request: web.Request) -> None:
        unknown = [name for name in request.query if name not in self._query and name not in TOLERATED]
        if unknown:
            known = ", ".join(sorted(self._query)) or "none"
            raise Refused(
                "INVALID_ARGUMENT",
                f"unknown query parameter {unknown[0]!r}; known: {known}",
                details={"field": unknown[0]},
            )

    def _from_texts(self, request: web.Request) -> Any:
        values = {}
        for source in self._texts:
            found = _text(request, source)
            if found is not None:
                values[source.field.encode_name] = found
        try:
            return msgspec.convert(values, self._text_shape, strict=False)
        except msgspec.ValidationError as error:
            raise self._refused(str(error), values) from None

    def _from_body(self, body: bytes, serializer: str) -> Any:
        if self._whole is not None:
            return self._from_whole(self._whole, body, serializer)
        if not self._fields:
            return None
        try:
            if serializer == FORM:
                return msgspec.convert(self._form(body), self._body_shape, strict=False)
            return self._body_codecs[serializer].decode(body) if body else msgspec.convert({}, self._body_shape)
        except (ValueError, CallError) as error:
            raise self._bad_body(error) from None

    def _from_whole(self, source: Source, body: bytes, serializer: str) -> Any:
        shape = plain(source.field.type)
        if shape is bytes:
            return body
        try:
            if shape is str:
                return body.decode()
            if serializer == FORM:
                return msgspec.convert({k: v[0] for k, v in _pairs(body).items()}, source.field.type, strict=False)
            return self._whole_codecs[serializer].decode(body)
        except (ValueError, CallError) as error:
            raise self._bad_body(error) from None

    def _form(self, body: bytes) -> dict[str, Any]:
        several = {key for key, source in self._fields.items() if _repeats(source.field.type)}
        return {key: values if key in several else values[0] for key, values in _pairs(body).items()}

    # ---- errors ----------------------------------------------------------------------------------------------------
    def _bad_body(self, error: Exception) -> Refused:
        if isinstance(error, CallError):
            return Refused(error.code, str(error), details=error.details)
        return self._refused(str(error), {}) if isinstance(error, msgspec.ValidationError) else _unreadable(error)

    def _refused(self, text: str, values: Mapping[str, Any]) -> Refused:
        """The decoder's words in terms of the request."""
        reason, _, path = text.partition(" - at `$")
        path = path.rstrip("`").lstrip(".")
        if reason.startswith("Object missing required field") and not path:
            return self._missing(reason.rpartition(" `")[2].rstrip("`"))
        source = self._by_name.get(path.partition(".")[0].partition("[")[0])
        if source is None:
            known = ", ".join(sorted(self._fields))
            message = f"the body{' at ' + path if path else ''}: {reason}" + (f"; known: {known}" if known else "")
            return Refused("INVALID_ARGUMENT", message, details={"field": path or _quoted(reason)})
        if isinstance(values.get(path), str) and source.name not in self._sensitive:
            reason = reason.removesuffix(", got `str`") + f", got {values[path][:80]!r}"
        at = f" at {path}" if path != source.key else ""
        return Refused("INVALID_ARGUMENT", f"{source.where}{at}: {reason}", details={"field": path})

    def _missing(self, name: str) -> Refused:
        source = self._by_name.get(name)
        return Refused("INVALID_ARGUMENT", f"{source.where if source else name} is missing", details={"field": name})


def check_required(request: web.Request, required: Sequence[str]) -> None:
    """The query parameters that Vyked 2.x's ``required_params`` asks for. Raises Refused (400) in its words."""
    missing = [name for name in required if name not in request.query]
    if missing:
        raise Refused(
            "INVALID_ARGUMENT", f"Required params {','.join(missing)} not found", details={"missing": missing}
        )


def plain(shape: Any) -> Any:
    """The type without what Annotated adds."""
    return shape.__origin__ if hasattr(shape, "__metadata__") else shape


def _field(source: Source) -> tuple[str, Any, Any]:
    field = source.field
    if field.default_factory is not msgspec.NODEFAULT:
        default: Any = msgspec.field(default_factory=field.default_factory, name=field.encode_name)
    elif field.default is not msgspec.NODEFAULT:
        default = msgspec.field(default=field.default, name=field.encode_name)
    else:
        default = msgspec.field(name=field.encode_name)
    return source.name, field.type, default


def _repeats(shape: Any) -> bool:
    found = plain(shape)
    return (get_origin(found) or found) in (list, tuple, set, frozenset)


def _text(request: web.Request, source: Source) -> Any:
    if source.place == "path":
        return request.match_info[source.name]
    if source.place == "cookie":
        return request.cookies.get(source.key)
    values = request.query if source.place == "query" else request.headers
    return values.getall(source.key, None) if source.several else values.get(source.key)


def _pairs(body: bytes) -> dict[str, list[str]]:
    return parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=1000)


def _quoted(reason: str) -> str:
    return reason.rpartition(" `")[2].rstrip("`") if reason.endswith("`") else ""


def _unreadable(error: Exception) -> Refused:
    return Refused("INVALID_ARGUMENT", f"the body can't be read: {error}")
