#!/usr/bin/python3
"""`make bench-pair`: how long a room is silent when a node is killed, stopped, or moves its work in good order.

A talker says a number every two milliseconds, a listener notes when each was heard. What is printed is the longest
silence the listener met around each event: an upper bound, for two milliseconds of it are the talker's own.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "e2e"), str(Path(__file__).parent)]

from harness import process  # noqa: E402
from harness.client import Client  # noqa: E402
from harness.database import Postgresql, Sqlite  # noqa: E402
from harness.ejabberd import Ejabberd  # noqa: E402
from harness.pair import Pair  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.prosody import Prosody  # noqa: E402
from harness.relay import Relay  # noqa: E402
from lean import Lean  # noqa: E402
from rooms import fill  # noqa: E402

HOST, SERVICE, SECRET = "localhost", "conference.localhost", "bench-secret"
# A twin back for less than a quarter of a second cannot know yet that a free lock is a dead holder's: it waits up to a second.
STANDING_S = 0.5
ACCOUNTS = {name: name for name in ("owner", "talker", "listener")}
PACE_S = 0.002
ROOMS = (1, 100_000)
BUDGETS = {  # event: (median, worst) in ms; none where there is none
    "kill -9": (50, 250),
    "planned move": (None, 100),
    "stopped node": (None, 3_000),
}


class Bench:
    """A server, a relay where wanted, a pair, a talker and a listener in one room."""

    def __init__(self, options: argparse.Namespace, rooms: int):
        accounts = {"host": HOST, "domains": {SERVICE: SECRET}, "accounts": ACCOUNTS}
        self.server = (Prosody(nagle=False, **accounts) if options.server == "prosody" else Ejabberd(**accounts)).start()
        relay = Relay(domains=self.server.domains, server_port=self.server.component).start() if options.level == 2 else None
        database = Postgresql(Postgres().start(), "bench") if options.store == "postgresql" else Sqlite(process.directory("database"))
        self.pair = Pair(self.server, database, services={SERVICE: "a"}, secrets=self.server.domains, relay=relay, extra={"pair": {"moves_max": 100_000}}).start()
        owner = Client("owner", "owner", host=HOST, port=self.server.c2s, service=SERVICE).connect()
        owner.create("hall", "Owner", {"muc#roomconfig_persistentroom": "1"})
        fill(database, rooms - 1, SERVICE)
        self.talker, self.listener = (Lean(name, name, host=HOST, port=self.server.c2s) for name in ("talker", "listener"))
        for client, nick in ((self.talker, "Talker"), (self.listener, "Listener")):
            client.enter(f"hall@{SERVICE}", nick)
        owner.close()
        self.talk = self.talker.talk(f"hall@{SERVICE}", PACE_S)
        self.listener.until_heard(500)

    def kill(self) -> float:
        old = self.pair.holder()
        began = time.monotonic()
        old.kill9()
        silence = self._silence(began)
        self.pair.until_spoken_by(self.pair.other(old).name)
        old.launch()
        self.pair.until_fit()
        time.sleep(STANDING_S)
        return silence

    def stop(self) -> float:
        old = self.pair.holder()
        began = time.monotonic()
        old.freeze()
        self.pair.until_spoken_by(self.pair.other(old).name)
        silence = self._silence(began)
        old.thaw()
        self.pair.until_fit()
        return silence

    def move(self) -> float:
        kind = "switch-over" if self.pair.speaker() == "a" else "fallback"
        began = time.monotonic()
        self.pair.moved(kind)
        silence = self._silence(began)
        self.pair.until_fit()
        return silence

    def _silence(self, began: float) -> float:
        """The longest silence from then on until the talk has gone on for a while."""
        self.listener.until_heard(100)
        time.sleep(0.1)  # not an event: the silence after the event is part of what is measured
        return self.listener.silence_s(began) * 1000

    def account(self) -> str:
        """What the listener heard of what was said, and what is kept."""
        self.talk.end()
        said = self.talk.said
        deadline = time.monotonic() + 5
        while len({number for number, _ in self.listener.heard}) < said and time.monotonic() < deadline:
            time.sleep(0.05)
        kept = [body for _, body in self.pair.archive() if body.isdigit()]
        numbers = [number for number, _ in self.listener.heard]
        first = list(dict.fromkeys(numbers))
        lost = len(set(map(int, kept)) - set(first))
        reordered = sum(b < a for a, b in zip(first, first[1:], strict=False))
        return (
            f"{said} said, {len(set(kept))} kept, {said - len(set(kept))} refused or unheard; of those kept: lost {lost}, "
            f"doubled {len(kept) - len(set(kept))}, out of order {reordered}, repeated under the same id {len(numbers) - len(first)}"
        )


def line(event: str, rooms: int, silences: list[float]) -> str:
    median_max, worst_max = BUDGETS[event]
    median, worst = statistics.median(silences), max(silences)
    p99 = sorted(silences)[min(len(silences) - 1, round(0.99 * (len(silences) - 1)))]
    limits = [f"median < {median_max} ms"] if median_max else []
    limits.append(f"worst < {worst_max} ms")
    is_met = worst < worst_max and (median_max is None or median < median_max)
    return f"{event:<14}{rooms:>9,}{len(silences):>6}{median:>10.1f}{p99:>10.1f}{worst:>10.1f}   {', '.join(limits):<32}{'met' if is_met else 'MISSED'}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Gap and pause of a pair, beside their budget.")
    parser.add_argument("--server", choices=("prosody", "ejabberd"), default="prosody")
    parser.add_argument("--store", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--level", type=int, choices=(0, 1, 2), default=2, help="2: through the relay")
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    if options.server == "ejabberd" and options.level < 2:
        print("bench-pair: a bare ejabberd splits stanzas between two components; there is nothing to measure", file=sys.stderr)
        return 2
    how = "through the relay" if options.level == 2 else "directly"
    print(f"The longest silence a listener meets, in milliseconds; a message every {PACE_S * 1000:.0f} ms.")
    print(f"{options.server}, {options.store}, {how}; {os.cpu_count()} cores for everything, load before it {os.getloadavg()[0]:.1f}\n")
    print(f"{'event':<14}{'rooms':>9}{'runs':>6}{'median':>10}{'p99':>10}{'worst':>10}   budget")
    try:
        for rooms in ROOMS:
            bench = Bench(options, rooms)
            for event, once, runs in (("kill -9", bench.kill, options.runs), ("planned move", bench.move, options.runs), ("stopped node", bench.stop, max(1, options.runs // 6))):
                print(line(event, rooms, [once() for _ in range(runs)]), flush=True)
            print(f"  {bench.account()}\n", flush=True)
            process.end_all()
    finally:
        process.end_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
