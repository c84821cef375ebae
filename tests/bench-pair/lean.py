"""A client that costs next to nothing: a socket, two threads, and the moment at which each number was heard.

It speaks just enough XMPP to sit in a room and count. What it measures is the silence in the room, not its own parsing.
"""

import base64
import re
import socket
import threading
import time

NUMBER = re.compile(rb"<body>(\d+)</body>")
HOST = "127.0.0.1"


class Lean:
    """One occupant."""

    def __init__(self, account: str, password: str, *, host: str, port: int):
        self.jid = f"{account}@{host}/lean"
        self._socket = socket.create_connection((HOST, port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        token = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
        self._open(host)
        self._ask(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>", b"<success")
        self._open(host)
        self._ask("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>lean</resource></bind></iq>", b"</iq>")
        self._ask("<presence/>", b"<presence")
        self.heard: list[tuple[int, float]] = []
        self.errors = 0
        self._changed = threading.Condition()

    def _open(self, host: str) -> None:
        self._ask(f"<?xml version='1.0'?><stream:stream to='{host}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", b"</stream:features>")

    def _ask(self, text: str, until: bytes) -> None:
        self._socket.sendall(text.encode())
        while until not in self._rest:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError(f"{self.jid}: the server hung up, waiting for {until!r}")
            self._rest += piece
        self._rest = b""

    def enter(self, room: str, nick: str) -> None:
        self._ask(f"<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>", b"<subject")
        self._socket.settimeout(None)
        threading.Thread(target=self._listen, name=f"{nick} listens", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                piece = self._socket.recv(262144)
            except OSError:
                return
            if not piece:
                return
            at = time.monotonic()
            text = self._rest + piece
            end = 0
            found = []
            for match in NUMBER.finditer(text):
                found.append((int(match[1]), at))
                end = match.end()
            self.errors += text.count(b"type='error'", end and 0) + text.count(b'type="error"')
            self._rest = text[max(end, len(text) - 64) :]
            if found:
                with self._changed:
                    self.heard += found
                    self._changed.notify_all()

    def talk(self, room: str, pace_s: float) -> "Talk":
        return Talk(self._socket, room, pace_s)

    def until_heard(self, more: int, patience: float = 30) -> None:
        """Waits until this many more numbers were heard."""
        with self._changed:
            goal = len(self.heard) + more
            if not self._changed.wait_for(lambda: len(self.heard) >= goal, patience):
                raise TimeoutError(f"{self.jid} heard only {len(self.heard) + more - goal} of {more} messages within {patience} s")

    def silence_s(self, began: float) -> float:
        """The longest silence since that moment."""
        with self._changed:
            times = [at for _, at in self.heard if at > began - 0.05]
        return max((b - a for a, b in zip(times, times[1:], strict=False)), default=0.0)


class Talk:
    """Says one number after the other until it is ended."""

    def __init__(self, to: socket.socket, room: str, pace_s: float):
        self._socket, self._room, self._pace_s = to, room, pace_s
        self.said = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="talk", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ends.is_set():
            self._socket.sendall(f"<message type='groupchat' to='{self._room}' id='n{self.said}'><body>{self.said}</body></message>".encode())
            self.said += 1
            due = max(due + self._pace_s, time.monotonic() - 0.05)
            time.sleep(max(0.0, due - time.monotonic()))

    def end(self) -> None:
        self._ends.set()
        self._thread.join(5)
