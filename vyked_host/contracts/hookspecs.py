"""Every hook, in the order of a host's life. All are plain functions called with keyword arguments at start-up or by the
command line, never per message; an implementation may take fewer arguments. Async never crosses pluggy: a hook returns the
async thing. Results are sorted by name, so that nothing depends on installation order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import pluggy

from .calls import Transport
from .environment import HostView
from .kinds import Authenticator, Balancer, Middleware, PubSub, Registry, ResultStore, Serializer
from .provider import Provider

hookspec = pluggy.HookspecMarker("vyked_host")
hookimpl = pluggy.HookimplMarker("vyked_host")


# ---- loading ---------------------------------------------------------------------------------------------------------
@hookspec(historic=True)
def vyked_add_hookspecs(registrar: Callable[[object], None]) -> None:
    """When a plugin is registered. `registrar(module)` adds hook specifications of the plugin's own.

    Returns nothing. Must not block. Example::

        @hookimpl
        def vyked_add_hookspecs(registrar):
            registrar(my_package.hooks)
    """


@hookspec(historic=True)
def vyked_configure(settings: Mapping[str, Any]) -> None:
    """Once the file is bound, also for plugins that are loaded later. `settings` is the whole file as plain data,
    defaults filled in, and `folder`: its directory, from which relative paths start.

    Returns nothing. Must not block, open or start anything. Example::

        @hookimpl
        def vyked_configure(settings):
            state["zone"] = settings["host"]["labels"].get("zone")
    """


# ---- what plugins offer ----------------------------------------------------------------------------------------------
@hookspec
def vyked_transports() -> Iterable[Provider[Transport]]:
    """When vyked.toml names a transport of this module. Returns the transports that the module offers.

    Must not block or import heavily: `Provider.build` does that. Example::

        @hookimpl
        def vyked_transports():
            return [Provider(name="carrier", summary="pigeons", options=Options, build=build)]
    """


@hookspec
def vyked_pubsub_backends() -> Iterable[Provider[PubSub]]:
    """When ``[pubsub] use`` names one of this module. Returns the pub-sub back ends that the module offers.

    Must not block or import heavily. Example::

        @hookimpl
        def vyked_pubsub_backends():
            return [Provider(name="drum", summary="talking drums", build=build, guarantees=lambda o: Guarantees())]
    """


@hookspec
def vyked_registries() -> Iterable[Provider[Registry]]:
    """When ``[registry] use`` names one of this module. Returns the registries that the module offers.

    Must not block or import heavily. Example::

        @hookimpl
        def vyked_registries():
            return [Provider(name="stone", summary="a fixed list", options=Options, build=build)]
    """


@hookspec
def vyked_result_stores() -> Iterable[Provider[ResultStore]]:
    """When ``[results] use`` names one of this module. Returns the stores for results of calls with a key that the module offers.

    Must not block or import heavily: `Provider.build` does that. Example::

        @hookimpl
        def vyked_result_stores():
            return [Provider(name="shelf", summary="results in a table", options=Options, build=build)]
    """


@hookspec
def vyked_serializers() -> Iterable[Provider[Serializer]]:
    """When a serializer of this module is named. Returns the serializers that the module offers.

    Must not block or import heavily. Example::

        @hookimpl
        def vyked_serializers():
            return [Provider(name="cbor", summary="RFC 8949", build=lambda options, env: Cbor())]
    """


@hookspec
def vyked_balancers() -> Iterable[Provider[Balancer]]:
    """When a balancer of this module is named. Returns the load-balancing strategies that the module offers.

    Must not block or import heavily. `build` runs once per client. Example::

        @hookimpl
        def vyked_balancers():
            return [Provider(name="zone", summary="own zone first", options=Options, build=Zone)]
    """


@hookspec
def vyked_middlewares() -> Iterable[Provider[Middleware]]:
    """When ``[middleware]`` names one of this module. Returns the middlewares that the module offers.

    Must not block or import heavily. The order is that of vyked.toml. Example::

        @hookimpl
        def vyked_middlewares():
            return [Provider(name="audit", summary="who did what", build=lambda options, env: Audit(env.log))]
    """


@hookspec
def vyked_authenticators() -> Iterable[Provider[Authenticator]]:
    """When ``[security]`` names one of this module. Returns the authenticators that the module offers.

    Must not block or import heavily. Example::

        @hookimpl
        def vyked_authenticators():
            return [Provider(name="spiffe", summary="URI SANs", build=lambda options, env: Spiffe())]
    """


@hookspec
def vyked_services(settings: Mapping[str, Any]) -> Iterable[tuple[str, Callable[[], type]]]:
    """When services are looked up. Returns (name, loader) pairs; the loader imports and returns the class.

    Must not block; the loader may import. Entry points of the group ``vyked_host.services`` come the same way. Example::

        @hookimpl
        def vyked_services(settings):
            return [("timer", lambda: importlib.import_module("acme.timer").Timer)]
    """


@hookspec
def vyked_commands() -> Iterable[tuple[str, str, Callable[[], Any]]]:
    """When the command line looks for a command. Returns (name, summary, factory); the factory builds the click command.

    Must not block or import heavily: the factory does that. Example::

        @hookimpl
        def vyked_commands():
            return [("cron", "show the timetable", lambda: importlib.import_module("acme.cli").cron)]
    """


@hookspec
def vyked_check_settings(settings: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """While a file is checked. Returns (dotted path, fault, remedy) for each fault that a Struct can't express.

    Must not block or connect anywhere. `settings` is as in `vyked_configure`. Example::

        @hookimpl
        def vyked_check_settings(settings):
            if settings["host"]["labels"].get("zone") == "?":
                yield "host.labels.zone", "the zone is not known", "set ZONE"
    """


# ---- a host's life ---------------------------------------------------------------------------------------------------
@hookspec(firstresult=True)
def vyked_node_id(settings: Mapping[str, Any]) -> str | None:
    """While a host is composed. Returns the id of this node, or None: not me. The first answer wins.

    Must not block. Example::

        @hookimpl
        def vyked_node_id(settings):
            return os.environ.get("POD_NAME")
    """


@hookspec(firstresult=True)
def vyked_configure_logging(settings: Mapping[str, Any]) -> bool | None:
    """Before anything is logged. Returns True when logging has been set up, or None: not me. The first answer wins.

    Must not block. `settings` is the ``[logging]`` table as plain data. Example::

        @hookimpl
        def vyked_configure_logging(settings):
            structlog.configure(...)
            return True
    """


@hookspec
def vyked_health_checks(host: HostView) -> Iterable[tuple[str, Callable[[], Awaitable[str | None]]]]:
    """Once a host is composed. Returns (name, check); the check answers None when well, else what is wrong.

    The hook must not block; a check is awaited for each ``/-/ready`` and may take a second. Example::

        @hookimpl
        def vyked_health_checks(host):
            return [("disk", disk_is_not_full)]
    """


@hookspec
def vyked_lifespan(host: HostView) -> AbstractAsyncContextManager[None] | None:
    """Before listeners open. Returns an async context manager, entered in order of plugin name, left in reverse; or None.

    The hook must not block; entering may take ``[timing] start`` seconds, leaving ``stop``. Example::

        @hookimpl
        def vyked_lifespan(host):
            return metrics_server(host)
    """


@hookspec
def vyked_phase_changed(host: HostView, old: str, new: str) -> None:
    """At each edge of a host's life: new, starting, serving, draining, stopping, stopped.

    Returns nothing. Must not block. Example::

        @hookimpl
        def vyked_phase_changed(host, old, new):
            if new == "serving":
                systemd_notify("READY=1")
    """
