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

    def service(self, kind, **more):
        if kind == "new":
            return self.new("echo.py")
        started = self.run(old_service("echo", "1", **self.at, **more))
        started.said(up=...)
        return started

    def consumer(self, kind, **more):
        if kind == "new":
            return NewConsumer(self.new("bench.py"))
        events = {"subscribe": [["echo", "1", "ticked"]], "xsubscribe": [["echo", "1", "ticked", "LEADER"]]}
        needs = {"needs": [["echo", "1"]], **events, **self.at}
        return OldConsumer(self.run(old_service("bench", "1.0", **needs, **more)))

    def new(self, file):
        ports = (str(free_port()), str(self.port), str(self.redis.port))
        started = self.run(Process("-m", "vyked", f"old_code/{file}", *ports))
        started.logged("serving")
        return started


class Consumer:
    """What a test asks of either kind."""

    def __init__(self, process):
        self.process = process

    def events(self, how, n):
        """Those with this number that came this way so far."""
        return [e for e in self.process.facts if e.get("how") == how and e["payload"].get("n") == n]


class OldConsumer(Consumer):
    def ready(self):
        self.process.said(connected=...)
        self.process.said(lambda fact: fact["subscribed"].count("/") == 3, subscribed=...)
        return self

    def call(self, endpoint, **payload):
        more = {name: payload.pop(name) for name in ("entity",) if name in payload}
        return self.process.call("echo", "1", endpoint, payload, **more)

    def failed(self, endpoint, **payload):
        """(kind of failure, text)."""
        answer = self.call(endpoint, **payload)
        return ("failed" if answer.get("failed") else "handled"), answer["error"]


class NewConsumer(Consumer):
    last = 0

    def ready(self):
        self.process.said(active=True)
        return self

    def call(self, endpoint, **payload):
        self.last += 1
        self.process.tell(endpoint=endpoint, payload=payload, id=self.last)
        return self.process.said(id=self.last)

    def failed(self, endpoint, **payload):
        """(kind of failure, text)."""
        answer = self.call(endpoint, **payload)
        return ("handled" if answer["kind"] == "RequestException" else "failed"), answer["error"]
