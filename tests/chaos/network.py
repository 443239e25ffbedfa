"""A network of its own: namespaces on one bridge, this process on it too, and the kernel's faults between them. Needs root, `ip`
and `iptables`."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path


def run(*words: str) -> str:
    """Run one command. Raises AssertionError with what it said."""
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


class Place:
    """One namespace: its address, and the words that start a command in it."""

    def __init__(self, name: str, address: str, inner: str) -> None:
        self.name, self.address, self._inner = name, address, inner
        self.prefix = ("ip", "netns", "exec", name)
        self.files: Path | None = None

    def _iptables(self, *words: str) -> None:
        run(*self.prefix, "iptables", "-w", *words)

    def drop_from(self, other: str) -> None:
        """Nothing that `other` sends arrives here: neither packets nor resets."""
        self._iptables("-A", "INPUT", "-s", other, "-j", "DROP")

    def drop_to(self, other: str) -> None:
        """Nothing that is sent to `other` leaves."""
        self._iptables("-A", "OUTPUT", "-d", other, "-j", "DROP")

    def cut_off(self, other: str) -> None:
        """Both."""
        self.drop_from(other)
        self.drop_to(other)

    def lose(self, share: float) -> None:
        """This share of what comes in is lost."""
        self._iptables("-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", str(share), "-j", "DROP")

    def name_server(self, address: str) -> None:
        """Who is asked for names here: a file that `ip netns exec` puts in the place of /etc/resolv.conf."""
        self.files = Path("/etc/netns", self.name)
        self.files.mkdir(parents=True)
        (self.files / "resolv.conf").write_text(f"nameserver {address}\n")

    def heal(self) -> None:
        """Take all rules away."""
        self._iptables("-F")

    def unplug(self) -> None:
        """The link is down, and nobody is told."""
        run(*self.prefix, "ip", "link", "set", self._inner, "down")


class Network:
    """A bridge with this process at its end, and places."""

    def __init__(self) -> None:
        self._id = f"{random.SystemRandom().randrange(1 << 24):06x}"
        self._net = f"10.{random.SystemRandom().randrange(64, 128)}.{random.SystemRandom().randrange(256)}"
        self._bridge, self._places = f"vk{self._id}", list[Place]()
        self.here = f"{self._net}.254"
        run("ip", "link", "add", self._bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.here}/24", "dev", self._bridge)
        run("ip", "link", "set", self._bridge, "up")

    def place(self) -> Place:
        """One more namespace."""
        number = len(self._places) + 1
        name, outer, inner = f"vk{self._id}-{number}", f"v{self._id}o{number}", f"v{self._id}i{number}"
        found = Place(name, f"{self._net}.{number}", inner)
        self._places.append(found)
        run("ip", "netns", "add", name)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
        run("ip", "link", "set", outer, "master", self._bridge, "up")
        for words in (
            ("addr", "add", f"{found.address}/24", "dev", inner),
            ("link", "set", inner, "up"),
            ("link", "set", "lo", "up"),
        ):
            run(*found.prefix, "ip", *words)
        return found

    def places(self, count: int) -> list[Place]:
        """Several."""
        return [self.place() for _ in range(count)]

    def close(self) -> None:
        """Take it all down; what runs in it has to have ended."""
        for each in self._places:
            subprocess.run(["ip", "netns", "del", each.name], capture_output=True)
            if each.files is not None:
                shutil.rmtree(each.files)
        subprocess.run(["ip", "link", "del", self._bridge], capture_output=True)
