"""Requests as curl sends them, and what they get."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest


async def test_a_path_and_query_become_typed_arguments(http: Any) -> None:
    async with http.get("/users/ada?shout=true&times=2") as answer:
        assert (answer.status, await answer.json()) == (200, {"text": "HELLO ADA HELLO ADA"})


async def test_a_json_body_becomes_the_arguments_and_the_status_is_the_routes(http: Any) -> None:
    async with http.post("/users", json={"user_name": "ada", "password": "x", "tags": ["a"]}) as answer:
        assert answer.status == 201
        assert await answer.json() == {"user_name": "ada", "password": "x", "age": 0, "tags": ["a"]}


async def test_a_form_is_converted_and_json_is_not(http: Any) -> None:
    async with http.post("/users", data={"user_name": "ada", "password": "x", "age": "7"}) as answer:
        assert (await answer.json())["age"] == 7
    async with http.post("/users", json={"user_name": "ada", "password": "x", "age": "7"}) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == "body field 'age': Expected `int`, got `str`"


async def test_markers_decide_where_a_parameter_comes_from(http: Any) -> None:
    headers = {"User-Agent": "me", "Cookie": "sid=s1"}
    async with http.put("/marked?p=3&tag=a&tag=b", json={"text": "hi"}, headers=headers) as answer:
        assert await answer.json() == {"agent": "me", "sid": "s1", "page": 3, "tag": ["a", "b"], "note": {"text": "hi"}}


async def test_a_body_marked_as_bytes_is_taken_as_it_is(http: Any) -> None:
    async with http.post("/upload", data=b"\x00\xff", headers={"Content-Type": "image/png"}) as answer:
        assert await answer.json() == 2


@pytest.mark.parametrize(
    ("method", "url", "body", "said"),
    [
        ("GET", "/users/ada?times=many", None, "query parameter 'times': Expected `int`, got 'many'"),
        ("GET", "/users/ada?shoot=1", None, "unknown query parameter 'shoot'; known: shout, times"),
        ("POST", "/users", {"user_name": "ada"}, "body field 'password' is missing"),
        ("POST", "/users", {"user_name": "ada", "password": "x", "pass": 1}, "the body: Object contains unknown field `pass`; known: age, password, tags, user_name"),
        ("POST", "/users", {"user_name": "a", "password": "x", "tags": [1]}, "body field 'tags' at tags[0]: Expected `str`, got `int`"),
        ("GET", "/pages/x", None, "Required params a,b not found"),
        ("GET", "/pages/x?a=1", None, "Required params b not found"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_refused_with_the_place_and_the_reason(
    http: Any, method: str, url: str, body: Any, said: str
) -> None:
    async with http.request(method, url, json=body) as answer:
        found = await answer.json()
        assert (answer.status, found["code"], found["executed"]) == (400, "INVALID_ARGUMENT", "not_executed")
        assert found["error"] == said


async def test_query_parameters_of_vyked_2_clients_are_tolerated(http: Any) -> None:
    async with http.get("/users/ada?version=1&service=identity&app=x") as answer:
        assert answer.status == 200


async def test_a_method_that_returns_nothing_answers_204(http: Any) -> None:
    async with http.delete("/users/ada") as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_row_32_a_declared_error_has_its_status_and_the_one_error_body(http: Any) -> None:
    async with http.post("/users", json={"user_name": "taken", "password": "x"}) as answer:
        assert answer.status == 409
        assert await answer.json() == {
            "error": "user_name='taken'", "code": "APPLICATION", "type": "user_exists",
            "details": {"user_name": "taken"}, "executed": "executed",
        }  # fmt: skip


async def test_row_32_what_was_not_declared_is_a_500_in_json_that_leaks_nothing(http: Any) -> None:
    async with http.post("/-/call/identity/broken") as answer:
        assert (answer.status, answer.content_type) == (500, "application/json")
        assert "secret" not in await answer.text()


async def test_overload_says_when_to_come_back(http: Any) -> None:
    async with http.get("/busy") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
        assert (await answer.json())["retry_after"] == 1.5


async def test_a_result_that_cant_be_encoded_is_an_internal_error_with_an_id(http: Any, caplog: Any) -> None:
    async with http.get("/strange") as answer:
        found = await answer.json()
        assert (answer.status, found["code"]) == (500, "INTERNAL")
        assert found["details"]["id"] in caplog.text


async def test_a_raw_handler_gets_the_request_and_its_response_is_sent(http: Any) -> None:
    async with http.get("/pages/intro?a=1&b=2") as answer:
        assert await answer.text() == "intro 1"
    async with http.post("/pages/intro", data={"k": "v"}) as answer:
        assert (await answer.json(), answer.headers["X-Name"]) == ({"k": "v"}, "intro")


async def test_aiohttps_own_exceptions_keep_their_meaning(http: Any) -> None:
    async with http.get("/moved", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/pages/x?a=1&b=2")
    async with http.get("/missing") as answer:
        assert (answer.status, (await answer.json())["error"]) == (404, "no such page")


async def test_head_is_answered_for_every_get(http: Any) -> None:
    async with http.head("/users/ada") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert answer.headers["Content-Length"] == str(len('{"text":"Hello ada"}'))
    async with http.head("/ping") as answer:
        assert answer.status == 200
    async with http.head("/count?to=3") as answer:
        assert (answer.status, answer.content_type) == (200, "application/x-ndjson")


async def test_another_verb_gets_405_with_allow(http: Any) -> None:
    async with http.put("/users/ada") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, GET, HEAD, OPTIONS")
        assert (await answer.json())["code"] == "NOT_SUPPORTED"
    async with http.get("/-/call/identity/hello") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "OPTIONS, POST")
    async with http.post("/ping") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_options_tells_the_verbs(http: Any) -> None:
    async with http.options("/users/ada") as answer:
        assert (answer.status, answer.headers["Allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")


async def test_nothing_there_names_the_nearest_routes(http: Any) -> None:
    async with http.get("/userz") as answer:
        found = await answer.json()
        assert (answer.status, found["code"]) == (404, "NOT_FOUND")
        assert "POST /users" in found["details"]["routes"]


async def test_row_29_trace_is_trace(served: Any, raw: Any) -> None:
    connection = await raw(served[2])
    await connection.send(b"TRACE /traced HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await connection.everything()).endswith(b'"traced"')
    connection = await raw(served[2])
    await connection.send(b"PUT /traced HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert (await connection.everything()).startswith(b"HTTP/1.1 405")


@pytest.mark.parametrize(("accept", "content_type"), [("application/msgpack", "application/msgpack"), ("application/msgpack;q=0.1, application/json", "application/json"), ("text/html, */*;q=0.8", "application/json"), ("image/png", "application/json")])  # fmt: skip
async def test_the_answer_is_encoded_as_accepted(http: Any, accept: str, content_type: str) -> None:
    async with http.get("/users/ada", headers={"Accept": accept}) as answer:
        assert answer.content_type == content_type


async def test_a_body_in_another_serializer_is_read_as_its_type_says(http: Any) -> None:
    body = msgspec.msgpack.encode({"user_name": "ada", "password": "x"})
    async with http.post("/users", data=body, headers={"Content-Type": "application/msgpack"}) as answer:
        assert answer.status == 201
    async with http.post("/users", data=body, headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415
        assert "application/msgpack" in (await answer.json())["error"]


async def test_every_endpoint_can_be_called_by_name(http: Any) -> None:
    async with http.post("/-/call/identity/hello", json={"user_name": "ada"}) as answer:
        assert (answer.status, await answer.json()) == (200, {"text": "Hello ada"})
    async with http.post("/-/call/IDENTITY/hello@1", json={"user_name": "ada"}) as answer:
        assert answer.status == 200
    async with http.post("/-/call/identity/remove", json={"user_name": "ada"}) as answer:
        assert (answer.status, await answer.json()) == (200, None)


async def test_a_call_without_arguments_needs_no_body(http: Any, served: Any) -> None:
    served[0].gate.open.set()
    async with http.post("/-/call/identity/wait") as answer:
        assert await answer.json() == "waited"


async def test_a_call_may_be_answered_in_another_serializer(http: Any) -> None:
    async with http.post(
        "/-/call/identity/hello", json={"user_name": "ada"}, headers={"Accept": "application/msgpack"}
    ) as answer:
        assert msgspec.msgpack.decode(await answer.read()) == {"text": "Hello ada"}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("nobody/hello", 404, "no service 'nobody' here; there are: identity"),
        ("identity/helo", 404, "identity has no method 'helo'; it has: broken, busy, count"),
        ("identity/hello@2", 409, "identity.hello: 2 was asked for, here is 1.2.0"),
        ("identity", 404, "names no method"),
        ("identity/hello/more", 404, "names no method"),
    ],
)
async def test_a_wrong_call_says_what_exists(http: Any, path: str, status: int, said: str) -> None:
    async with http.post(f"/-/call/{path}", json={}) as answer:
        assert answer.status == status
        assert said in (await answer.json())["error"]


async def test_a_form_is_never_a_call(http: Any) -> None:
    async with http.post("/-/call/identity/remove", data={"user_name": "ada"}) as answer:
        assert answer.status == 415


async def test_a_page_of_another_origin_may_not_call(http: Any) -> None:
    async with http.post("/-/call/identity/wait", headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403


async def test_headers_become_the_call(http: Any, served: Any) -> None:
    headers = {
        "traceparent": "00-1-2-01", "baggage": "k=v", "Vyked-Metadata": '{"tenant": "a"}', "Idempotency-Key": "key-1",
        "Vyked-Entity": "caf%C3%A9", "Vyked-Attempt": "2", "Vyked-Caller": "accounts/1.0.0", "Vyked-Timeout-Ms": "1500",
        "Vyked-Priority": "low",
    }  # fmt: skip
    async with http.post("/-/call/identity/hello", json={"user_name": "ada"}, headers=headers) as answer:
        assert answer.status == 200
    call = served[0].calls.calls[-1]
    assert json.loads(call.metadata) == {
        "tenant": "a", "traceparent": "00-1-2-01", "baggage": "k=v", "vyked-priority": "low",
    }  # fmt: skip
    assert (call.idempotency_key, call.entity, call.attempt, call.caller) == ("key-1", "café", 2, "accounts/1.0.0")
    assert 0 < call.deadline - asyncio.get_running_loop().time() <= 1.5
    assert (call.codec, call.body) == ("json", b'{"user_name": "ada"}')
    assert call.peer.address.startswith("127.0.0.1:")


@pytest.mark.parametrize(("name", "value"), [("Vyked-Timeout-Ms", "soon"), ("Vyked-Timeout-Ms", "0"), ("Vyked-Timeout-Ms", "-5"), ("Vyked-Metadata", "[1]"), ("Vyked-Metadata", '{"a": 1}'), ("Vyked-Priority", "urgent")])  # fmt: skip
async def test_a_header_that_makes_no_sense_is_refused(http: Any, name: str, value: str) -> None:
    async with http.post("/-/call/identity/echo", json={"text": ""}, headers={name: value}) as answer:
        assert (answer.status, name in (await answer.json())["error"]) == (400, True)


async def test_without_a_header_the_deadline_is_ten_seconds(http: Any, served: Any) -> None:
    async with http.post("/-/call/identity/echo", json={"text": ""}):
        pass
    assert 9 < served[0].calls.calls[-1].deadline - asyncio.get_running_loop().time() <= 10


async def test_row_40_a_client_that_goes_cancels_the_handler(served: Any, raw: Any) -> None:
    identity, _, port = served
    connection = await raw(port)
    await connection.send(b"POST /-/call/identity/wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    await identity.gate.entered.wait()
    await connection.close()
    await identity.gate.cancelled.wait()


async def test_expect_100_continue_is_answered_before_the_body(served: Any, raw: Any) -> None:
    connection = await raw(served[2])
    await connection.send(
        b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    assert (await connection.head()).startswith("HTTP/1.1 100")
    await connection.send(b"abc")
    assert (await connection.everything()).endswith(b"3")
