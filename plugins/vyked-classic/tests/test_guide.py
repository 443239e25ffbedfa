"""docs/moving-from-vyked.md, followed from its first line to its last on an old system of three processes."""

import re
import subprocess
import sys
from pathlib import Path

from processes import HERE, Process, eventually, free_port
from systems import System, served

GUIDE = HERE.parents[2] / "docs" / "moving-from-vyked.md"
PROGRAM = str(Path(sys.executable).with_name("vyked-host"))
SHOP = """
from vyked_host import Service, api, client


class Shop(Service, name="shop", version="1.0.0"):
    echo = client("echo", version="1", required=False)

    @api
    async def price(self, item: str) -> str:
        return await self.echo.echo(data=item)
"""


def tables():
    """The vyked.toml blocks of the guide."""
    return re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_the_first_table_of_the_guide_is_right(tmp_path):
    (tmp_path / "vyked.toml").write_text(tables()[0])
    (tmp_path / "old_service.py").write_text((HERE / "old_code" / "identity.py").read_text())
    done = subprocess.run([PROGRAM, "check"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_guide_is_followed_on_three_old_processes(running, redis, tmp_path):
    system = System(running, redis, "old")
    service, consumer = served("old", system.service("old")), system.consumer("old").ready()

    def works():
        return consumer.call("echo", data="tea").get("result") == "tea"

    assert works()

    # 0: look
    looked = subprocess.run([PROGRAM, "classic", "check", "old_code/echo.py"], cwd=HERE, capture_output=True, text=True)
    assert looked.returncode == 0, looked.stderr

    # 1: the registry; the others go on
    system.kind = "new"
    system.restart_registry()
    assert works()

    # 2: the service, then the consumer
    moved = served("new", system.service("new"))
    service.close()
    eventually(works)
    successor = system.consumer("new").ready()
    consumer.process.close()
    consumer = successor
    eventually(works)

    # 3: both in one mesh: a modern host takes the place of the registry
    system.registry.close()
    (tmp_path / "shop.py").write_text(SHOP)
    step = tables()[1].replace("4502", "0").replace("4503", "0").replace("4500", str(system.port))
    step = step.replace("4499", str(free_port())).replace("redis://127.0.0.1:6379", redis.url)
    (tmp_path / "vyked.toml").write_text(f'[plugins]\nautoload = false\n{step}[services.shop]\nuse = "shop:Shop"\n')
    host = running(Process("-m", "vyked_host", "run", folder=tmp_path))
    host.logged("ready in")
    assert works(), "what has moved goes on while its registry is replaced"

    def vyked_host(*words):
        return subprocess.run([PROGRAM, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    def modern_calls_old():
        return vyked_host("call", "shop.price", "item=tea").stdout.strip() == '"tea"'

    eventually(modern_calls_old)
    listed = vyked_host("ps").stdout
    assert re.search(r"echo +1\.0\.0 +active, a guest: Vyked 2\.x", listed), listed
    called = vyked_host("call", "echo.echo", "data=tea")
    assert called.stdout.strip() == '"tea"', called.stderr

    # 4: leave
    words = [sys.executable, "-m", "vyked.registry", "--list", f"127.0.0.1:{system.port}"]

    def registered():
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        return {line.split()[0] for line in done.stdout.splitlines()}

    eventually(lambda: registered() == {"bench", "echo"})
    assert consumer.process.end() == 0
    assert moved.end() == 0
    assert host.end() == 0
