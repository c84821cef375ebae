"""Hosts of their own for nodes: network namespaces, each with one cable towards the database and one towards the XMPP server.

A cable can be pulled and plugged in again. Servers stay on the tests' own host, which has one address on each network.
Every namespace belongs to a process that ends with the tests, and cables and switches end with their namespace, so
nothing is left behind, however the tests end.
"""

import ctypes
import itertools
import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from .process import Process, directory

WAYS = ("database", "server")
_CLONE_NEWNET = 0x40000000
_networks = itertools.count()


@cache
def obstacle() -> str | None:
    """Why there can be no hosts of their own here; nothing if there can."""
    missing = [program for program in ("ip", "unshare", "nsenter") if not shutil.which(program)]
    if missing:
        return f"network namespaces: {', '.join(missing)} missing"
    script = "ip link add name one type veth peer name two && ip link add name three type bridge"
    tried = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"network namespaces are not allowed here (root in a privileged container is needed): {tried.stderr.strip()}"


class Network:
    """Two switches, the tests' own host plugged into both."""

    def __init__(self, *hosts: str):
        self._switch = _namespace("switch")
        self.here: dict[str, str] = {}  # way to the address servers listen at
        self._prefix: dict[str, str] = {}
        self._ours: list[str] = []
        for number, way in enumerate(WAYS):
            self._prefix[way] = _free_prefix(number)
            self.here[way] = f"{self._prefix[way]}.1"
            self._at_switch("link", "add", "name", way, "type", "bridge")
            self._at_switch("link", "set", way, "up")
            ours = f"tm{os.getpid()}{way[0]}{next(_networks)}"
            self._ours.append(ours)
            _run("ip", "link", "add", "name", ours, "type", "veth", "peer", "name", f"here-{way}", "netns", str(self._switch.pid))
            self._plug_in(f"here-{way}", way)
            _run("ip", "address", "add", f"{self.here[way]}/24", "dev", ours)
            _run("ip", "link", "set", ours, "up")
        self.hosts = {name: self._host(name, number) for number, name in enumerate(hosts, start=2)}

    def _host(self, name: str, number: int) -> "Host":
        home = _namespace(f"host {name}")
        enter = ["nsenter", "-t", str(home.pid), "-n", "--"]
        _run(*enter, "ip", "link", "set", "lo", "up")
        for way in WAYS:
            self._at_switch("link", "add", "name", f"{name}-{way}", "type", "veth", "peer", "name", way, "netns", str(home.pid))
            self._plug_in(f"{name}-{way}", way)
            _run(*enter, "ip", "address", "add", f"{self._prefix[way]}.{number}/24", "dev", way)
            _run(*enter, "ip", "link", "set", way, "up")
        return Host(self, name, home, enter)

    def _plug_in(self, port: str, way: str) -> None:
        self._at_switch("link", "set", port, "master", way)
        self._at_switch("link", "set", port, "up")

    def _at_switch(self, *words: str) -> None:
        _run("nsenter", "-t", str(self._switch.pid), "-n", "--", "ip", *words)

    def set_cable(self, host: str, way: str, state: str) -> None:
        self._at_switch("link", "set", f"{host}-{way}", state)

    def end(self) -> None:
        for ours in self._ours:
            _run("ip", "link", "delete", ours)
        for host in self.hosts.values():
            host.home.end()
        self._switch.end()


class Host:
    """A namespace a node may live in; `enter` comes before the words of what is to run there."""

    def __init__(self, network: Network, name: str, home: Process, enter: list[str]):
        self._network, self.name, self.home, self.enter = network, name, home, enter

    def pull(self, *ways: str) -> None:
        """Pulls the cable at the switch: whatever is sent from now on is gone, and nobody is told."""
        for way in ways or WAYS:
            self._network.set_cable(self.name, way, "down")

    def plug(self, *ways: str) -> None:
        for way in ways or WAYS:
            self._network.set_cable(self.name, way, "up")

    def within(self, do):
        """Gives what `do()` gives when its sockets are opened on this host."""
        with ThreadPoolExecutor(1, initializer=self._move) as thread:
            return thread.submit(do).result()

    def _move(self) -> None:
        with open(f"/proc/{self.home.pid}/ns/net") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"host {self.name} cannot be entered")


def _namespace(name: str) -> Process:
    """A process that does nothing but have a network namespace of its own."""
    keeper = Process(name, ["unshare", "-n", "--", "sleep", "infinity"], log=directory("network") / "keeper.log").start()
    ours = os.readlink("/proc/self/ns/net")
    keeper.wait_until(lambda: os.readlink(f"/proc/{keeper.pid}/ns/net") != ours, "it has a network of its own")
    return keeper


def _free_prefix(number: int) -> str:
    """A /24 of the block that is set aside for tests of networks (RFC 2544), used by nobody on this machine."""
    used = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=True).stdout
    while True:
        prefix = f"198.{18 + number}.{random.randrange(256)}"
        if f" {prefix}." not in used:
            return prefix


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
