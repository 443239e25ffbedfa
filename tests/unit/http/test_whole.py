"""Answers of one piece."""

from __future__ import annotations

import pytest

from vyked_host.builtin.http.whole import _begin


def test_a_media_type_can_t_break_out_of_its_line() -> None:
    with pytest.raises(ValueError, match="no media type"):
        _begin(200, "text/plain\r\nSet-Cookie: a=b")
    assert _begin(201, "text/plain") == "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: "
