#!/usr/bin/python3
"""The first look: two people in a room on a real server, a `kill -9` in between, and nothing lost.

Everything is thrown away afterwards. Each line with a tick was verified; the demo ends with 1 where it cannot be.
"""

import argparse
import functools
import signal
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tests" / "e2e"), str(Path(__file__).parent)]

from harness import process  # noqa: E402
from harness.client import Client, NotHeard, Refused  # noqa: E402
from harness.component import Component  # noqa: E402
from harness.ejabberd import Ejabberd  # noqa: E402
from harness.prosody import Prosody  # noqa: E402
from screen import Screen  # noqa: E402

HOST, SERVICE, SECRET = "localhost", "conference.localhost", "demo-secret"
ACCOUNTS = {"alice": "alice", "bob": "bob", "you": "you"}
# As conf/prosody/ has it: otherwise Prosody holds small stanzas back for up to 40 ms.
NAMES = {"prosody": ("Prosody", functools.partial(Prosody, nagle=False)), "ejabberd": ("ejabberd", Ejabberd)}
BEFORE = [
    ("Alice", "Morning, Bob. Is anybody writing this down?"),
    ("Bob", "The room is: every line, before anyone hears it."),
    ("Alice", "And if somebody pulls the plug?"),
    ("Bob", "Let us try."),
]
AFTER = [
    ("Bob", "Did you notice anything?"),
    ("Alice", "A pause, perhaps. I never left the room."),
    ("Bob", "Neither did I."),
]


class Unproven(Exception):
    """Something the demo is about to claim is not so."""


class Demo:
    """The story and what it needs."""

    def __init__(self, kind: str, screen: Screen, is_paced: bool):
        self.screen, self._is_paced = screen, is_paced
        self.server_name, make = NAMES[kind]
        self.server = make(host=HOST, domains={SERVICE: SECRET}, accounts=ACCOUNTS)
        self.node = Component(domain=SERVICE, secret=SECRET, server_port=self.server.component)
        self.people: dict[str, Client] = {}
        self.said: list[tuple[str, str, str]] = []  # archive id, nick, text

    def tell(self) -> None:
        self._start()
        self._enter()
        self._talk(BEFORE)
        self._kill()
        self._talk_on()
        self._read_archive()

    def _start(self) -> None:
        self.screen.step("A server and a room service")
        began = time.monotonic()
        self.server.start()
        self.screen.done(f"{self.server_name} listens on 127.0.0.1:{self.server.c2s}", seconds(began))
        began = time.monotonic()
        self.node.start()
        self.screen.done(f"tandem-muc, pid {self.node.process.pid}, serves {SERVICE} on SQLite", seconds(began))

    def _enter(self) -> None:
        self.screen.step("Two people enter the hall")
        for nick in ("Alice", "Bob"):
            account = nick.lower()
            client = Client(account, ACCOUNTS[account], host=HOST, port=self.server.c2s, service=SERVICE, resource="demo")
            self.people[nick] = client.connect()
        alice, bob = self.people["Alice"], self.people["Bob"]
        alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_roomname": "The hall"})
        self.screen.done(f"Alice opened hall@{SERVICE} and owns it")
        began = time.monotonic()
        entry = bob.enter("hall", "Bob")
        prove([s.nick for s in entry.others] == ["Alice"], "Bob does not see Alice")
        alice.sees("hall", "Bob")
        self.screen.done("Bob is inside, and they see each other", millis(began))
        alice.set_subject("hall", "Things that outlive a power cut")
        bob.wait(lambda s: s.subject == "Things that outlive a power cut", "the subject")
        self.screen.done("Alice leaves a subject: Things that outlive a power cut")

    def _talk(self, lines: list[tuple[str, str]]) -> None:
        self.screen.step("They talk")
        took = [self._say(nick, text) for nick, text in lines]
        self.screen.done("each line was in the database before anyone heard it", f"{statistics.median(took) * 1000:.1f} ms, median")

    def _say(self, nick: str, text: str) -> float:
        """One line: said by one, heard by both under the same id; gives the seconds until both had it."""
        self._pause()
        began = time.monotonic()
        heard = self.people[nick].say_heard("hall", text)
        prove(heard.type == "groupchat", f"the room refused {text!r}: {heard.condition}")
        heard_by_all = [client.hears("hall", text, nick=nick) for client in self.people.values()]
        took = max(s.at for s in heard_by_all) - began
        ids = {tuple(s.stanza_ids) for s in heard_by_all}
        prove(len(ids) == 1 and len(heard.stanza_ids) == 1, f"{text!r} was heard under different ids")
        self.said.append((heard.stanza_ids[0], nick, text))
        self.screen.speech(nick, text, f"{took * 1000:.1f} ms")
        return took

    def _kill(self) -> None:
        self.screen.step("Somebody pulls the plug")
        self._pause()
        self._since = {nick: client.now for nick, client in self.people.items()}
        pid = self.node.process.pid
        began = time.monotonic()
        self.node.kill9()
        self.screen.struck(f"kill -9 {pid}: the room service is gone, without a goodbye")
        self.node.start()
        self.screen.done(f"started again (pid {self.node.process.pid}), the hall restored from the database", seconds(began))

    def _talk_on(self) -> None:
        self.screen.step("They talk on")
        for nick, text in AFTER:
            self._say(nick, text)
        for nick, client in self.people.items():
            left = [s for s in client.since(self._since[nick]) if s.name == "presence" and s.room == client.room("hall")]
            prove(not left, f"{nick} saw somebody come or go: {left[:1]}")
            client.ping(f"hall@{SERVICE}/{nick}")
        self.screen.done("both are still inside; nobody entered again, nobody was seen leaving")

    def _read_archive(self) -> None:
        self.screen.step("What the database holds")
        rows = self.node.rows("SELECT archive_id, nick_txt, body_txt, sent_ms FROM muc_message WHERE kind_txt = 'speech' ORDER BY room_id, seq")
        for _, nick, text, sent_ms in rows:
            self.screen.speech(nick, text, datetime.fromtimestamp(sent_ms / 1000).strftime("%H:%M:%S.%f")[:-3])
        prove([tuple(row[:3]) for row in rows] == self.said, f"the archive is not what was heard: {rows} against {self.said}")
        self.screen.done(f"{len(rows)} messages, each once, in the order and under the ids they were heard with")

    def stay(self) -> None:
        """Keeps everything up for a visitor until Ctrl-C."""
        screen = self.screen
        screen.rule()
        screen.says("Your turn: join with a client of your own.")
        screen.fact("account", f"you@{HOST}, password: you")
        screen.fact("server", f"127.0.0.1 port {self.server.c2s} (STARTTLS with a self-signed certificate, or plain)")
        screen.fact("room", f"hall@{SERVICE}")
        screen.fact("database", f"sqlite3 {self.node.database}")
        screen.fact("metrics", f"http://127.0.0.1:{self.node.http}/metrics")
        screen.fact("pull it", f"kill -9 {self.node.process.pid}   (it is started again)")
        screen.says("")
        screen.says("Ctrl-C ends it and removes everything.")
        while True:
            try:
                self.node.process.wait(3600 * 24)
            except process.Died:
                continue
            screen.struck("the room service is gone")
            began = time.monotonic()
            self.node.start()
            screen.done(f"started again (pid {self.node.process.pid})", seconds(began))

    def _pause(self) -> None:
        """Reading speed, only where somebody watches."""
        if self._is_paced:
            time.sleep(0.7)


def prove(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise Unproven(otherwise)


def seconds(began: float) -> str:
    return f"{time.monotonic() - began:.2f} s"


def millis(began: float) -> str:
    return f"{(time.monotonic() - began) * 1000:.1f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(description="Two people, one room, one kill -9.")
    parser.add_argument("--server", choices=sorted(NAMES), default="prosody")
    parser.add_argument("--once", action="store_true", help="end after the story (so it does without a terminal)")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even where a shell started us in the background
    screen = Screen()
    is_watched = screen.is_terminal and sys.stdin.isatty() and not options.once
    demo = None
    try:
        screen.title("Tandem MUC", "a room that outlives kill -9")
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
    except (Unproven, NotHeard, Refused, process.Died, OSError) as error:
        screen.failure(str(error))
        log = demo.node.process.log_tail(12) if demo else ""
        if log and not isinstance(error, process.Died):
            screen.says("the node's last words:")
            screen.says(log)
        return 1
    finally:
        process.end_all()


if __name__ == "__main__":
    sys.exit(main())
