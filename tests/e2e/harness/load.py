"""People who keep talking while things break."""

import asyncio
import time
import uuid
from collections import Counter

from .account import Account, is_numbered, stanza_id
from .client import Client, NotHeard, loop


class Chorus:
    """Several occupants of one room, each sending numbered messages at a steady pace until told to stop.

    With `pings_s` each also pings itself (XEP-0410) this often, as a client does that wants to know whether it is in.
    """

    def __init__(self, room: str, singers: dict[str, Client], pace_s: float = 0.004, pings_s: float = 0):
        self.room, self.singers, self._pace_s, self._pings_s = room, singers, pace_s, pings_s
        self.said: Counter[str] = Counter()
        self.pinged: dict[str, str] = {}  # id to nick
        self.since: dict[str, int] = {}
        self._tasks: list = []

    def __enter__(self) -> "Chorus":
        self.since = self.since or {nick: client.now for nick, client in self.singers.items()}
        jobs = [self._sing(nick, client) for nick, client in self.singers.items()]
        jobs += [self._ping(nick, client) for nick, client in self.singers.items() if self._pings_s]
        self._tasks = [asyncio.run_coroutine_threadsafe(job, loop().loop) for job in jobs]
        return self

    def __exit__(self, *_) -> None:
        for task in self._tasks:
            task.cancel()

    async def _sing(self, nick: str, client: Client) -> None:
        while client.is_online:
            number = self.said[nick]
            self.said[nick] += 1
            client.say(self.room, f"{nick} #{number}", id=stanza_id(nick, number))
            await asyncio.sleep(self._pace_s)

    async def _ping(self, nick: str, client: Client) -> None:
        while client.is_online:
            number = f"ping-{uuid.uuid4().hex}"
            self.pinged[number] = nick
            client.send(f"<iq type='get' id='{number}' to='{client.room(self.room)}/{nick}'><ping xmlns='urn:xmpp:ping'/></iq>")
            await asyncio.sleep(self._pings_s)

    def reflected(self) -> int:
        return sum(1 for client in self.singers.values() for s in client.since() if is_numbered(s, client.room(self.room)))

    def until_reflected(self, more: int, patience: float = 30) -> None:
        """Waits until the first singer has heard this many more numbered messages: the load is really flowing."""
        client = next(iter(self.singers.values()))
        since = client.now
        count = 0

        def one_more(stanza) -> bool:
            nonlocal count
            count += is_numbered(stanza, client.room(self.room))
            return count >= more

        client.wait(one_more, f"{more} more numbered messages", since, patience=patience)

    def settle(self, patience: float = 20) -> None:
        """After the singing: each says something that all hear, so everything said before has arrived or never will."""
        for nick, client in self.singers.items():
            text = f"{nick} has finished after {self.said[nick]}"
            _say_till_heard(client, self.room, text, patience)
            for listener, hearing in self.singers.items():
                hearing.hears(self.room, text, nick=nick, since=self.since[listener])

    def silence_s(self, began: float, ended: float) -> dict[str, float]:
        """The longest time each listener heard nothing, of those that touch these two moments of the monotonic clock."""
        longest = {}
        for nick, client in self.singers.items():
            times = [s.at for s in client.since(self.since[nick]) if is_numbered(s, client.room(self.room))]
            touching = [b - a for a, b in zip(times, times[1:], strict=False) if b > began and a < ended]
            longest[nick] = max(touching, default=0.0)
        return longest

    def account(self, archive: list[tuple[str, str]]) -> Account:
        """Everything that was said and heard since the start, held against the archive: (archive id, body) in the room's order."""
        return Account.of(self, archive)


def _say_till_heard(client: Client, room: str, text: str, patience: float) -> None:
    """On a bare server words to a service that is just away are lost or bounced: says it again, as a person would."""
    deadline = time.monotonic() + patience
    while True:
        try:
            if client.say_heard(room, text, patience=3).type != "error":
                return
            time.sleep(0.1)
        except NotHeard:
            pass
        if time.monotonic() > deadline:
            raise NotHeard(f"{client.account} could not make itself heard in {room} within {patience} s")


def assert_nothing_reflected_is_missing(chorus: Chorus, archive: list[tuple[str, str]], *, at_least: int) -> None:
    """Whatever anybody heard is kept, under the id it was heard with, once, and was heard in the order it is kept in.

    For a node that was away for good: what is kept need not have been heard.
    """
    account = chorus.account(archive)
    found = {what: first for what in ("doubled", "reordered", "unkept") if (first := getattr(account, what))}
    assert not found, f"{found}; {account}"
    reflected = chorus.reflected()
    assert reflected >= at_least, f"only {reflected} messages were reflected: too few to mean anything"


def assert_nobody_was_put_out(chorus: Chorus, since: dict[str, int]) -> None:
    """No unavailable presence of anybody and no status 332 or 333 was seen by any singer."""
    for nick, client in chorus.singers.items():
        seen = [s for s in client.since(since[nick]) if s.name == "presence" and s.room == client.room(chorus.room) and s.type == "unavailable"]
        assert not seen, f"{nick} saw somebody leave: {seen[0]!r}"
