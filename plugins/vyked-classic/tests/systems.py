"""A whole old system: a registry, services and consumers, each of the old or of the new kind, all of them processes."""

from processes import Process, free_port, old_registry, old_service


class System:
    """A registry of one kind, and whatever is started beside it. `run` takes processes, to be ended with the test."""

    def __init__(self, run, redis, kind):
        self.run, self.redis, self.kind = run, redis, kind
        self.port = free_port()
        self.at = {"registry": f"127.0.0.1:{self.port}", "redis": redis.at}
        self.registry = self.start_registry()

    def start_registry(self):
        if self.kind == "old":
            registry = self.run(old_registry(self.port))
            registry.said(up="registry")
        else:
            registry = self.run(Process("-m", "vyked.registry", "127.0.0.1", str(self.port)))
            registry.logged("registry of Vyked 2.x at")
        return registry

    def restart_registry(self):
        self.registry.close()
        self.registry = self.start_registry()

    def service(self, kind, vendor="echo"):
        """A service that is started; it is there once `served` gives it."""
        if kind == "new":
            return self._new("echo.py", vendor)
        return self.run(old_service(vendor, "1", **self.at))

    def consumer(self, kind, vendors=("echo",), name="bench"):
        """A consumer that is started; it is there once its `ready` gives it."""
        if kind == "new":
            return NewConsumer(self._new("bench.py", name, *vendors), vendors)
        subscribe = [[vendor, "1", "ticked"] for vendor in vendors]
        xsubscribe = [[*event, "LEADER"] for event in subscribe]
        needs = [[vendor, "1"] for vendor in vendors]
        more = {"needs": needs, "subscribe": subscribe, "xsubscribe": xsubscribe, **self.at}
        return OldConsumer(self.run(old_service(name, "1.0", **more)), vendors)

    def _new(self, file, *words):
        ports = (str(free_port()), str(self.port), str(self.redis.port))
        return self.run(Process("-m", "vyked", f"old_code/{file}", *ports, *words))


def served(kind, process):
    """A service, once it is there."""
    process.logged("serving") if kind == "new" else process.said(up=...)
    return process


class Consumer:
    """What a test asks of either kind. Where a vendor is not said it is the first."""

    def __init__(self, process, vendors):
        self.process, self.vendors = process, vendors

    def events(self, how, n):
        """Those with this number that came this way so far."""
        return [e for e in self.process.facts if e.get("how") == how and e["payload"].get("n") == n]


class OldConsumer(Consumer):
    def ready(self):
        for vendor in self.vendors:
            self.process.said(
                lambda fact, vendor=vendor: any(name == vendor and at for name, _, at in fact["registered"]),
                registered=...,
            )
            self.process.said(
                lambda fact, vendor=vendor: fact["subscribed"].startswith(f"{vendor}/1/ticked/"), subscribed=...
            )
        self.process.said(connected=...)
        return self

    def call(self, endpoint, vendor=None, **payload):
        more = {name: payload.pop(name) for name in ("entity",) if name in payload}
        return self.process.call(vendor or self.vendors[0], "1", endpoint, payload, **more)

    def failed(self, endpoint, vendor=None, **payload):
        """(kind of failure, text)."""
        answer = self.call(endpoint, vendor, **payload)
        return ("failed" if answer.get("failed") else "handled"), answer["error"]


class NewConsumer(Consumer):
    last = 0

    def ready(self):
        self.process.said(active=True)
        return self

    def call(self, endpoint, vendor=None, **payload):
        self.last += 1
        self.process.tell(vendor=vendor or self.vendors[0], endpoint=endpoint, payload=payload, id=self.last)
        return self.process.said(id=self.last)

    def failed(self, endpoint, vendor=None, **payload):
        """(kind of failure, text)."""
        answer = self.call(endpoint, vendor, **payload)
        return ("handled" if answer["kind"] == "RequestException" else "failed"), answer["error"]
