import pytest

from vyked_host.cli.arguments import arguments, text_hint
from vyked_host.errors import UsageError


def test_text_is_text_and_json_is_json():
    words = ["a=1", "b:=1", "c:=[1, null]", "d=", "e=x=y", 'f:={"g": true}']
    assert arguments(words) == {"a": "1", "b": 1, "c": [1, None], "d": "", "e": "x=y", "f": {"g": True}}


def test_one_object_holds_them_all():
    assert arguments(['{"a": 1, "b": "x"}', "c=y"]) == {"a": 1, "b": "x", "c": "y"}


def test_a_file_gives_text_or_json(tmp_path):
    (tmp_path / "a.json").write_text('{"b": 1}\n')
    assert arguments([f"a=@{tmp_path}/a.json", f"b:=@{tmp_path}/a.json"]) == {"a": '{"b": 1}\n', "b": {"b": 1}}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("a", "name=text"),
        ("=1", "name=text"),
        ("1a=1", "name=text"),
        ("a:=x", "a=x"),
        ("{", "JSON"),
        ("a=@/nowhere", "/nowhere"),
    ],
)
def test_what_is_no_argument_says_how_to_write_it(word, says):
    with pytest.raises(UsageError, match=says):
        arguments([word])


def test_nothing_is_given_twice():
    with pytest.raises(UsageError, match="a is given twice"):
        arguments(["a=1", "a:=2"])


@pytest.mark.parametrize(
    ("words", "field", "says"),
    [
        (["n=5"], "n", "; n=... is text, JSON is given as n:=..."),
        (["a=x", "n=@five.txt"], "n", "; n=... is text, JSON is given as n:=..."),
        (['n:="5"'], "n", ""),
        (['{"n": "5"}'], "n", ""),
        (["n:=@five.json"], "n", ""),
        (['user:={"n": "5"}', "n=x"], "user.n", ""),
        (["a=x"], "", ""),
    ],
)
def test_text_where_something_else_was_wanted_is_explained_as_it_was_typed(words, field, says):
    assert text_hint(words, field) == says
