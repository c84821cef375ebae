"""The account of a chorus: what was said and heard, held against what was kept."""

import re
from collections import Counter
from dataclasses import dataclass, field

NUMBERED = re.compile(r"^(\w+) #(\d+)$")


def stanza_id(nick: str, number: int) -> str:
    return f"sung-{nick}-{number}"


def is_numbered(stanza, room: str) -> bool:
    """Whether this is a live message of a chorus in that room."""
    return stanza.name == "message" and stanza.type == "groupchat" and stanza.room == room and not stanza.is_history and bool(NUMBERED.match(stanza.body or ""))


@dataclass
class Account:
    """What came of a chorus. `lost`: kept and not heard by somebody; `unanswered`: said, and neither kept nor refused."""

    said: int = 0
    kept: int = 0
    bounced: Counter = field(default_factory=Counter)  # condition to number
    unanswered: int = 0
    lost: dict[str, list[str]] = field(default_factory=dict)
    doubled: dict[str, list[str]] = field(default_factory=dict)
    reordered: dict[str, list[str]] = field(default_factory=dict)
    unkept: dict[str, list[str]] = field(default_factory=dict)  # heard and not in the archive
    repeated: int = 0  # heard again under a known id: allowed, a client drops it
    silence_s: dict[str, float] = field(default_factory=dict)
    presences: dict[str, list[str]] = field(default_factory=dict)
    pings: int = 0
    pings_failed: Counter = field(default_factory=Counter)

    @staticmethod
    def of(chorus, archive: list[tuple[str, str]]) -> "Account":
        account = Account(said=sum(chorus.said.values()))
        kept = [(archive_id, body) for archive_id, body in archive if NUMBERED.match(body or "")]
        account.kept = len(kept)
        account._hold_archive(kept)
        for nick, client in chorus.singers.items():
            account._hold_listener(chorus, nick, client, kept)
        account._hold_senders(chorus, {body for _, body in kept})
        account._hold_pings(chorus)
        return account

    def _hold_archive(self, kept: list[tuple[str, str]]) -> None:
        twice = [body for body, n in Counter(body for _, body in kept).items() if n > 1]
        twice += [archive_id for archive_id, n in Counter(archive_id for archive_id, _ in kept).items() if n > 1]
        last: dict[str, int] = {}
        turned = []
        for _, body in kept:
            nick, number = NUMBERED.match(body).groups()
            if int(number) < last.get(nick, -1):
                turned.append(body)
            last[nick] = max(last.get(nick, -1), int(number))
        self.doubled |= {"the archive": twice} if twice else {}
        self.reordered |= {"the archive": turned} if turned else {}

    def _hold_listener(self, chorus, nick: str, client, kept: list[tuple[str, str]]) -> None:
        place = {archive_id: n for n, (archive_id, _) in enumerate(kept)}
        since = [s for s in client.since(chorus.since[nick]) if s.room == client.room(chorus.room)]
        heard = [s for s in since if is_numbered(s, client.room(chorus.room))]
        known: dict[str, str] = {}
        bodies: set[str] = set()
        doubled, turned, unkept, furthest = [], [], [], -1
        for s in heard:
            given = s.stanza_ids[0] if len(s.stanza_ids) == 1 else ""
            if known.get(given) == s.body:
                self.repeated += 1
                continue
            known[given] = s.body
            if s.body in bodies:
                doubled.append(s.body)
            bodies.add(s.body)
            if given not in place or kept[place[given]][1] != s.body:
                unkept.append(s.body)
                continue
            if place[given] < furthest:
                turned.append(s.body)
            furthest = max(furthest, place[given])
        lost = [body for archive_id, body in kept if archive_id not in known]
        seen = [repr(s) for s in since if s.name == "presence"]
        for what, found in ((self.lost, lost), (self.doubled, doubled), (self.reordered, turned), (self.unkept, unkept), (self.presences, seen)):
            what |= {nick: found} if found else {}
        times = [s.at for s in heard]
        self.silence_s[nick] = max((b - a for a, b in zip(times, times[1:], strict=False)), default=0.0)

    def _hold_senders(self, chorus, kept: set[str]) -> None:
        for nick, client in chorus.singers.items():
            errors = {s.id: s.condition for s in client.since(chorus.since[nick]) if s.name == "message" and s.type == "error" and s.room == client.room(chorus.room)}
            for number in range(chorus.said[nick]):
                condition = errors.get(stanza_id(nick, number))
                if condition and f"{nick} #{number}" in kept:
                    self.doubled.setdefault(nick, []).append(f"{nick} #{number}, kept and refused with {condition}")
                elif condition:
                    self.bounced[condition] += 1
                elif f"{nick} #{number}" not in kept:
                    self.unanswered += 1

    def _hold_pings(self, chorus) -> None:
        self.pings = len(chorus.pinged)
        answers = {s.id: s.condition or "" for client in chorus.singers.values() for s in client.since() if s.name == "iq" and s.id in chorus.pinged}
        for number in chorus.pinged:
            if answers.get(number, "no answer"):
                self.pings_failed[answers.get(number, "no answer")] += 1

    @property
    def worst_silence_s(self) -> float:
        return max(self.silence_s.values(), default=0.0)

    def __str__(self) -> str:
        def total(found: dict[str, list[str]]) -> int:
            return sum(map(len, found.values()))

        pings = f", {self.pings} self-pings, {sum(self.pings_failed.values())} failed {dict(self.pings_failed)}" if self.pings else ""
        return (
            f"said {self.said}, kept {self.kept}, bounced {sum(self.bounced.values())} {dict(self.bounced)}, unanswered {self.unanswered}, "
            f"lost {total(self.lost)}, doubled {total(self.doubled)}, reordered {total(self.reordered)}, not kept {total(self.unkept)}, "
            f"repeated under the same id {self.repeated}, presences seen {total(self.presences)}, "
            f"worst silence {self.worst_silence_s * 1000:.0f} ms{pings}"
        )

    def assert_sound(self, *, at_least: int, may_repeat: bool = False) -> None:
        """What holds however a node ends, on any server: all hear all that is kept, once, in order, and see nobody come or go.

        A node that lost its stream and opens another may repeat presences that all know: then only leaving counts.
        """
        print(self)
        if may_repeat:
            leaving = {nick: [s for s in seen if "unavailable" in s] for nick, seen in self.presences.items()}
            self.presences = {nick: seen for nick, seen in leaving.items() if seen}
        for what in ("lost", "doubled", "reordered", "unkept", "presences"):
            found = getattr(self, what)
            first = {who: (len(all_), all_[:3]) for who, all_ in found.items()}
            assert not found, f"{what}: {first}; {self}"
        assert self.kept >= at_least, f"only {self.kept} messages were reflected: too few to mean anything; {self}"

    def assert_whole(self, *, at_least: int, may_repeat: bool = False) -> None:
        """What holds for planned moves, and for every end of a node behind a relay: nothing is refused or missing either."""
        self.assert_sound(at_least=at_least, may_repeat=may_repeat)
        assert not self.bounced and not self.unanswered and not self.pings_failed, str(self)
