import json
from urllib.error import HTTPError

import pytest

from .program import command, fetch


def call(host, *words, mesh="demo", **more):
    return command("call", *words, "--address", host.address(0), "--mesh", mesh, **more)


def test_a_route_answers_over_http(demo):
    assert fetch(f"{demo.address(1)}/users/ada") == (200, {"text": "Hello ada"})


def test_call_prints_the_result_as_json(demo):
    code, out, err = call(demo, "identity.create", "user_name=ada", "password=s3cret")
    assert (code, json.loads(out), err) == (0, {"user_name": "ada", "id": 1}, "")


def test_one_method_serves_tcp_and_http_alike(demo):
    assert fetch(f"{demo.address(1)}/users", {"user_name": "ada", "password": "x"}) == (
        201,
        {"user_name": "ada", "id": 1},
    )
    assert json.loads(call(demo, "identity.find", "user_name=ada")[1]) == {"user_name": "ada", "id": 1}


def test_a_stream_prints_one_value_a_line(demo):
    for name in ("ada", "bob"):
        assert call(demo, "identity.create", f"user_name={name}", "password=x")[0] == 0
    code, out, _ = call(demo, "identity.all")
    assert code == 0
    assert [json.loads(line)["user_name"] for line in out.splitlines()] == ["ada", "bob"]


def test_a_service_calls_another_and_hears_its_events(demo):
    call(demo, "identity.create", "user_name=ada", "password=old")
    assert json.loads(call(demo, "accounts.open", "user_name=ada")[1]) == {"user_name": "ada", "user_id": 1, "mails": 0}
    assert call(demo, "identity.change_password", "user_name=ada", "old=old", "new=new")[0] == 0
    assert call(demo, "accounts.is_signed_in", "user_name=ada")[1].strip() == "false"


def test_an_application_error_is_exit_5_with_words_and_as_json(demo):
    code, out, err = call(demo, "identity.find", "user_name=bob", "-o", "json")
    assert code == 5
    error = json.loads(out)["error"]
    assert (error["type"], error["details"]) == ("no_such_user", {"user_name": "bob"})
    assert "no_such_user" in err


def test_an_application_error_is_its_status_over_http(demo):
    with pytest.raises(HTTPError) as caught:
        fetch(f"{demo.address(1)}/accounts/nobody")
    with caught.value as answer:
        assert answer.code == 404
        assert json.loads(answer.read())["type"] == "no_account"


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        (("identity.craete",), "did you mean 'create'?"),
        (("identitty.create",), "did you mean 'identity'?"),
        (("identity.create", "username=ada", "password=x"), "user_name"),
        (("identity.create", "user_name=ada"), "password"),
        (("identity.find", "user_name:=1"), "user_name"),
    ],
)
def test_a_wrong_service_method_or_field_gets_the_error_that_helps(demo, words, helps):
    code, _, err = call(demo, *words)
    assert code == 5
    assert helps in err
    assert "Traceback" not in err


def test_another_mesh_is_refused_by_name(demo):
    code, _, err = call(demo, "identity.all", mesh="other")
    assert code == 3
    assert "demo" in err
    assert "other" in err


def test_arguments_that_are_none_are_exit_2():
    for words in (
        ("identity",),
        ("identity.find", "user_name"),
        ("identity.find", "id:=x"),
        ("identity.find", "--address", "here"),
    ):
        code, _, err = command("call", *words)
        assert code == 2, words
        assert "Traceback" not in err


def test_nobody_there_is_exit_3_and_says_how_to_start_one(tmp_path):
    code, _, err = command("call", "identity.all", "--address", "tcp://127.0.0.1:1", folder=tmp_path)
    assert code == 3
    assert "vyked-host run" in err
    assert "tcp://127.0.0.1:1: Connection refused" in err
