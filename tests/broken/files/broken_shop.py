"""Services that the broken files name."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from msgspec import Meta

from vyked_host import EventNeeds, Service, api, client, get, subscribe, xsubscribe


class ShopOptions(msgspec.Struct, forbid_unknown_fields=True):
    greeting: str = "Hello"
    tries: Annotated[int, Meta(ge=1, le=9)] = 3


class Shop(Service, name="shop", version="1"):
    options: ShopOptions

    @get("/items/{name}")
    async def item(self, name: str) -> str:
        return name


class NeedyOptions(msgspec.Struct, forbid_unknown_fields=True):
    url: str


class Needy(Service, name="needy", version="1"):
    options: NeedyOptions


class RangeOptions(msgspec.Struct, forbid_unknown_fields=True):
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


class Range(Service, name="range", version="1"):
    options: RangeOptions


class Rival(Service, name="rival", version="1"):
    @get("/items/{number}")
    async def item(self, number: int) -> int:
        return number


class Hen(Service, name="hen", version="1"):
    egg = client("egg")


class Egg(Service, name="egg", version="1"):
    hen = client("hen")


class Demanding(Service, name="demanding", version="1"):
    def __init__(self, price: int) -> None:
        self.price = price


class NoService:
    pass


def function() -> None:
    pass


class Stock(Service, name="stock", version="1"):
    @xsubscribe("shop.sold", version="1")
    async def on_sold(self, event: dict[str, int]) -> None: ...

    @subscribe("shop.sold", version="1")
    async def all_of_them(self, event: dict[str, int]) -> None: ...


class Ticker(Service, name="ticker", version="1"):
    @api
    async def prices(self) -> AsyncIterator[int]:
        yield 1


class Ledger(Service, name="ledger", version="1"):
    event_needs = EventNeeds(durability="disk", ordered=True, largest=1 << 30)


class Vague(Service, name="vague", version="1"):
    event_needs = "disk"
