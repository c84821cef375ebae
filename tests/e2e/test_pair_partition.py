"""Hosts behind cables that are pulled: a node's host lost for good, and every way in which a pair can be cut apart.

Both nodes live in network namespaces of their own, with one cable towards the database and one towards relay and
server. What a node sends over a pulled cable is gone, and nobody is told: no reset, no end of a connection.
"""

import threading
import time

import pytest
from harness.load import Chorus
from harness.postgres import Postgres
from harness.waiting import until
from test_kill import full_room

BUDGET_S = 3.0
BOTH = ("database", "server")


@pytest.fixture
def two(request, network, own_server, pair, database, relay):
    """Starts a pair on hosts of their own: `two(kind, "relayed")`."""
    stores = []

    def start(kind: str, attached: str = "relayed", **options):
        server = own_server(kind, also_at=network.here["server"])
        store = Postgres(also_at=network.here["database"]).start()
        stores.append(store)
        beside = relay(server, at=network.here["server"]) if attached == "relayed" else None
        made = pair(server, database("postgresql", postgres=store), relay=beside, is_started=False, **options)
        for name, node in made.nodes.items():
            node.lives_on(network.hosts[name])
            node.settings["store"]["url"] = made.database.url.replace("127.0.0.1", network.here["database"])
            node.settings["service"][0]["server"] = [f"{network.here['server']}:{server.component}"]
        return made.start()

    yield start
    for store in stores:
        store.process.end()


def speaks(two, name: str) -> bool:
    """Whether the node itself says that it speaks, asked on its own host."""
    return two.nodes[name].http_get(f"/api/speaker/{two.domain}")[0] == 200


class Watch:
    """Notes which nodes say that they speak, many times a second, and keeps every moment at which both did."""

    def __init__(self, two):
        self._two, self._ends, self.both, self.looks = two, threading.Event(), [], 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ends.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._ends.wait(0.01):
            self.looks += 1
            # One that speaks, then does not, while the other begins between two questions, is asked once more.
            if speaks(self._two, "a") and speaks(self._two, "b") and speaks(self._two, "a"):
                self.both.append(time.monotonic())


@pytest.mark.parametrize(("kind", "attached"), [("prosody", "bare"), ("prosody", "relayed"), ("ejabberd", "relayed")])
def test_a_host_that_is_lost_is_overtaken_and_stands_by_when_it_is_found_again(two, network, people, kind, attached):
    is_relayed = attached == "relayed"
    pair = two(kind, attached)
    singers = full_room(pair.server, people)
    chorus = Chorus("hall", singers, pace_s=0.01, pings_s=0.2 if is_relayed else 0)
    with chorus, Watch(pair) as watch:
        chorus.until_reflected(100)
        network.hosts["a"].pull()
        began = time.monotonic()
        pair.until_spoken_by("b")
        chorus.until_reflected(50)
        assert time.monotonic() - began < BUDGET_S + 2, "lease, takeover and fifty messages"
        assert not speaks(pair, "a"), "it has fallen silent by its own clock"
        pair.until_state("b", "Running in Backup Mode", reason="Lease Expired")
        until(lambda: "no sign of it" in str(pair.status("b")), lambda: f"status says what is lost: {pair.status('b')}")
        network.hosts["a"].plug()
        pair.until_state("a", "Failed Over", patience=40)
        pair.until_fit("a")
        chorus.until_reflected(50)
        pair.moved("fallback", asked="b")
        pair.until_state("a", "Normal", reason="On Admin Request")
        chorus.until_reflected(50)
    chorus.settle()
    account = chorus.account(pair.archive())
    (account.assert_whole if is_relayed else account.assert_sound)(at_least=250)
    assert account.worst_silence_s < BUDGET_S, str(account)
    assert watch.looks > 50 and not watch.both, f"both spoke at {watch.both}"
    assert pair.speaker() == "a" and pair.nodes["a"].process.is_alive


@pytest.mark.parametrize("first", BOTH)
def test_a_holder_that_loses_one_cable_and_then_the_other_is_replaced_once(two, network, people, first):
    """Without its database it falls silent by itself; without its server it hands over. What it loses next changes nothing."""
    then = BOTH[1 - BOTH.index(first)]
    pair = two("prosody")
    singers = full_room(pair.server, people)
    chorus = Chorus("hall", singers, pace_s=0.02, pings_s=0.2)
    with chorus, Watch(pair) as watch:
        chorus.until_reflected(50)
        network.hosts["a"].pull(first)
        pair.until_spoken_by("b")
        chorus.until_reflected(50)
        if first == "server":
            pair.until_state("a", "Failed Over with Critical Services Not Running")
            assert pair.duty("a")["reason"] in ("Critical Service Down", "XMPP Server Unreachable"), pair.duty("a")
        network.hosts["a"].pull(then)
        chorus.until_reflected(50)
        network.hosts["a"].plug(first)
        chorus.until_reflected(50)
        network.hosts["a"].plug(then)
        pair.until_state("a", "Failed Over", patience=40)
        pair.until_fit("a")
        chorus.until_reflected(50)
    chorus.settle()
    account = chorus.account(pair.archive())
    account.assert_whole(at_least=250)
    # Who loses its server says so after its patience, not sooner: a server that restarts is waited for.
    assert account.worst_silence_s < BUDGET_S + (3.5 if first == "server" else 0), str(account)
    assert not watch.both, f"both spoke at {watch.both}"
    openings = [(event["node"], event["reason"]) for event in pair.history() if event["gap_ms"]]
    assert pair.speaker() == "b" and len(openings) == 2, f"one move, and none back: {openings}"


def test_where_one_node_reaches_only_the_database_and_the_other_only_the_server_nobody_speaks_until_one_is_whole(two, network, people):
    pair = two("prosody")
    singers = full_room(pair.server, people)
    chorus = Chorus("hall", singers, pace_s=0.05)
    with chorus, Watch(pair) as watch:
        chorus.until_reflected(50)
        network.hosts["b"].pull("server")
        until(lambda: pair.duty("b")["is_fit"] == "0", lambda: f"b says that it is not fit: {pair.duty('b')}", patience=20)
        network.hosts["a"].pull("database")
        pair.until_state("b", "Running in Failed Mode", patience=20)
        assert "server" in pair.duty("b")["why"] or "relay" in pair.duty("b")["why"], pair.duty("b")
        assert not speaks(pair, "a") and not speaks(pair, "b")
        network.hosts["a"].plug("database")
        until(lambda: speaks(pair, "a") or speaks(pair, "b"), lambda: f"one is whole again: {pair.duty('a')}, {pair.duty('b')}", patience=30)
        chorus.until_reflected(50)
        network.hosts["b"].plug("server")
        pair.until_fit(patience=30)
        chorus.until_reflected(50)
    chorus.settle()
    account = chorus.account(pair.archive())
    account.assert_whole(at_least=100)
    assert not watch.both, f"both spoke at {watch.both}"
