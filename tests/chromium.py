"""A real Chromium without a window, spoken to over its DevTools protocol: nothing but the browser has to be installed."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "apt-get update && apt-get install -y --no-install-recommends chromium"
WITHIN_S = 20.0
LISTENING = b"DevTools listening on "


def program() -> str:
    """Where the browser is. Without one a test fails in CI, and is skipped elsewhere saying how to get it."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        text = f"NO CHROMIUM HERE, so the page of the chat was NOT tested. Install it: {INSTALL} (or set CHROMIUM to its path)"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    return found


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.problems: list[str] = []

    async def read(self) -> None:
        """Answers and events, until the tab is closed."""
        async for message in self._socket:
            told = message.json()
            answer = self._answers.pop(told.get("id", 0), None)
            if answer is not None:
                answer.set_result(told)
            elif told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(str(told["params"]))

    async def ask(self, method: str, **parameters: Any) -> Any:
        """One command; its result."""
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(self._answers[number], WITHIN_S)
        assert "result" in told, told
        return told["result"]

    async def value(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until the expression is true; its value. The page itself looks."""
        look = f"const look = () => {{ const found = {script}; found ? done(found) : setTimeout(look, 20); }}"
        try:
            return await self.value(f"new Promise((done) => {{ {look}; look(); }})")
        except TimeoutError:
            raise AssertionError(f"never true in the page: {script}") from None

    async def type(self, text: str, key: str | None = "Enter") -> None:
        """What a person types into what has the focus, then a key."""
        await self.ask("Input.insertText", text=text)
        if key is not None:
            for kind in ("keyDown", "keyUp"):
                await self.ask(
                    "Input.dispatchKeyEvent", type=kind, key=key, code=key, text="\r", windowsVirtualKeyCode=13
                )

    async def roles(self) -> set[tuple[str, str]]:
        """(role, name) of all that assistive technology is told of."""
        found = await self.ask("Accessibility.getFullAXTree")
        return {
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in found["nodes"]
            if not node["ignored"]
        }

    async def picture(self, width: int = 800, height: int = 600, scheme: str = "light") -> bytes:
        """A PNG of what is seen."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        return base64.b64decode((await self.ask("Page.captureScreenshot"))["data"])


class Browser:
    """One running Chromium."""

    def __init__(self, address: str, http: aiohttp.ClientSession) -> None:
        self._address, self._http = address, http

    @asynccontextmanager
    async def page(self, url: str) -> AsyncIterator[Page]:
        """A tab that shows `url`."""
        async with self._http.put(f"{self._address}/json/new?about:blank") as answer:
            where = (await answer.json(content_type=None))["webSocketDebuggerUrl"]
        async with self._http.ws_connect(where, max_msg_size=0) as socket:
            page = Page(socket)
            reading = asyncio.create_task(page.read())
            for domain in ("Page", "Runtime", "Log"):
                await page.ask(f"{domain}.enable")
            await page.ask("Page.navigate", url=url)
            await page.until("document.readyState === 'complete' && location.href !== 'about:blank'")
            try:
                yield page
            finally:
                reading.cancel()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser with a profile of its own, gone at the end."""
    path = program()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "--lang=en",
            f"--user-data-dir={folder}", "about:blank",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            address = await asyncio.wait_for(_address(process), WITHIN_S)
            draining = asyncio.create_task(_drain(process))
            async with aiohttp.ClientSession() as http:
                yield Browser(address, http)
            draining.cancel()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = b""
    async for line in process.stderr:
        said += line
        if line.startswith(LISTENING):
            return "http://" + line[len(LISTENING) :].decode().split("/")[2]
    raise AssertionError(f"chromium did not start: {said.decode(errors='replace')}")


async def _drain(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while await process.stderr.read(65536):
        pass
