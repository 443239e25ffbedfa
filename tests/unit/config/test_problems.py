"""How faults are told."""

import json

from vyked_host.config.problems import Problem, as_github, as_json, as_text, excerpt


def problem(source: str, column: int, length: int = 1, **more) -> Problem:
    return Problem(
        file="vyked.toml", line=5, column=column, length=length, source=source, message="it is wrong", **more
    )


def caret(source: str, column: int, length: int = 1) -> str:
    return excerpt(problem(source, column, length))[1].partition("│ ")[2]


def test_a_line_names_place_severity_message_and_remedy():
    text = as_text([problem('workers = "four"', 11, 6, remedy="write 4")])
    assert text == (
        "vyked.toml:5:11  error  it is wrong; write 4\n"
        '    5 │ workers = "four"\n'
        "      │           ^^^^^^"
    )  # fmt: skip


def test_the_caret_repeats_tabs():
    assert caret("\tdebug\t= 1", 10) == "\t     \t  ^"


def test_the_caret_is_as_wide_as_what_stands_before_it():
    assert caret('"日本" = 1', 8) == " " * 9 + "^"
    assert caret('"e\u0301" = 1', 8) == " " * 6 + "^"  # a combining accent takes no cell


def test_the_caret_is_as_wide_as_what_it_marks():
    assert caret('a = "日本"', 5, 4) == "    ^^^^^^"


def test_a_long_line_is_cut_around_the_fault():
    source = "x" * 500 + "HERE" + "y" * 500
    line, marks = excerpt(problem(source, 501, 4))
    assert len(line) < 200
    assert line[marks.index("^") :].startswith("HERE")


def test_nothing_in_a_file_can_steer_the_terminal():
    text = as_text([problem("a = '\x1b[31mred'", 5), Problem(file="f", message="\x1b]0;title\x07")])
    assert "\x1b" not in text
    assert "\x07" not in text


def test_without_a_place_there_is_no_excerpt():
    assert as_text([Problem(file="--set a=b", message="no")]) == "--set a=b  error  no"


def test_json_has_every_field_and_counts():
    found = json.loads(as_json([problem("x", 1), problem("x", 1, severity="warning")]))
    assert found["errors"] == 1
    assert found["warnings"] == 1
    assert found["problems"][0] | {"file": "vyked.toml", "line": 5, "column": 1} == found["problems"][0]


def test_github_commands_are_escaped():
    line = as_github([Problem(file="a:b,c.toml", line=3, column=2, length=4, message="50% of\nit", severity="warning")])
    assert line == (
        "::warning file=a%3Ab%2Cc.toml,line=3,col=2,endColumn=6,title=vyked-host check::50%25 of it"
    )  # fmt: skip
