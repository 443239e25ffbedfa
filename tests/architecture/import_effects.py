"""A program: imports each module named on its standard input (a JSON list) in a child of its own, and prints as JSON what
each did. Its arguments are the packages to report when they were loaded. Run without bytecode being written (-B).

What nearly all of them import is looked at first, then imported once here, so that the children share it.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import sys
import threading
import warnings
from importlib import import_module

SHARED = ("asyncio", "msgspec", "pluggy", "aiohttp.web", "click")
EVENTS = {"socket.__new__", "socket.bind", "socket.connect", "subprocess.Popen", "os.fork", "os.chdir"}


def state() -> dict[str, object]:
    """What an import must leave as it is."""
    return {
        "environment": dict(os.environ),
        "sys.path": list(sys.path),
        "root logger": (list(logging.root.handlers), logging.root.level),
        "signal handler": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        # a package's filter for warnings of its own (aiohttp has one) touches nobody else
        "warning filters": [each for each in warnings.filters if each[2].__module__ in {"builtins", "warnings"}],
        "atexit": atexit._ncallbacks(),
        "excepthook": (sys.excepthook, sys.unraisablehook),
    }


def observe(module: str, heavy: list[str]) -> dict[str, list[str]]:
    """Import `module` and say what happened. To be called in a process that ends afterwards."""
    events: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS:
            events.append(event)
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            events.append("open for writing")

    def start(thread: threading.Thread) -> None:  # an audit event tells of it from 3.12 on only
        events.append("thread")

    before = state()
    threading.Thread.start = start  # type: ignore[method-assign]
    sys.addaudithook(hook)
    try:
        import_module(module)
    except Exception as error:
        events.append(f"raised {type(error).__name__}: {error}")
    after = state()
    events += [name for name, was in before.items() if after[name] != was]
    return {"events": sorted(set(events)), "heavy": sorted(name for name in heavy if name in sys.modules)}


def in_child(module: str, heavy: list[str]) -> dict[str, list[str]]:
    """`observe` in a fork, which has imported nothing yet."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        with os.fdopen(write, "w") as answer:
            json.dump(observe(module, heavy), answer)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    found: dict[str, list[str]] = json.loads(text)
    return found


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder
    heavy, modules = sys.argv[1:], json.load(sys.stdin)
    found = {module: in_child(module, heavy) for module in SHARED}
    for module in SHARED:
        import_module(module)
    print(json.dumps(found | {module: in_child(module, heavy) for module in modules}))
