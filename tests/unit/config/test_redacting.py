"""Whatever is shown of a file at fault: no secret stands in it, and the caret stands where the fault is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vyked_host import config
from vyked_host.config.problems import excerpt
from vyked_host.config.redacting import Redacted

SECRET = "hunter2-x9"


def told(load, text, *flags):
    """Every form of every problem of a file."""
    loaded = load(text, *flags)
    assert loaded.problems
    return loaded, "\n".join(form(loaded.problems) for form in config.FORMATS.values())


HEAD = '[transports.tcp]\n[registry]\nuse = "redis"\n'
BESIDE = {
    "url": f'[registry.redis]\nurl = "redis://me:{SECRET}@db:6379/0" "twice"\n',
    "url-one-line": f'registry = {{ redis = {{ url = "redis://me:{SECRET}@db/0", tuoy = 1 }} }}\n[transports.tcp]\nport = "x"\n',
    "url-with-at": f'[registry.redis]\nurl = "redis://me:{SECRET}@{SECRET}@db/0" 1\n',
    "url-with-slash": f'[registry.redis]\nurl = "redis://me:a/{SECRET}@db/0" 1\n',
    "url-with-space": f'[registry.redis]\nurl = "redis://me:a {SECRET}@db/0" 1\n',
    "urls": f'[registry.redis]\nurl = "nats://me:{SECRET}@a,nats://me:{SECRET}@b" 1\n',
    "token-in-url": f'[registry.redis]\nurl = "nats://{SECRET}@a:4222" 1\n',
    "url-not-closed": f'[registry.redis]\nurl = "redis://me:{SECRET}@db/0\n',
    "query": f'[registry.redis]\nurl = "redis://db/0?sentinel_password={SECRET}&db=1" 1\n',
    "dsn-in-text": f'[host.labels]\na = "host=db password={SECRET} user=x" 1\n',
    "beside": f'[host]\nlabels = {{ password = "{SECRET}" , n = 3 }}\n',
    "before": f'[host]\nlabels = {{ n = 3, token = "{SECRET}" }}\n',
    "bare": f"[host.labels]\npassword = {SECRET}\n",
    "bare-with-hash": f"[host.labels]\npassword = abc#{SECRET}\n",
    "quote-in-it": f'[host.labels]\npassword = "abc"{SECRET}"\n',
    "not-closed": f'[host.labels]\npassword = "{SECRET}\n',
    "backslash": f'[host.labels]\npassword = "\\w{SECRET}"\n',
    "literal": f"[host.labels]\npassword = '{SECRET}' 1\n",
    "many-lines": f'[host.labels]\npassword = """\n{SECRET}\n{SECRET}\\q"""\n',
    "list": f'[security]\naccept_secrets = ["{SECRET}aaaaaaaa", 3]\n',
    "list-of-lines": f'[security]\naccept_secrets = [\n  "{SECRET}aaaaaaaa", 3,\n  4, "{SECRET}bbbbbbbbb",\n]\n',
    "list-not-closed": f'[host.labels]\nsecrets = ["a",\n"{SECRET}" 3\n',
    "colon": f"[host.labels]\npassword: {SECRET}\n",
    "no-equals": f'[host.labels]\npassword "{SECRET}"\n',
    "quoted-key": f'[host.labels]\n"api key" = 1\n"api_key" = "{SECRET}" 1\n',
    "dotted": f'[host]\nlabels.token = "{SECRET}" 1\n',
    "identity": f'[security]\nidentity = {{ team = "{SECRET}", n = 3 }}\n',
    "identity-table": f'[security.identity]\nteam = "{SECRET}" 1\n',
    "comment": f'[host]\nname = 1  # password = "{SECRET}"\n',
    "commented": f"[host]\nname = 1  # was redis://me:{SECRET}@db\n",
    "default": f'[security]\nsecret = ["${{PW:-{SECRET}aaaaaaaa}}"]\n',
    "default-short": f'[security]\nsecret = "${{PW:-{SECRET}}}"\n',
    "number": "[host.labels]\npin_token = 7392641\n",
}


@pytest.mark.parametrize("name", BESIDE)
def test_no_secret_of_the_line_is_shown(load, name):
    _, shown = told(load, BESIDE[name])
    assert SECRET not in shown
    assert "7392641" not in shown


@pytest.mark.parametrize("flag", [
    f"registry.redis.url=redis://me:{SECRET}@db:x", f"host.labels.token=['{SECRET}']", f"security={{secret='{SECRET}'}}",
    f"host={{labels={{password='{SECRET}'}}}}", f"host.labels.password {SECRET}", f"host..password={SECRET}",
])  # fmt: skip
def test_no_secret_of_a_flag_is_shown(load, flag):
    _, shown = told(load, '[transports.tcp]\n[registry]\nuse = "redis"\n[limits]\nmessage = []\n', flag)
    assert SECRET not in shown


def test_a_url_is_shown_without_its_password_in_what_is_said_of_it(load):
    long = "redis://me:" + SECRET * 20 + "@db"
    _, shown = told(load, f'[transports.tcp]\nport = "redis://me:{SECRET}@db"\nhost = ["{long}"]\n')
    assert SECRET not in shown
    assert "hunter2" not in shown
    assert "redis://me:***@db" in shown


@pytest.mark.parametrize(("line", "at"), [
    (f'x = {{ password = "{SECRET}", port = 99999 }}', "99999"), (f'url = "redis://me:{SECRET}@db/0", n = [', "["),
    (f'a = 1, url = "nats://{SECRET}@日本:1", n = 9', "9"), (f'x = {{ n = [, password = "{SECRET}" }}', "["),
    (f'password = "{SECRET}" 7', "7"), ("a = 1, b = 7", "7"),
])  # fmt: skip
def test_the_caret_stands_where_the_fault_is(line, at):
    column = line.rindex(at) + 1
    shown = Redacted(line).line(1, column)
    assert SECRET not in shown
    if at != "7" or "a = 1" in line:  # what follows a secret that is no TOML may be part of it
        assert shown[column - 1 :].startswith(at)
    caret = excerpt(config.Problem(file="f", message="m", line=1, column=column, source=shown))[1]
    assert caret.rstrip().endswith("^")


def test_what_is_no_secret_is_shown_as_it_stands():
    for line in (
        'url = "redis://db:6379/0"', "port = 99999  # the port of 10.0.0.1:4502", '[clients."token"]', 'password = "${PW}"',
        'secret = "${file:secret}"  # by reference', 'accept_secrets = ["${file:old}", "${OTHER:?set it}"]', 'name = "ключ"', "",
        'url = "${REDIS_URL}"', 'mail = "me@there.example"', 'keys = ["a", "b"]', 'passive = "no"', "[host",
    ):  # fmt: skip
        assert Redacted(line).line(1, 1) == line


SECRETS = st.sampled_from(
    [f'"{SECRET}"', f"'{SECRET}'", f'["{SECRET}", 1]', f'"""\n{SECRET}\n"""', f'{{ a = "{SECRET}" }}', f'"{SECRET}']
)
OTHERS = st.sampled_from(
    [f'{{ password = "{SECRET}" }}', f'"redis://u:{SECRET}@h"', f'"nats://{SECRET}@h"', '"""', "'''", "[", "{", '"', "]", "}", "3",
     "x y", "# no", '"a"']
)  # fmt: skip
LINES = st.one_of(
    st.tuples(st.sampled_from(["password", "a.token", "x.my_secret", '"api_key"']), SECRETS),
    st.tuples(st.sampled_from(["name", "url", "x", "[x]", "[[x.y]]"]), OTHERS),
).map(" = ".join)


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(1, 40))
def test_whatever_stands_around_it_no_line_shows_a_secret(lines, column):
    text = "\n".join(lines)
    redacted = Redacted(text)
    for number, line in enumerate(text.split("\n"), 1):
        shown = redacted.line(number, column)
        assert SECRET not in shown
        if column <= len(line):
            assert shown[: column - 1].replace("*", "") == "".join(
                char for char, kept in zip(line, shown[: column - 1], strict=False) if kept != "*"
            )


@pytest.mark.parametrize(
    "text",
    ['a = "' + "x" * 20_000, "://" + "a" * 20_000, "://" * 2000, "a." * 5000, "[{" * 3000 + "secret = [" * 2000, "secret " * 4000,
     "x = 1\n" * 10_000],
    ids=lambda text: text[:8].strip(),
)  # fmt: skip
def test_a_long_line_is_read_in_no_time(text):
    began = time.process_time()
    Redacted(text).line(1, 1)
    assert (
        time.process_time() - began < 5
    )  # of a second each; a minute where it is read again from each of its characters
