"""A crowd: many occupants, each with a stream of its own to the real server, in one thread that costs next to nothing.

Each member keeps what it believes - who is inside, what was said and in which order - so that all their views can be held
against each other. It speaks just enough XMPP for that.
"""

import base64
import re
import selectors
import socket
import time
from collections import deque

from .ports import HOST

STANZA = re.compile(rb"<(presence|message|iq)\b(?:[^>]*/>|.*?</\1>)", re.S)
FROM, TYPE, ID = (re.compile(rb"^<\w+[^>]*?\s" + name + rb"=['\"]([^'\"]*)") for name in (b"from", b"type", b"id"))
AT_ONCE = 50  # members that do something before the crowd waits for them


class Member:
    """One stream and what its owner believes."""

    def __init__(self, account: str, password: str, resource: str, nick: str, *, host: str, port: int):
        self.nick, self.jid = nick, f"{account}@{host}/{resource}"
        self.view: set[str] = set()
        self.said: list[str] = []  # ids of messages, as heard
        self.left: list[str] = []  # who left, as seen
        self.errors: list[str] = []
        self.is_online = self.is_inside = self.has_subject = False
        token = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
        opening = f"<?xml version='1.0'?><stream:stream to='{host}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        self._steps = deque([
            (opening, b"</stream:features>"),
            (f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>", b"<success"),
            (opening, b"</stream:features>"),
            (f"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>", b"</iq>"),
            ("<presence/>", b"<presence"),
        ])  # fmt: skip
        self._until = b""
        self._rest = b""
        self._waiting = b""
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.socket.setblocking(False)
        self._go_on()

    def send(self, text: str) -> None:
        self._waiting += text.encode()
        self.flush()

    def flush(self) -> None:
        try:
            while self._waiting:
                self._waiting = self._waiting[self.socket.send(self._waiting) :]
        except BlockingIOError:
            pass

    def _go_on(self) -> None:
        if self._steps:
            text, self._until = self._steps.popleft()
            self.send(text)
        else:
            self._until, self.is_online = b"", True

    def read(self, room: bytes) -> int:
        """Takes in what has come; gives the number of stanzas."""
        count = 0
        try:
            while piece := self.socket.recv(262144):
                self._rest += piece
                if len(piece) < 262144:
                    break
            else:
                raise ConnectionError(f"{self.jid}: the server hung up: {self._rest[-300:]!r}")
        except BlockingIOError:
            pass
        if self._until:
            if self._until in self._rest:
                self._rest = b""
                self._go_on()
            return 0
        end = 0
        for found in STANZA.finditer(self._rest):
            end, count = found.end(), count + 1
            self._take(found[1], found[0], room)
        self._rest = self._rest[end:]
        return count

    def _take(self, name: bytes, stanza: bytes, room: bytes) -> None:
        sender = FROM.match(stanza)
        if not sender or not sender[1].startswith(room):
            return
        nick = sender[1][len(room) + 1 :].decode()
        kind = TYPE.match(stanza)
        kind = kind[1] if kind else b""
        if kind == b"error":
            self.errors.append(stanza.decode())
        elif name == b"message":
            if b"<subject" in stanza:
                self.has_subject = True
            elif b"<body" in stanza:
                self.said.append(ID.match(stanza)[1].decode())
        elif name == b"presence":
            is_own = b"code='110'" in stanza or b'code="110"' in stanza
            if kind == b"":
                if nick in self.view and not is_own:
                    self.errors.append(f"{nick} came twice")
                self.view.add(nick)
                self.is_inside |= is_own
            elif is_own:
                self.is_inside = False
            else:
                if nick not in self.view:
                    self.errors.append(f"{nick} left and was not there")
                self.view.discard(nick)
                self.left.append(nick)


class Crowd:
    """Everybody, moved by one selector."""

    def __init__(self, room: str):
        self.room, self.members, self.stanzas = room, [], 0
        self._selector = selectors.DefaultSelector()

    def join(self, *members: Member) -> None:
        for member in members:
            self.members.append(member)
            self._selector.register(member.socket, selectors.EVENT_READ, member)

    def until(self, is_so, what: str, patience: float = 60) -> None:
        """Reads for everybody until it is so; `patience` is how long nothing at all may come."""
        last = time.monotonic()
        while not is_so():
            ready = self._selector.select(0.1)
            self.stanzas += sum(key.data.read(self.room.encode()) for key, _ in ready)
            for member in self.members:
                member.flush()
            now = time.monotonic()
            last = now if ready else last
            if now - last > patience:
                raise TimeoutError(f"nothing came for {patience} s, waiting for {what}")

    def each(self, members: list[Member], do, is_done, what: str) -> None:
        """Has them do something, some at once, and waits until it is done by all of them."""
        for begin in range(0, len(members), AT_ONCE):
            some = members[begin : begin + AT_ONCE]
            for member in some:
                do(member)
            self.until(lambda some=some: all(is_done(member) for member in some), what)

    def enter(self, member: Member) -> None:
        member.send(f"<presence to='{self.room}/{member.nick}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>")

    def leave(self, member: Member) -> None:
        member.send(f"<presence type='unavailable' to='{self.room}/{member.nick}'/>")

    def say(self, member: Member, id: str) -> None:
        member.send(f"<message type='groupchat' id='{id}' to='{self.room}'><body>{id}</body></message>")

    def end(self) -> None:
        for member in self.members:
            self._selector.unregister(member.socket)
            member.socket.close()
        self._selector.close()
