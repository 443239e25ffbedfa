"""The Unix socket of a host, for those on the same machine: where it is, whose it is, and whether a peer can see it.

The name ends with the node's id, so that hosts that were started from one file don't meet. What a killed host left behind nobody
listens at: the next one that comes to the folder takes it away.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from functools import cache
from pathlib import Path

from ...errors import StartError
from ...model.unix import LONGEST, UnixAddress, of

PREFIX, SUFFIX = "vyked-", ".sock"
BOOT = Path("/proc/sys/kernel/random/boot_id")


def path_of(folder: str, node_id: str) -> str:
    """The path of a host's socket in `folder`, which is made where it is not there. Raises StartError."""
    path = os.path.join(os.path.abspath(folder), f"{PREFIX}{node_id}{SUFFIX}")
    if len(os.fsencode(path)) >= LONGEST:
        raise StartError(
            f"{path} is too long for a Unix socket, which has {LONGEST} bytes: give [transports.tcp] unix a shorter one"
        )
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StartError(f"the folder of [transports.tcp] unix can't be made: {error}") from error
    return path


def clear(folder: str) -> list[str]:
    """Take away the sockets in `folder` that nobody listens at; their paths."""
    found = [str(each) for each in Path(folder).glob(f"{PREFIX}*{SUFFIX}") if is_left_behind(str(each))]
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # another host was faster
            os.unlink(path)
    return found


def is_left_behind(path: str) -> bool:
    """Is it a socket at which nobody listens? One that can't be asked is not."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as asking:
            asking.setblocking(False)
            asking.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


@cache
def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:  # not Linux: the file itself has to do
        return ""


def mark_of(path: str) -> str:
    """Which file it is, of which boot: another machine, or another container, has none that is the same."""
    found = os.stat(path)
    return f"{_boot()}.{found.st_dev:x}.{found.st_ino:x}"


def announced(path: str, host: str) -> UnixAddress:
    """The address under which others find a socket that is listened at."""
    return UnixAddress(path, host, mark_of(path))


def is_elsewhere(uri: str) -> bool:
    """Is it the address of a Unix socket that this process does not see? Such a one is never tried."""
    address = of(uri)
    if address is None or not address.mark:
        return False
    try:
        return mark_of(address.path) != address.mark
    except OSError:
        return True
