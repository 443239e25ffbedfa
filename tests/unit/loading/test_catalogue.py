"""Choosing and loading: only what is used is imported, and every failure names who it was."""

import sys
import traceback

import pytest

from vyked_host.errors import PluginError
from vyked_host.loading import PluginConflict, UnknownPlugin, UnusablePlugin, load

from .shelf import Shelf

BALANCER = """
    from vyked_host.contracts import Provider, hookimpl

    @hookimpl
    def vyked_balancers():
        return [Provider(name={name!r}, summary="test", build=lambda options, env: None)]
"""


def balancer(shelf: Shelf, dist: str, module: str, source: str, name: str = "nuts", **more: object) -> None:
    shelf.add(dist, plugins={f"balancer.{name}": module}, modules={module: source}, **more)  # type: ignore[arg-type]


def test_a_provider_is_imported_on_first_use_and_kept(shelf: Shelf) -> None:
    balancer(shelf, "acme-nuts", "acme_first_use", BALANCER.format(name="nuts"))
    catalogue = load(environ={})
    assert "nuts" in catalogue.names("balancer")
    assert "acme_first_use" not in sys.modules
    provider = catalogue.provider("balancer", "nuts")
    assert provider.name == "nuts"
    assert catalogue.provider("balancer", "nuts") is provider
    assert catalogue.find("balancer", "nuts").state == "in use"


def test_two_entries_may_share_a_module(shelf: Shelf) -> None:
    source = """
        from vyked_host.contracts import Provider, hookimpl
        @hookimpl
        def vyked_balancers():
            return [Provider(name="nuts", summary="", build=None)]
        @hookimpl
        def vyked_serializers():
            return [Provider(name="nuts", summary="", build=None)]
    """
    shelf.add(
        "acme",
        plugins={"balancer.nuts": "acme_shared", "serializer.nuts": "acme_shared"},
        modules={"acme_shared": source},
    )
    catalogue = load(environ={})
    assert catalogue.provider("balancer", "nuts") is not catalogue.provider("serializer", "nuts")


def test_a_plugin_may_be_a_class_of_which_each_host_has_its_own(shelf: Shelf) -> None:
    source = """
        from vyked_host.contracts import hookimpl
        class Plugin:
            @hookimpl
            def vyked_configure(self, settings):
                self.id = settings["id"]
            @hookimpl
            def vyked_node_id(self, settings):
                return self.id
    """
    shelf.add("acme", plugins={"ident": "acme_class:Plugin"}, modules={"acme_class": source})
    one, two = load(environ={}), load(environ={})
    one.hooks.configure({"id": "one"})
    two.hooks.configure({"id": "two"})
    assert (one.hooks.node_id({}), two.hooks.node_id({})) == ("one", "two")


def test_an_unknown_name_says_what_is_installed_and_what_was_meant(shelf: Shelf) -> None:
    with pytest.raises(UnknownPlugin) as caught:
        load(environ={}).provider("balancer", "randon")
    assert caught.value.suggestion == "random"
    assert "no balancer 'randon' is installed; did you mean 'random'? installed: ewma, hash, least_pending" in str(
        caught.value
    )


def test_a_first_party_name_says_what_to_install() -> None:
    assert "pip install vyked-nats" in str(UnknownPlugin("transport", "nats", ("tcp", "http")))


def test_a_conflict_names_both_and_is_settled_by_naming_the_distribution(shelf: Shelf) -> None:
    balancer(shelf, "acme-nuts", "acme_rival", BALANCER.format(name="nuts"))
    balancer(shelf, "best-nuts", "best_rival", BALANCER.format(name="nuts"), version="2.0")
    catalogue = load(environ={})
    with pytest.raises(PluginConflict) as caught:
        catalogue.provider("balancer", "nuts")
    assert "acme-nuts 1.0 and best-nuts 2.0" in str(caught.value)
    assert 'use = "acme-nuts:nuts" or use = "best-nuts:nuts"' in str(caught.value)
    catalogue.provider("balancer", "best-nuts:nuts")
    assert "best_rival" in sys.modules
    assert "acme_rival" not in sys.modules
    with pytest.raises(PluginConflict):
        catalogue.provider("balancer", "nuts")


def test_a_disabled_or_incompatible_plugin_says_why(shelf: Shelf) -> None:
    balancer(shelf, "acme-nuts", "acme_off", BALANCER.format(name="nuts"))
    balancer(shelf, "acme-old", "acme_old", BALANCER.format(name="old"), name="old", requires=("vyked-host<0.0.1",))
    catalogue = load(["balancer.nuts"], environ={})
    with pytest.raises(UnusablePlugin, match=r"balancer\.nuts of acme-nuts 1\.0 is disabled: by \[plugins\] disable"):
        catalogue.provider("balancer", "nuts")
    with pytest.raises(
        UnusablePlugin, match=r"balancer\.old of acme-old 1\.0 is incompatible: needs vyked-host<0\.0\.1"
    ):
        catalogue.provider("balancer", "old")
    assert "nuts" not in catalogue.names("balancer")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import not_there_at_all", "No module named 'not_there_at_all' (a dependency of it that is not installed)"),
        ("1 / 0", "can't be imported: ZeroDivisionError"),
        ("def broken(:", "can't be imported: SyntaxError"),
        ("raise SystemExit(3)", "can't be imported: SystemExit: 3"),
        ("VYKED_SPI = '2.0'", "was written for SPI 2.0, this vyked-host has 1.0"),
        ("VYKED_SPI = '1.99'", "upgrade vyked-host"),
        ("VYKED_SPI = 'new'", "has VYKED_SPI = 'new', which is no version"),
        ("", "does not offer what its entry point claims: vyked_balancers of acme_bad offers nothing"),
        (BALANCER.format(name="other"), "offers other"),
        (
            "from vyked_host.contracts import hookimpl\n@hookimpl\ndef vyked_balancers(): return [1]",
            "must return Providers, not 1",
        ),
        (
            (
                "from vyked_host.contracts import Provider, hookimpl\n@hookimpl\ndef vyked_balancers():\n"
                "    return [Provider(name='nuts', summary='', build=None, options=dict)]"
            ),
            "options of provider 'nuts' must be a msgspec Struct",
        ),
        (
            "from vyked_host.contracts import hookimpl\n@hookimpl\ndef vyked_balancers(wrong): ...",
            "does not fit the hooks: PluginValidationError",
        ),
        (
            "from vyked_host.contracts import hookimpl\n@hookimpl\ndef vyked_balancer(): ...",
            "implements a hook that does not exist",
        ),
        (
            "from vyked_host.contracts import hookimpl\n@hookimpl\nasync def vyked_balancers(): ...",
            "a hook is a plain def that returns the async thing",
        ),
        (
            "from vyked_host.contracts import hookimpl\n@hookimpl\nasync def vyked_lifespan(host): yield",
            "decorate it with @asynccontextmanager",
        ),
        (
            "from vyked_host.contracts import hookimpl\n@hookimpl(wrapper=True)\ndef vyked_balancers(): return (yield)",
            "wraps vyked_balancers",
        ),
        (
            "from vyked_host.contracts import hookimpl\n@hookimpl\ndef vyked_balancers(): raise SystemExit('bye')",
            "raised in vyked_balancers: SystemExit: bye",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_version_and_what_to_do(shelf: Shelf, source: str, says: str) -> None:
    balancer(shelf, "acme-nuts", "acme_bad", source, version="4.2")
    catalogue = load(environ={})
    for _ in range(2):  # the second time too
        with pytest.raises(PluginError) as caught:
            catalogue.provider("balancer", "nuts")
        assert says in str(caught.value)
    assert "balancer.nuts of acme-nuts 4.2" in str(caught.value)
    assert '[plugins] disable = ["balancer.nuts"]' in str(caught.value)
    failed = next(entry for entry in catalogue.entries if entry.name == "nuts")
    assert failed.state == "failed"
    assert "\n" not in failed.reason
    assert catalogue.provider("balancer", "random").name == "random"


def test_the_traceback_of_a_failure_is_kept(shelf: Shelf) -> None:
    balancer(shelf, "acme-nuts", "acme_trace", "def explode():\n    raise ValueError('boom')\nexplode()")
    catalogue = load(environ={})
    with pytest.raises(PluginError) as caught:
        catalogue.provider("balancer", "nuts")
    assert "in explode" in "".join(traceback.format_exception(caught.value))
    (failed,) = catalogue.failures()
    assert "in explode" in failed.trace


def test_an_installed_service_is_imported_on_use(shelf: Shelf) -> None:
    shelf.add("acme-shop", services={"till": "acme_shop_till:Till"}, modules={"acme_shop_till": "class Till: ..."})
    catalogue = load(environ={})
    assert catalogue.service("till").__name__ == "Till"
    assert catalogue.find("service", "till").state == "in use"


def test_a_service_that_can_not_be_imported_names_its_distribution(shelf: Shelf) -> None:
    shelf.add(
        "acme-shop",
        services={"till": "acme_no_such_module:Till", "number": "acme_number:N"},
        modules={"acme_number": "N = 1"},
    )
    catalogue = load(environ={})
    with pytest.raises(PluginError, match=r"service\.till of acme-shop 1\.0 can't be imported: there is no module"):
        catalogue.service("till")
    with pytest.raises(PluginError, match="which is no class"):
        catalogue.service("number")
    with pytest.raises(UnknownPlugin, match="no service 'tilt' is installed"):
        catalogue.service("tilt")


def test_plugins_may_offer_services_by_a_hook(shelf: Shelf) -> None:
    source = """
        from vyked_host.contracts import hookimpl
        class Timer: ...
        @hookimpl
        def vyked_services(settings):
            return [("timer", lambda: Timer), ("seven", lambda: 7), ("bad", lambda: 1 / 0)]
    """
    shelf.add("acme", plugins={"timers": "acme_timer"}, modules={"acme_timer": source})
    catalogue = load(environ={})
    catalogue.offer_services({})
    assert {"timer", "seven", "bad"} <= set(catalogue.service_names())
    assert catalogue.service("timer").__name__ == "Timer"
    with pytest.raises(PluginError, match=r"service seven of acme 1\.0 is no class"):
        catalogue.service("seven")
    with pytest.raises(PluginError, match=r"service bad of acme 1\.0 can't be loaded: ZeroDivisionError"):
        catalogue.service("bad")


def test_asking_for_a_kind_that_does_not_exist_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="'carrier' is no kind"):
        load(environ={}).names("carrier")
