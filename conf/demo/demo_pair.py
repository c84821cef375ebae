#!/usr/bin/python3
"""The pair at work: four people talk without a pause, the node they talk through is killed, and nobody notices.

A real server, the relay, two nodes on one database. Every figure is measured by the clients, every line with a tick
was verified; the demo ends with 1 where it cannot be. Everything is thrown away afterwards.
"""

import argparse
import signal
import sys
import time

from demo import HOST, NAMES, SECRET, SERVICE, Unproven, prove, seconds

from harness import process  # noqa: I001 (demo.py shows the way to the harness)
from harness.client import Client, NotHeard, Refused
from harness.database import Sqlite
from harness.load import Chorus
from harness.pair import Pair
from harness.relay import Relay
from harness.waiting import NotSo
from screen import Screen

CAST = ("Alice", "Bob", "Carol", "Dave")
ACCOUNTS = {account: account for account in (*(nick.lower() for nick in CAST), "you")}
PACE_S = 0.01  # each says a hundred things a second
TALK = 400  # messages heard before and after each event
# Beyond these somebody would notice, however busy the machine is; `make bench-pair` holds the figures against the budget.
GAP_S, PAUSE_S = 1.0, 0.5


class Demo:
    """The story and what it needs."""

    def __init__(self, kind: str, screen: Screen, is_paced: bool):
        self.screen, self._is_paced = screen, is_paced
        self.server_name, make = NAMES[kind]
        self.server = make(host=HOST, domains={SERVICE: SECRET}, accounts=ACCOUNTS)
        self.relay = Relay(domains=self.server.domains, server_port=self.server.component)
        self.database = Sqlite(process.directory("database"))
        self.pair = Pair(self.server, self.database, services={SERVICE: "a"}, secrets=self.server.domains, relay=self.relay)
        self.people: dict[str, Client] = {}

    def tell(self) -> None:
        self._start()
        self._enter()
        self.chorus = Chorus("hall", self.people, pace_s=PACE_S, pings_s=0.1)
        with self.chorus:
            self._talk()
            gap = self._kill()
            self._repair()
            pause = self._fall_back()
        self.chorus.settle()
        self._account(gap, pause)

    def _start(self) -> None:
        self.screen.step("A server, a relay beside it, two nodes, one database")
        began = time.monotonic()
        self.server.start()
        self.relay.start()
        self.screen.done(f"{self.server_name} and the relay listen", seconds(began))
        began = time.monotonic()
        self.pair.start()
        for name, node in self.pair.nodes.items():
            does = "serves" if self.pair.speaker() == name else "stands by for"
            self.screen.done(f"node {name}, pid {node.process.pid}, {does} {SERVICE}", seconds(began) if name == "b" else "")
        prove(self.pair.speaker() == "a" and self.pair.duty("a")["level"] == "2", "node a does not serve through the relay")

    def _enter(self) -> None:
        self.screen.step("Four people enter the hall and number what they say")
        for nick in CAST:
            account = nick.lower()
            self.people[nick] = Client(account, ACCOUNTS[account], host=HOST, port=self.server.c2s, service=SERVICE, resource="demo").connect()
        self.people["Alice"].create("hall", "Alice", {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_roomname": "The hall"})
        for nick in CAST[1:]:
            self.people[nick].enter("hall", nick)
        for client in self.people.values():
            for nick in CAST:
                client.sees("hall", nick)

    def _talk(self) -> None:
        began = time.monotonic()
        self.chorus.until_reflected(TALK)
        took = time.monotonic() - began
        usual = max(self.chorus.silence_s(began + took / 4, time.monotonic()).values())
        self.screen.done(f"{TALK / took:.0f} messages a second, each stored before anyone hears it", f"longest silence {usual * 1000:.0f} ms")

    def _kill(self) -> float:
        self.screen.step("Somebody pulls the plug of node a")
        self._pause()
        old = self.pair.holder()
        began = time.monotonic()
        old.kill9()
        self.screen.struck(f"kill -9 {old.process.pid}: node {old.name} is gone, in the middle of a sentence")
        self.pair.until_spoken_by("b")
        self.chorus.until_reflected(TALK)
        gap = max(self.chorus.silence_s(began - 0.02, time.monotonic()).values())
        prove(gap < GAP_S, f"the longest silence was {gap * 1000:.0f} ms")
        self.pair.until_state("b", "Running in Backup Mode", reason="Peer Down")
        duty = self.pair.duty("b")
        self.screen.done(f"node b: {duty['state']}, {duty['reason']}", f"epoch {duty['epoch']}")
        self.screen.fact("  because", duty["why"])
        self.screen.done("the talk went on; the longest silence anybody heard:", f"{gap * 1000:.0f} ms")
        return gap

    def _repair(self) -> None:
        self.screen.step("Node a is started again")
        self._pause()
        began = time.monotonic()
        self.pair.nodes["a"].launch()
        self.pair.until_fit("a")
        self.pair.until_state("a", "Failed Over")
        prove(self.pair.speaker() == "b", "node a took its work back by itself")
        self.screen.done(f"node a: {self.pair.state('a')}, fit and ready for fallback", seconds(began))

    def _fall_back(self) -> float:
        self.screen.step("tandem-muc fallback")
        self._pause()
        began = time.monotonic()
        said = self.pair.nodes["a"].command("fallback", "--domain", SERVICE)
        prove(said.returncode == 0, f"fallback was refused: {said.stdout}{said.stderr}")
        self.chorus.until_reflected(TALK)
        pause = max(self.chorus.silence_s(began, time.monotonic()).values())
        prove(pause < PAUSE_S, f"the longest silence was {pause * 1000:.0f} ms")
        self.pair.until_state("a", "Normal", reason="On Admin Request")
        self.screen.done("node a: Normal, and serves; node b stands by", f"epoch {self.pair.epoch()}")
        self.screen.done("the talk went on; the longest silence anybody heard:", f"{pause * 1000:.0f} ms")
        return pause

    def _account(self, gap: float, pause: float) -> None:
        screen = self.screen
        screen.step("The account")
        account = self.chorus.account(self.pair.archive())
        prove(not account.bounced and not account.unanswered and not account.pings_failed, str(account))
        found = {what: sum(map(len, getattr(account, what).values())) for what in ("lost", "doubled", "reordered", "unkept", "presences")}
        prove(not any(found.values()), str(account))
        screen.done(f"{account.said} messages said, {account.kept} in the archive, each once")
        screen.done("lost / doubled / out of order", "0 / 0 / 0")
        screen.done(f"refused: 0; self-pings answered: {account.pings} of {account.pings}")
        for nick in CAST:
            screen.speech(nick, f"heard {account.kept} messages in order; saw nobody leave or come", "noticed nothing")
        screen.rule()
        screen.fact("kill -9", f"{gap * 1000:.0f} ms of silence, where messages come every {1000 * PACE_S:.0f} ms")
        screen.fact("fallback", f"{pause * 1000:.0f} ms")

    def stay(self) -> None:
        """Keeps everything up for a visitor until Ctrl-C; a node that ends is started again."""
        screen = self.screen
        screen.rule()
        screen.says("Your turn: join with a client of your own, and kill what you like.")
        screen.fact("account", f"you@{HOST}, password: you")
        screen.fact("server", f"127.0.0.1 port {self.server.c2s} (STARTTLS with a self-signed certificate, or plain)")
        screen.fact("room", f"hall@{SERVICE}")
        for name, node in self.pair.nodes.items():
            screen.fact(f"node {name}", f"kill -9 {node.process.pid}   (it is started again)")
        screen.fact("status", f"{self.pair.nodes['a'].process._argv[0]} status --config {self.pair.nodes['a'].config} --watch")
        screen.says("")
        screen.says("Ctrl-C ends it and removes everything.")
        while True:
            for name, node in self.pair.nodes.items():
                if node.process.is_alive:
                    continue
                screen.struck(f"node {name} is gone")
                node.launch()
                screen.done(f"node {name} started again (pid {node.process.pid}); node {self.pair.speaker()} serves")
            time.sleep(1)

    def _pause(self) -> None:
        """Reading speed, only where somebody watches."""
        if self._is_paced:
            time.sleep(1.5)


def main() -> int:
    parser = argparse.ArgumentParser(description="Four people, one room, two nodes, one kill -9.")
    parser.add_argument("--server", choices=sorted(NAMES), default="prosody")
    parser.add_argument("--once", action="store_true", help="end after the story (so it does without a terminal)")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even where a shell started us in the background
    screen = Screen()
    is_watched = screen.is_terminal and sys.stdin.isatty() and not options.once
    demo = None
    try:
        screen.title("Tandem MUC", "a room that does not notice kill -9")
        demo = Demo(options.server, screen, is_paced=is_watched)
        demo.tell()
        if is_watched:
            demo.stay()
        screen.says("")
        return 0
    except KeyboardInterrupt:
        screen.says("")
        screen.says("Everything is stopped and removed.")
        return 0
    except (Unproven, NotHeard, NotSo, Refused, process.Died, OSError, AssertionError) as error:
        screen.failure(str(error))
        for node in demo.pair.nodes.values() if demo else []:
            if log := node.process.log_tail(8):
                screen.says(f"the last words of node {node.name}:")
                screen.says(log)
        return 1
    finally:
        process.end_all()


if __name__ == "__main__":
    sys.exit(main())
