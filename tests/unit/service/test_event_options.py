"""What an event or a job is published with: it is packed as it is, and who hears it can't read what is no text."""

from typing import Any

import pytest

from vyked_host import Service, enqueue, publish


class Shop(Service, name="shop", version="1.0.0"):
    @publish
    def sold(self, n: int) -> int:
        return n

    @enqueue("post.send")
    def send(self, n: int) -> int:
        return n


@pytest.mark.parametrize("given", [{"key": 5}, {"id": 5}, {"id": b"5"}])
@pytest.mark.parametrize("name", ["sold", "send"])
def test_a_key_or_an_id_that_is_no_text_is_refused_where_it_is_given(name: str, given: dict[str, Any]) -> None:
    (option, value), *_ = given.items()
    with pytest.raises(TypeError) as caught:
        getattr(Shop(), name).using(**given)
    assert str(caught.value) == f"{name}.using: {option}={value!r} is no text; write {option}=str(...)"


def test_texts_are_taken() -> None:
    Shop().sold.using(key="5", id="6").using(timeout=1)
    Shop().send.using(key="5", id="6", delay=1)
