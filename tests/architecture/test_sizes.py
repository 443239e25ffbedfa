"""Functions fit on a screen, modules in a head."""

from __future__ import annotations

from .sizes import FUNCTION_LINES, LONG_FUNCTIONS, LONG_MODULES, MODULE_LINES, report, too_long
from .sources import functions, none, plugin_sources, source, sources


def test_no_module_and_no_function_is_too_long() -> None:
    print(report(sources()))  # shown when this fails, or with -s
    none(breach for each in (*sources(), *plugin_sources()) for breach in too_long(each))


def test_every_exception_is_still_needed() -> None:
    modules = {each.path for each in sources() if len(each.text.splitlines()) > MODULE_LINES}
    long = {
        f"{each.path}:{one.name}" for each in sources() for one in functions(each.tree) if one.lines > FUNCTION_LINES
    }
    assert set(LONG_MODULES) <= modules
    assert set(LONG_FUNCTIONS) <= long


def test_every_exception_has_its_reason() -> None:
    assert all(len(why) > 20 for why in (*LONG_MODULES.values(), *LONG_FUNCTIONS.values()))


def test_a_planted_long_module_is_found() -> None:
    assert not list(too_long(source("x = 1\n" * MODULE_LINES)))
    assert len(list(too_long(source("x = 1\n" * (MODULE_LINES + 1))))) == 1


def test_a_planted_long_method_is_found() -> None:
    def planted(lines: int) -> list[str]:
        body = "        x = 1\n" * (lines - 1)
        return list(too_long(source(f"class A:\n    async def f(self):\n{body}")))

    assert not planted(FUNCTION_LINES)
    assert "A.f has 41 lines" in planted(FUNCTION_LINES + 1)[0]


def test_the_report_names_the_longest() -> None:
    text = report([source("def f():\n    x = 1\n    return x\n"), source("x = 1\n", "other.py")])
    assert "4 lines in 2 modules, 1 functions" in text
    assert "vyked_host/model/planted.py:f" in text
