"""``vyked-host new``: the first files of a project, a service or a plugin. What it writes passes its own tests at once.

Templates are files under ``templates/``, their words are `string.Template` placeholders; PACKAGE and MODULE in a path are
replaced too. Nothing that exists is overwritten: all or nothing.
"""

from __future__ import annotations

import keyword
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

import click

from ..errors import UsageError, __version__
from ..model.names import name as valid_name

KINDS = {
    "transport": "[transports.$plugin]\nport = 4510",
    "pubsub": '[pubsub]\nuse = "$plugin"',
    "registry": '[registry]\nuse = "$plugin"',
    "results": '[results]\nuse = "$plugin"',
    "serializer": '[transports.tcp]\nserializer = "$plugin"',
    "balancer": '[clients.default]\nbalancer = "$plugin"',
    "middleware": '[middleware]\nserver = ["logging", "$plugin"]',
    "authenticator": '[security]\nauthenticator = "$plugin"',
    "hooks": '[plugins]\n# it is loaded by being installed; to switch it off: disable = ["$plugin"]',
}
"""Kind -> what a file says to use such a plugin."""
CONFORMANCE = {
    "registry": """# what the kit has to know of it, for `vyked-host plugins verify`
vyked_host.conformance =
    $claim = $package.conformance:$name
"""
}
"""Kind -> what `setup.cfg` says where the suite of the kind as it is does not fit what is written."""

_into = click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), default=Path(), metavar="FOLDER",
    help="Where to write [default: here].",
)  # fmt: skip


@click.group("new")
def command() -> None:
    """Begin a project, a service or a plugin: files that work, and pass their own tests."""


@command.command("project")
@click.argument("name")
@_into
def project(name: str, into: Path) -> None:
    """Write the folder NAME: a package with one service, its test, its vyked.toml and its setup.cfg."""
    package = _module(name)
    folder = into / name
    _write(folder, _files("project", {"name": valid_name(name), "package": package}, package))
    _told(folder, f"cd {folder}", "vyked-host run", "vyked-host call hello.greet name=ada    (in a second terminal)")


@command.command("service")
@click.argument("name")
@_into
def service(name: str, into: Path) -> None:
    """Write a service called NAME and its test here, and name it in ./vyked.toml."""
    module = _module(name)
    words = {"service": valid_name(name, "service name"), "module": module, "class_name": _class_name(module)}
    files = _files("service", words, module)
    file = into / "vyked.toml"
    text = _with_service(file, words["service"], f"{module}:{words['class_name']}")
    _write(into, files)
    file.write_text(text, encoding="utf-8")
    _told(into, "vyked-host run", f"vyked-host call {words['service']}.greet name=ada    (in a second terminal)")


@command.command("plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), required=True, help="What it adds to the host.")
@_into
def plugin(name: str, kind: str, into: Path) -> None:
    """Write the folder NAME: a distribution with a working plugin of that kind and the suite it has to pass.

    vyked-host knows it by NAME without a leading "vyked-".
    """
    package = _module(name)
    short = valid_name(name.removeprefix("vyked-"), "plugin name")
    words = {
        "name": name,
        "package": package,
        "plugin": short,
        "claim": short if kind == "hooks" else f"{kind}.{short}",
        "class_name": _class_name(short),
        "article": {"hooks": "Hooks", "authenticator": "An authenticator", "results": "A store of results"}.get(
            kind, f"A {kind}"
        ),
        "usage": Template(KINDS[kind]).substitute(plugin=short),
        "host_version": __version__,
        "conformance": Template(CONFORMANCE.get(kind, "")).substitute(
            claim=f"{kind}.{short}", package=package, name=_class_name(short)
        ),
    }
    folder = into / name
    _write(folder, _files("plugin", words, package) | _files(f"plugin-{kind}", words, package))
    _told(folder, f"cd {folder}", "pip install -e .[test]", "pytest", f"vyked-host plugins info {short}")


# ---- names -----------------------------------------------------------------------------------------------------------
def _module(name: str) -> str:
    module = valid_name(name).replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module == "vyked_host":
        raise UsageError(f"{name!r} would hide Python's or vyked-host's own {module!r}: choose another name")
    return module


def _class_name(module: str) -> str:
    return "".join(part.capitalize() for part in module.replace("-", "_").split("_"))


# ---- files -----------------------------------------------------------------------------------------------------------
def _files(template: str, words: Mapping[str, str], module: str) -> dict[str, str]:
    """Path -> text of each file of a template."""
    root = resources.files(__package__) / "templates" / template
    return {
        path.replace("PACKAGE", module).replace("MODULE", module).removesuffix(".tmpl"): Template(text).substitute(
            words
        )
        for path, text in _walk(root, "")
    }


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".tmpl"):
            yield prefix + entry.name, entry.read_text(encoding="utf-8")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    there = [path for path in files if (folder / path).exists()]
    if there:
        raise UsageError(f"{folder} has {', '.join(there)} already: nothing was written")
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _with_service(file: Path, service_name: str, use: str) -> str:
    """The text of `file` with a table for the service at its end; read back and compared before it counts."""
    import toml

    text = file.read_text(encoding="utf-8") if file.exists() else ""
    try:
        before: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is no TOML ({error}): nothing was written") from error
    services = before.get("services", {})
    if not isinstance(services, dict) or service_name in services:
        raise UsageError(f"{file} has [services.{service_name}] already: nothing was written")
    wanted = {**before, "services": {**services, service_name: {"use": use}}}
    after = f"{text.rstrip()}\n\n".lstrip("\n") + toml.dumps({"services": {service_name: {"use": use}}})
    if _read_back(after) != wanted:
        raise UsageError(
            f'{file} can\'t be added to at its end: write [services.{service_name}] use = "{use}" yourself'
        )
    return after


def _read_back(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _told(folder: Path, *steps: str) -> None:
    click.echo(f"written to {folder.resolve()}; next:", err=True)
    for step in steps:
        click.echo(f"  {step}", err=True)
