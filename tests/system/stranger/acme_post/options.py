"""What vyked.toml may say."""

from typing import Annotated

import msgspec
from msgspec import Meta


class PostOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[transports.post]``."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 4510
    serializer: Annotated[str, Meta(description="what this host likes best")] = "json"


class StampOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``{ use = "stamp", word = "..." }``."""

    word: Annotated[str, Meta(min_length=1, description="put after each text")] = "STOP"
