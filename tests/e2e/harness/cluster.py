"""Two ejabberd nodes of one cluster on one machine, with a relay beside each.

Each node listens on an address of its own of the loopback network, so that both can use one port for distribution and no
daemon of Erlang's is needed to find it. Whoever logs in at one is reached from the other.
"""

import secrets

from . import ports
from .ejabberd import Ejabberd
from .relay import Relay


class ClusterNode(Ejabberd):
    """One of them; all but the first join it when they start."""

    def __init__(self, nth: int, *, port: int, cookie: str, **options):
        self.nth, self._port, self._cookie = nth, port, cookie
        super().__init__(**options)
        self.process.name = f"ejabberd {nth}"

    def _distribution(self) -> list[str]:
        return ["-name", _name(self.nth), "-setcookie", self._cookie, "-start_epmd", "false", "-erl_epmd_port", str(self._port),
                "-kernel", "inet_dist_use_interface", f"{{127,0,0,{self.nth}}}"]  # fmt: skip

    def _after_start(self) -> str:
        if self.nth == 1:
            return super()._after_start()
        join = f"case lists:member('{_name(1)}', mnesia:system_info(db_nodes)) of true -> ok; false -> ok = ejabberd_cluster:join('{_name(1)}') end,"
        return f'{join} ok = file:write_file("{self._ready}", <<"ready">>).'


def _name(nth: int) -> str:
    return f"ejabberd@127.0.0.{nth}"


class Cluster:
    """The nodes and their relays, in order."""

    def __init__(self, count: int = 2, **options):
        port, cookie = ports.free(), secrets.token_hex(8)
        self.nodes = [ClusterNode(nth, port=port, cookie=cookie, **options) for nth in range(1, count + 1)]
        self.relays = [Relay(domains=node.domains, server_port=node.component) for node in self.nodes]

    def start(self) -> "Cluster":
        for node, relay in zip(self.nodes, self.relays, strict=True):
            node.start()
            relay.start()
        return self

    def end(self) -> None:
        for running in (*self.relays, *self.nodes):
            running.process.end()
