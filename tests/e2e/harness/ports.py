"""Loopback ports: free ones, who listens, and which connection a process holds.

Reads /proc instead of connecting, so looking never shows up in a server's log.
"""

import os
import random
import socket

HOST = "127.0.0.1"
_LISTEN, _ESTABLISHED = "0A", "01"
_given: set[int] = set()


def free() -> int:
    """A port nobody listens on, below the range from which outgoing connections are numbered."""
    while True:
        port = random.randrange(20000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _given.add(port)
        return port


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on this port."""
    return any(state == _LISTEN and local == port for local, _, state, _ in _sockets())


def connections(pid: int, to_port: int) -> list[int]:
    """The local ports of this process's connections to `to_port`: the same list means the same streams."""
    inodes = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
    except FileNotFoundError:
        return []
    return sorted(
        local for local, remote, state, inode in _sockets() if state == _ESTABLISHED and remote == to_port and inode in inodes
    )


def _sockets():
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = open(table).read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            field = line.split()
            yield int(field[1].rpartition(":")[2], 16), int(field[2].rpartition(":")[2], 16), field[3], field[9]
