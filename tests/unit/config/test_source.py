"""What is no TOML is told, all of it, and the rest is still read."""

import tomllib

from vyked_host.config.source import parse, read


def faults(text: str) -> list[tuple[int, int]]:
    return [(fault.line, fault.column) for fault in parse(text, "vyked.toml", ".").faults]


def test_good_text_is_what_tomllib_says():
    text = "[a]\nb = [1, 2]\n[[c]]\nd = 1979-05-27\n"
    found = parse(text, "vyked.toml", ".")
    assert found.data == tomllib.loads(text)
    assert found.faults == ()


def test_every_bad_statement_is_told():
    assert faults("a = tru\nb = 1\nc 3\nd = 'x\n") == [(1, 5), (3, 3), (4, 7)]


def test_the_rest_is_read():
    found = parse("[host]\nname = x\ndebug = true\n[limits\nhello = 1\n[timing]\nping = 1\n", "vyked.toml", ".")
    assert found.data == {"host": {"debug": True}, "timing": {"ping": 1}}


def test_what_is_not_closed_does_not_swallow_the_next_table():
    assert parse("a = [1,\n[host]\nname = 'x'\n", "vyked.toml", ".").data == {"host": {"name": "x"}}


def test_a_key_given_twice_is_told_at_its_second_place():
    assert faults("[a]\nb = 1\n  b = 2") == [(3, 3)]
    assert faults("[a]\n[b]\n[a]\n") == [(3, 1)]


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path):
    path = tmp_path / "vyked.toml"
    path.write_bytes(b"\xef\xbb\xbf[host]\r\nname = 'a'\r\n")
    found = read(str(path))
    assert found.data == {"host": {"name": "a"}}
    assert found.line(2) == "name = 'a'"


def test_bytes_that_are_no_utf8_are_placed_in_characters(tmp_path):
    path = tmp_path / "vyked.toml"
    path.write_bytes("# ok\nname = 'é".encode() + b"\xff'\n")
    fault = read(str(path)).faults[0]
    assert (fault.line, fault.column) == (2, 10)
    assert "0xff" in fault.message


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    assert "no such file" in read(str(tmp_path / "none.toml")).faults[0].message
    assert "can't be read" in read(str(tmp_path)).faults[0].message


def test_what_would_exhaust_the_parser_is_a_fault_like_any_other():
    assert faults("a = 1\nb = " + "[" * 5000) == [(2, 1)]
    assert faults("a = 1\n" + ".".join("k" * 200) + " = 1\n") == [(2, 1)]
    assert faults("a = 1\nb = " + "9" * 5000) == [(2, 5)]


def test_a_file_without_end_of_faults_ends():
    assert len(faults("\n".join("?" for _ in range(1000)))) == 25
