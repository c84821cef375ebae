"""People who keep talking while things break, and the account of what was heard against what was kept."""

import asyncio
import re
from collections import Counter

from .client import Client, loop

NUMBERED = re.compile(r"^\w+ #\d+$")


class Chorus:
    """Several occupants of one room, each sending numbered messages at a steady pace until told to stop."""

    def __init__(self, room: str, singers: dict[str, Client], pace_s: float = 0.004):
        self.room, self.singers, self._pace_s = room, singers, pace_s
        self.said: Counter[str] = Counter()
        self._tasks: list = []

    def __enter__(self) -> "Chorus":
        self._tasks = [asyncio.run_coroutine_threadsafe(self._sing(nick, client), loop().loop) for nick, client in self.singers.items()]
        return self

    def __exit__(self, *_) -> None:
        for task in self._tasks:
            task.cancel()

    async def _sing(self, nick: str, client: Client) -> None:
        while client.is_online:
            number = self.said[nick]
            self.said[nick] += 1
            client.say(self.room, f"{nick} #{number}")
            await asyncio.sleep(self._pace_s)

    def reflected(self) -> int:
        return sum(1 for client in self.singers.values() for s in client.since() if _is_numbered(s))

    def until_reflected(self, more: int) -> None:
        """Waits until the first singer has heard this many more numbered messages: the load is really flowing."""
        client = next(iter(self.singers.values()))
        since = client.now
        count = 0

        def one_more(stanza) -> bool:
            nonlocal count
            count += _is_numbered(stanza)
            return count >= more

        client.wait(one_more, f"{more} more numbered messages", since, patience=30)


def _is_numbered(stanza) -> bool:
    return stanza.name == "message" and stanza.type == "groupchat" and not stanza.is_history and bool(NUMBERED.match(stanza.body or ""))


def assert_nothing_reflected_is_missing(chorus: Chorus, archive: list[tuple[str, str]], *, at_least: int) -> None:
    """Holds what every singer heard against the archive, given as (archive id, body) in the room's order.

    Whatever anybody heard is kept, under the id it was heard with, once, and was heard in the order it is kept in.
    """
    ids = [archive_id for archive_id, _ in archive]
    assert not [i for i, n in Counter(ids).items() if n > 1], "an archive id was given twice"
    kept = [(archive_id, body) for archive_id, body in archive if NUMBERED.match(body or "")]
    assert not [b for b, n in Counter(body for _, body in kept).items() if n > 1], "a message is kept twice"
    place = {archive_id: n for n, (archive_id, _) in enumerate(kept)}
    body_of = dict(kept)
    total = 0
    for nick, client in chorus.singers.items():
        heard = [s for s in client.since() if _is_numbered(s) and s.room == client.room(chorus.room)]
        total += len(heard)
        assert all(len(s.stanza_ids) == 1 for s in heard), f"{nick} heard a message without an id from the room"
        missing = [s for s in heard if body_of.get(s.stanza_ids[0]) != s.body]
        assert not missing, f"{nick} heard {len(missing)} messages that are not in the archive, the first: {missing[0]!r}"
        first_heard = list(dict.fromkeys(place[s.stanza_ids[0]] for s in heard))
        assert first_heard == sorted(first_heard), f"{nick} heard messages in another order than they are kept in"
    assert total >= at_least, f"only {total} messages were reflected: too few to mean anything"


def assert_nobody_was_put_out(chorus: Chorus, since: dict[str, int]) -> None:
    """No unavailable presence of anybody and no status 332 or 333 was seen by any singer."""
    for nick, client in chorus.singers.items():
        seen = [s for s in client.since(since[nick]) if s.name == "presence" and s.room == client.room(chorus.room) and s.type == "unavailable"]
        assert not seen, f"{nick} saw somebody leave: {seen[0]!r}"
