"""Hooks: one plugin at a time, each isolated, the result independent of installation order."""

import logging
import threading
import time

import pytest

from vyked_host.loading import Catalogue, PluginHung, load

from .shelf import Shelf

HOOKS = "from vyked_host.contracts import hookimpl\nfrom contextlib import asynccontextmanager\n"


def hooks(shelf: Shelf, dist: str, source: str, version: str = "1.0") -> None:
    module = dist.replace("-", "_") + "_hooks"
    shelf.add(dist, version, plugins={dist.rpartition("-")[2]: module}, modules={module: HOOKS + source})


def own(catalogue: Catalogue) -> dict[str, str]:
    return {entry.dist: entry.state for entry in catalogue.entries if entry.dist.startswith("acme")}


def test_modules_of_hooks_only_are_loaded_with_the_first_hook(shelf: Shelf) -> None:
    hooks(shelf, "acme-id", "@hookimpl\ndef vyked_node_id(settings): return settings['x']")
    catalogue = load(environ={})
    assert own(catalogue) == {"acme-id": "available"}
    assert catalogue.hooks.node_id({"x": "n1"}) == "n1"
    assert own(catalogue) == {"acme-id": "in use"}


def test_without_autoload_they_are_not(shelf: Shelf) -> None:
    hooks(shelf, "acme-id", "@hookimpl\ndef vyked_node_id(settings): return 'n1'")
    catalogue = load(autoload=False, environ={})
    assert catalogue.hooks.node_id({}) is None
    assert own(catalogue) == {"acme-id": "available"}


def test_a_plugin_that_raises_is_named_and_the_others_are_heard(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    hooks(shelf, "acme-bad", "@hookimpl\ndef vyked_commands(): raise SystemExit(7)", "3.1")
    hooks(shelf, "acme-good", "@hookimpl\ndef vyked_commands(): return [('cron', 'show', lambda: None)]")
    hooks(shelf, "acme-worse", "import not_there")
    catalogue = load(environ={})
    assert [each.name for each in catalogue.hooks.commands() if "acme" in each.plugin] == ["cron"]
    assert own(catalogue) == {"acme-bad": "failed", "acme-good": "in use", "acme-worse": "failed"}
    assert "bad of acme-bad 3.1 raised in vyked_commands: SystemExit: 7" in caplog.text
    assert "worse of acme-worse 1.0 can't be imported: ModuleNotFoundError" in caplog.text
    caplog.clear()
    catalogue.hooks.commands()
    assert not caplog.text  # it is out, and was named once


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def vyked_commands(): return [('cron', 'no factory')]", "tuples of (str, str, Callable)"),
        ("def vyked_commands(): return 3", "raised in vyked_commands: TypeError"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_the_plugins_failure(
    shelf: Shelf, caplog: pytest.LogCaptureFixture, source: str, says: str
) -> None:
    hooks(shelf, "acme-odd", f"@hookimpl\n{source}")
    assert not [each for each in load(environ={}).hooks.commands() if "acme" in each.plugin]
    assert says in caplog.text


def test_a_hook_that_hangs_gives_up_the_start_and_is_named(shelf: Shelf) -> None:
    hooks(shelf, "acme-slow", "import threading\n@hookimpl\ndef vyked_commands(): threading.Event().wait()", "0.3")
    catalogue = load(environ={}, limit_s=0.05)
    with pytest.raises(
        PluginHung, match=r"slow of acme-slow 0\.3 did not come back from vyked_commands within 0\.05 s"
    ):
        catalogue.hooks.commands()
    assert own(catalogue) == {"acme-slow": "failed"}


def test_a_generator_that_hangs_is_no_way_around_it(shelf: Shelf) -> None:
    hooks(
        shelf,
        "acme-slow",
        "import threading\n@hookimpl\ndef vyked_check_settings(settings):\n    yield threading.Event().wait()",
    )
    with pytest.raises(PluginHung, match="vyked_check_settings"):
        load(environ={}, limit_s=0.05).check_settings({})


def test_a_timeout_that_the_plugin_raises_itself_is_no_hang(shelf: Shelf) -> None:
    hooks(shelf, "acme-slow", "@hookimpl\ndef vyked_node_id(settings): raise TimeoutError('dns')")
    catalogue = load(environ={})
    assert catalogue.hooks.node_id({}) is None
    assert "raised in vyked_node_id: TimeoutError: dns" in catalogue.failures()[0].reason


def test_the_end_of_a_host_is_not_stopped_by_a_hanging_plugin(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    hooks(
        shelf,
        "acme-slow",
        "import threading\n@hookimpl\ndef vyked_phase_changed(host, old, new): threading.Event().wait()",
    )
    load(environ={}, limit_s=0.05).hooks.phase_changed(None, "serving", "draining")  # type: ignore[arg-type]
    assert "did not come back from vyked_phase_changed" in caplog.text


def test_the_settings_say_how_long_a_hook_may_take(shelf: Shelf) -> None:
    hooks(shelf, "acme-slow", "import threading\n@hookimpl\ndef vyked_node_id(settings): threading.Event().wait()")
    catalogue = load(environ={})
    catalogue.hooks.configure({"timing": {"start": 5.0, "scale": 0.01}})
    began = time.monotonic()
    with pytest.raises(PluginHung):
        catalogue.hooks.node_id({})
    assert time.monotonic() - began < 5.0


def test_an_import_that_takes_long_is_named_while_it_lasts(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    # the module itself waits for the line in the log that names it
    named = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "acme_long_hooks" in record.getMessage():
                named.set()

    listener = Listener()
    logging.getLogger("vyked.plugins").addHandler(listener)
    threading.named_for_test = named  # type: ignore[attr-defined]
    try:
        hooks(shelf, "acme-long", "import threading\nassert threading.named_for_test.wait(20)")
        catalogue = load(environ={}, limit_s=0.05)
        catalogue.hooks.commands()
    finally:
        logging.getLogger("vyked.plugins").removeHandler(listener)
        del threading.named_for_test  # type: ignore[attr-defined]
    assert own(catalogue) == {"acme-long": "in use"}
    assert "importing acme_long_hooks (long of acme-long 1.0) takes more than 0.05 s" in caplog.text


def test_configure_reaches_also_who_is_loaded_later(shelf: Shelf) -> None:
    source = HOOKS + (
        "from vyked_host.contracts import Provider\nseen = []\n@hookimpl\ndef vyked_configure(settings): seen.append(settings['x'])\n"
        "@hookimpl\ndef vyked_balancers(): return [Provider(name='late', summary=str(seen), build=None)]"
    )
    shelf.add("acme-late", plugins={"balancer.late": "acme_late"}, modules={"acme_late": source})
    catalogue = load(environ={})
    catalogue.hooks.configure({"x": 1})
    assert catalogue.provider("balancer", "late").summary == "[1]"


def test_a_plugin_may_add_hooks_that_another_implements_in_any_order(shelf: Shelf) -> None:
    hooks(shelf, "acme-a", "@hookimpl\ndef acme_extra(): return 1")
    hooks(
        shelf, "acme-b",
        "import pluggy\nclass Specs:\n    @pluggy.HookspecMarker('vyked_host')\n    def acme_extra(self): ...\n"
        "@hookimpl\ndef vyked_add_hookspecs(registrar): registrar(Specs)",
    )  # fmt: skip
    catalogue = load(environ={})
    catalogue.hooks.commands()
    assert own(catalogue) == {"acme-a": "in use", "acme-b": "in use"}


def test_results_are_sorted_by_name_and_not_by_installation(shelf: Shelf) -> None:
    hooks(shelf, "acme-z", "@hookimpl\ndef vyked_health_checks(host): return [('disk', print), ('aa', print)]")
    hooks(shelf, "acme-a", "@hookimpl\ndef vyked_health_checks(host): return [('zz', print), ('disk', print)]")
    checks = [each for each in load(environ={}).hooks.health_checks(None) if "acme" in each.plugin]  # type: ignore[arg-type]
    assert [(check.name, check.plugin) for check in checks] == [
        ("aa", "acme-z 1.0"), ("disk", "acme-a 1.0"), ("disk", "acme-z 1.0"), ("zz", "acme-a 1.0"),
    ]  # fmt: skip


def test_the_first_answer_wins_and_none_is_no_answer(shelf: Shelf) -> None:
    hooks(shelf, "acme-a", "@hookimpl\ndef vyked_configure_logging(settings): return None")
    hooks(shelf, "acme-b", "@hookimpl\ndef vyked_configure_logging(settings): return True")
    assert load(environ={}).hooks.configure_logging({}) is True
    assert load(no_plugins=["acme-b"], environ={}).hooks.configure_logging({}) is False


def test_problems_say_which_plugin_found_them(shelf: Shelf) -> None:
    hooks(
        shelf,
        "acme-a",
        "@hookimpl\ndef vyked_check_settings(settings):\n    yield 'host.labels.zone', 'no zone', 'set ZONE'",
    )
    ((path, fault, remedy),) = [each for each in load(environ={}).check_settings({}) if "acme" in each.fault]
    assert (path, fault, remedy) == ("host.labels.zone", "no zone (says acme-a 1.0)", "set ZONE")


async def test_lifespans_come_with_the_name_of_their_plugin(shelf: Shelf) -> None:
    hooks(
        shelf,
        "acme-b",
        "log = []\n@hookimpl\n@asynccontextmanager\nasync def vyked_lifespan(host):\n    host.append('in')\n    yield\n    host.append('out')",
    )
    hooks(shelf, "acme-a", "@hookimpl\ndef vyked_lifespan(host): return None")
    hooks(shelf, "acme-c", "@hookimpl\ndef vyked_lifespan(host): return 'nothing of the kind'")
    trail: list[str] = []
    catalogue = load(environ={})
    (lifespan,) = [each for each in catalogue.hooks.lifespans(trail) if each.plugin.startswith("acme")]  # type: ignore[arg-type]
    async with lifespan.context:
        assert trail == ["in"]
    assert trail == ["in", "out"]
    assert lifespan.plugin == "acme-b 1.0"
    assert own(catalogue)["acme-c"] == "failed"
