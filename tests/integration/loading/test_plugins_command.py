"""`vyked-host plugins`: nothing imported, works whatever is broken."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.unit.loading.shelf import Shelf
from vyked_host.cli.plugins import command, used_names


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VYKED_CONFIG", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def listed(*arguments: str) -> dict[str, dict[str, Any]]:
    done = run("list", "-o", "json", *arguments)
    assert done.exit_code == 0, done.output
    return {f"{each['kind']}.{each['name']}@{each['distribution']}": each for each in json.loads(done.stdout)}


def wreckage(shelf: Shelf) -> None:
    """One of everything that can be wrong."""
    boom = {f"wreck_{name}": "raise SystemExit('imported')" for name in ("a", "b", "c")}
    shelf.add("wreck-a", plugins={"transport.wa": "wreck_a", "hooksa": "wreck_a"}, modules=boom)
    shelf.add("wreck-b", "2.0", plugins={"transport.wa": "wreck_b", "nokind.x": "wreck_b"})
    shelf.add("wreck-c", plugins={"balancer.old": "wreck_c"}, requires=("vyked-host<0.0.1",))
    shelf.break_entry_points("wreck-d")


def test_every_state_is_told_without_importing(shelf: Shelf) -> None:
    wreckage(shelf)
    rows = listed("--no-plugins=hooksa")
    states = {key: each["state"] for key, each in rows.items() if "wreck" in each["distribution"]}
    assert states == {
        "transport.wa@wreck-a": "conflict",
        "transport.wa@wreck-b": "conflict",
        "hooks.hooksa@wreck-a": "disabled",
        "nokind.x@wreck-b": "failed",
        "balancer.old@wreck-c": "incompatible",
        "hooks.wreck-d@wreck-d": "failed",
    }
    assert "wreck-b 2.0" in rows["transport.wa@wreck-a"]["reason"]
    assert not [name for name in sys.modules if name.startswith("wreck_")]


def test_the_text_form_has_a_line_for_each(shelf: Shelf) -> None:
    wreckage(shelf)
    lines = run().output.splitlines()
    assert lines[0].split() == ["KIND", "NAME", "DISTRIBUTION", "STATE", "REASON"]
    assert any(line.split()[:5] == ["balancer", "old", "wreck-c", "1.0", "incompatible"] for line in lines)


def test_what_a_file_uses_is_in_use_and_what_it_disables_is_not(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add("acme", plugins={"transport.nuts": "acme", "balancer.nuts": "acme"}, services={"till": "acme:Till"})
    (tmp_path / "vyked.toml").write_text(
        '[plugins]\ndisable = ["balancer.nuts"]\n[transports.x]\nuse = "nuts"\nserializer = "json"\n[services.till]\n'
    )
    states = {key: each["state"] for key, each in listed().items()}
    assert states["transport.nuts@acme"] == "in use"
    assert states["service.till@acme"] == "in use"
    assert states["balancer.nuts@acme"] == "disabled"
    for default in ("serializer.json", "serializer.msgpack", "balancer.least_pending", "middleware.logging"):
        assert states[f"{default}@vyked-host"] == "in use"
    for other in ("ewma", "hash", "random", "round_robin", "weighted"):
        assert states[f"balancer.{other}@vyked-host"] == "available"
    assert states["registry.embedded@vyked-host"] == "in use"
    assert states["transport.tcp@vyked-host"] == "available"


@pytest.mark.parametrize(
    "text", ["[[[", "plugins = 3\ntransports = [1]\nmiddleware = { server = 7 }\nregistry = 1", "é"]
)
def test_a_broken_file_does_not_matter(tmp_path: Path, text: str) -> None:
    (tmp_path / "vyked.toml").write_text(text, encoding="latin-1")
    assert "transport.tcp@vyked-host" in listed()


def test_a_file_that_was_asked_for_and_is_not_there_is_told() -> None:
    done = run("--config", "nonesuch.toml")
    assert done.exit_code == 0
    assert "nonesuch.toml can't be read" in done.stderr


def test_names_in_every_corner_of_a_file_are_found() -> None:
    document = {
        "registry": {"use": "redis"},
        "pubsub": {"use": "dist:redis"},
        "transports": {"tcp": {"serializer": "cbor"}, "fast": {"use": "nuts"}},
        "clients": {"default": {"balancer": "zone"}, "x": {"balancer": {"use": "hash"}}},
        "middleware": {"server": ["logging", {"use": "audit"}]},
        "services": {"till": {}, "own": {"use": "mod:Class"}},
    }
    assert used_names(document) == {
        ("registry", "redis"), ("pubsub", "dist:redis"), ("transport", "tcp"), ("transport", "nuts"), ("serializer", "cbor"),
        ("serializer", "json"), ("serializer", "msgpack"),
        ("balancer", "zone"), ("balancer", "hash"), ("middleware", "logging"), ("middleware", "audit"), ("service", "till"),
        ("results", "memory"),
    }  # fmt: skip


def test_info_shows_options_and_hooks(shelf: Shelf) -> None:
    source = """
        import msgspec
        from vyked_host.contracts import Provider, hookimpl
        class Options(msgspec.Struct):
            pin: int
            depth: int = 3
            tags: list[str] = []
        @hookimpl
        def vyked_balancers():
            return [Provider(name="nuts", summary="in season", options=Options, build=None)]
    """
    shelf.add("acme", plugins={"balancer.nuts": "acme_info"}, modules={"acme_info": source})
    (described,) = json.loads(run("info", "nuts", "-o", "json").output)
    assert described["options"] == {"pin": "(required)", "depth": 3, "tags": []}
    assert described["hooks"] == ["vyked_balancers"]
    text = run("info", "balancer.nuts").output
    assert "in season" in text
    assert "depth = 3" in text


def test_info_of_a_broken_plugin_prints_the_traceback_and_exits_3(shelf: Shelf) -> None:
    source = "def explode():\n    raise OSError('no luck')\nexplode()"
    shelf.add("acme", "1.2", plugins={"transport.nuts": "acme_broken"}, modules={"acme_broken": source})
    done = run("info", "acme")
    assert done.exit_code == 3
    assert "in explode" in done.output
    assert "can't be imported: OSError: no luck" in done.output


def test_info_of_what_is_not_installed_is_a_usage_error() -> None:
    done = run("info", "nonesuch")
    assert done.exit_code == 2
    assert "no plugin or service 'nonesuch' is installed; installed: balancer.ewma" in done.stderr


def test_options_before_a_subcommand_hold_for_it() -> None:
    assert json.loads(run("-o", "json", "list").stdout)
