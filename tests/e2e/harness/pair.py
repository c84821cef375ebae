"""Two nodes on one database beside one server: started, ordered about, broken, and asked how they stand.

How things stand is read where an operator without the program would read it, in the shared database; `status` asks the
program itself.
"""

import json
import signal
import urllib.request
from pathlib import Path

from . import ports
from .component import Component
from .database import Postgresql, Sqlite
from .process import directory
from .relay import Relay
from .waiting import until

TOKEN = "the-token-of-orders"
DUTY = ("node", "state", "reason", "why", "is_fit", "unfit", "level", "epoch", "gap_ms", "since_ms")
EVENT = ("at_ms", "node", "from", "to", "reason", "why", "epoch", "detect_ms", "gap_ms", "repeated", "replayed", "bounced", "operator")
ORDERS_S = 20  # the longest an order may take to end, one way or the other


class Pair:
    """Nodes `a` and `b`; each service domain belongs to one of them."""

    def __init__(self, server, database: Sqlite | Postgresql, *, services: dict[str, str], secrets: dict[str, str], relay: Relay | list[Relay] | None = None, names=("a", "b"), extra: dict | None = None):
        """`services` is domain to home node, `secrets` domain to secret."""
        self.server, self.database = server, database
        self.relays = [relay] if isinstance(relay, Relay) else relay or []
        self.relay = next(iter(self.relays), None)
        self.services, self.domain = services, next(iter(services))
        self.folder = directory("pair")
        self._token = self.folder / "token"
        self._token.write_text(TOKEN)
        self._token.chmod(0o600)
        self.nodes = {name: self._node(name, twin, secrets, extra or {}) for name, twin in (names, names[::-1])}

    def _node(self, name: str, twin: str, secrets: dict[str, str], extra: dict) -> Component:
        more = {"pair": {"twin": twin}, "http": {"token_file": str(self._token)}}
        for section, keys in extra.items():
            more[section] = {**more.get(section, {}), **keys}
        node = Component(domain=self.domain, secret=secrets[self.domain], server_port=self.server.component, url=self.database.url, extra=more, name=name)
        common = node.settings["service"][0]
        if self.relays:
            common["relay"] = [f"{relay.at}:{relay.port}" for relay in self.relays]
        if len(self.relays) > 1:  # a server beside each
            common["server"] = [f"{ports.HOST}:{relay.server_port}" for relay in self.relays]
        node.settings["service"] = [{**common, "domain": domain, "home": home, "secret": secrets[domain]} for domain, home in self.services.items()]
        return node

    # running

    def start(self) -> "Pair":
        """Starts both and waits until every domain is served at home and its backup is fit."""
        first, second = self.nodes.values()
        first.launch()
        first.process.wait_until(lambda: self.owner_is_home(first), "it serves what is its own")
        second.launch()
        second.process.wait_until(lambda: self.owner_is_home(second), "it serves what is its own")
        self.until_fit()
        return self

    def owner_is_home(self, node: Component) -> bool:
        mine = [domain for domain, home in self.services.items() if home == node.name]
        return all(self._holds(node, domain) for domain in mine) if mine else node.http_get("/health")[0] == 200

    def _holds(self, node: Component, domain: str) -> bool:
        return node.is_ready_for(domain) and self.speaker(domain) == node.name

    def until_fit(self, *names: str, domain: str | None = None, patience: float = 20) -> None:
        """Waits until these nodes (both, if none are named) say that they could serve if asked."""
        domain = domain or self.domain
        for name in names or self.nodes:
            process = self.nodes[name].process
            process.wait_until(lambda name=name: self._is_fit(name, domain), f"it is fit to serve {domain}", patience)

    def _is_fit(self, name: str, domain: str) -> bool:
        """Fit by its own words, in this run of it, and its twin, if it runs, has looked since."""
        sql = f"""SELECT n.pid_no, d.is_fit, d.state_txt, d.since_ms, t.beat_ms FROM muc_duty d JOIN muc_node n ON n.node_txt = d.node_txt
                  LEFT JOIN muc_node t ON t.node_txt = d.twin_txt WHERE d.node_txt = '{name}' AND d.service_txt = '{domain}'"""
        for pid, is_fit, state, since_ms, looked_ms in self._rows(sql):
            is_known = not self.other(self.nodes[name]).process.is_alive or int(looked_ms or 0) > int(since_ms)
            return pid == str(self.nodes[name].process.pid) and is_fit == "1" and state != "Initializing" and is_known
        return False

    def end(self) -> None:
        for node in self.nodes.values():
            node.process.signal(signal.SIGCONT)
            node.process.end()

    # how they stand

    def _rows(self, sql: str) -> list[tuple[str, ...]]:
        """Rows, or none while there is no such table or database yet."""
        try:
            return self.database.rows(sql)
        except Exception:  # the nodes make the tables while we look
            return []

    def speaker(self, domain: str | None = None) -> str | None:
        """The node that has the lease; it may have run out."""
        found = self._rows(f"SELECT owner_txt FROM muc_lease WHERE name_txt = '{domain or self.domain}'")
        return found[0][0] or None if found else None

    def epoch(self, domain: str | None = None) -> int:
        found = self._rows(f"SELECT epoch FROM muc_lease WHERE name_txt = '{domain or self.domain}'")
        return int(found[0][0]) if found else 0

    def holder(self, domain: str | None = None) -> Component:
        return self.nodes[self.speaker(domain)]

    def other(self, node: Component) -> Component:
        return next(each for each in self.nodes.values() if each is not node)

    def backup(self, domain: str | None = None) -> Component:
        return self.other(self.holder(domain))

    def duty(self, node: str, domain: str | None = None) -> dict[str, str]:
        """What the node last wrote of itself for this domain."""
        sql = f"""SELECT node_txt, state_txt, reason_txt, why_txt, is_fit, unfit_txt, level_no, epoch, gap_ms, since_ms
                  FROM muc_duty WHERE node_txt = '{node}' AND service_txt = '{domain or self.domain}'"""
        found = self._rows(sql)
        return dict(zip(DUTY, found[0], strict=True)) if found else dict.fromkeys(DUTY, "")

    def state(self, node: str, domain: str | None = None) -> str:
        return self.duty(node, domain)["state"]

    def until_state(self, node: str, state: str, *, reason: str | None = None, domain: str | None = None, patience: float = 15) -> None:
        def is_so() -> bool:
            duty = self.duty(node, domain)
            return duty["state"] == state and reason in (None, duty["reason"])

        until(is_so, lambda: f"node {node} is {state!r}{f' for {reason!r}' if reason else ''}: {self.duty(node, domain)}", patience)

    def until_spoken_by(self, node: str, domain: str | None = None, patience: float = 15) -> None:
        """Waits until this node has the lease and says that it serves."""
        domain = domain or self.domain

        def is_so() -> bool:
            return self.speaker(domain) == node and self.nodes[node].is_ready_for(domain)

        until(is_so, lambda: f"node {node} speaks for {domain}: {self.speaker(domain)} does, {self.duty(node, domain)}", patience)

    def history(self, domain: str | None = None) -> list[dict[str, str]]:
        """Every change of state, oldest first."""
        sql = f"""SELECT at_ms, node_txt, from_txt, to_txt, reason_txt, why_txt, epoch, detect_ms, gap_ms, repeated_no,
                  replayed_no, bounced_no, operator_txt FROM muc_ha_event WHERE service_txt = '{domain or self.domain}' ORDER BY at_ms, event_id"""
        return [dict(zip(EVENT, row, strict=True)) for row in self._rows(sql)]

    def archive(self, room: str = "hall", domain: str | None = None) -> list[tuple[str, str]]:
        """Archive id and body of every message of a room, in its order."""
        sql = f"""SELECT m.archive_id, m.body_txt FROM muc_message m JOIN muc_room r ON r.room_id = m.room_id
                  WHERE r.service_txt = '{domain or self.domain}' AND r.name_txt = '{room}' ORDER BY m.seq"""
        return [(row[0], row[1]) for row in self.database.rows(sql)]

    # what an operator does

    def status(self, asked: str = "a") -> dict:
        """`tandem-muc status --json` with this node's configuration, whether or not the node runs; its code tells good from bad."""
        done = self.nodes[asked].command("status", "--json")
        assert done.stdout.startswith("{"), done.stderr + done.stdout
        return json.loads(done.stdout)

    def order(self, kind: str, *, asked: str | None = None, domain: str | None = None, patience: float = ORDERS_S) -> tuple[str, str]:
        """Gives an order at a node's door and waits until it has ended; gives outcome and sentence."""
        node = self.nodes[asked] if asked else next(node for node in self.nodes.values() if node.process.is_alive)
        number = self._post(node, "/api/pair/orders", {"kind": kind, "domain": domain or self.domain})["orders"][0]["id"]
        ended: list[tuple[str, str]] = []

        def has_ended() -> bool:
            found = self._rows(f"SELECT outcome_txt, why_txt FROM muc_order WHERE order_id = '{number}' AND ended_ms IS NOT NULL")
            ended.extend((row[0], row[1]) for row in found)
            return bool(ended)

        until(has_ended, lambda: f"the order {kind} ends: {self._rows('SELECT * FROM muc_order')}", patience)
        return ended[0]

    def moved(self, kind: str, **options) -> None:
        """An order that must be carried out."""
        outcome, why = self.order(kind, **options)
        assert outcome == "done", f"{kind}: {outcome}, {why}"

    def _post(self, node: Component, path: str, what: dict) -> dict:
        request = urllib.request.Request(
            f"http://{ports.HOST}:{node.http}{path}", json.dumps(what).encode(), method="POST",
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
        )  # fmt: skip
        code, text = node.ask_http(request)
        assert code in (200, 202), f"{path} {what}: {code}, {text}"
        return json.loads(text)


def sqlite(folder: Path | None = None) -> Sqlite:
    """A new file in a directory of its own."""
    return Sqlite(folder or directory("database"))
