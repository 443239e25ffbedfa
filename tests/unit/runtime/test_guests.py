"""The guest book of a hub has an end."""

from __future__ import annotations

from vyked_host.runtime.guests import MOST, Guests


async def test_a_guest_book_keeps_so_many_and_the_latest_of_them() -> None:
    guests = Guests()
    for each in range(2 * MOST):
        await guests.sign(f"n{each}")
    await guests.sign("n0")
    await guests.sign("n1")
    assert len(guests.heirs) == MOST
    assert list(guests.heirs)[-2:] == ["n0", "n1"]
    await guests.leave("n1")
    assert "n1" not in guests.heirs
