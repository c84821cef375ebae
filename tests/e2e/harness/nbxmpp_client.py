"""A person with the library of Gajim: nbxmpp, which reads rooms as Gajim does and runs in GLib's loop.

What it makes of each stanza is kept in order, and so is every warning it logs: Gajim drops what it calls malformed.
"""

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass

from gi.repository import GLib
from nbxmpp.client import Client as Stream
from nbxmpp.const import ConnectionProtocol, ConnectionType
from nbxmpp.namespaces import Namespace
from nbxmpp.protocol import JID, Message, Presence
from nbxmpp.structs import MessageProperties, PresenceProperties, StanzaHandler

from .client import PATIENCE
from .ports import HOST
from .waiting import until

_said: list[str] = []


class _Complaints(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if not record.getMessage().endswith("Ignore all errors"):  # of the certificate, as it was told to
            _said.append(record.getMessage())


_logger = logging.getLogger("nbxmpp")
_logger.propagate = False
_logger.addHandler(_Complaints(logging.WARNING))


@dataclass
class Event:
    """One stanza, as the library understood it."""

    name: str
    what: MessageProperties | PresenceProperties


class NbxmppClient:
    """One session of one account."""

    _loop: threading.Thread | None = None

    def __init__(self, account: str, password: str, *, host: str, port: int, resource: str = "gajim"):
        self.account, self.bare, self._resource = account, f"{account}@{host}", resource
        self._password, self._host, self._port = password, host, port
        self.events: list[Event] = []
        self._before = len(_said)
        self._kept_alive: list = []  # the library holds callbacks weakly

    @property
    def complaints(self) -> list[str]:
        """What the library warned of since the start."""
        return _said[self._before :]

    def connect(self) -> "NbxmppClient":
        if NbxmppClient._loop is None:
            NbxmppClient._loop = threading.Thread(target=GLib.MainLoop().run, name="glib", daemon=True)
            NbxmppClient._loop.start()
        online: Future = Future()
        self._do(self._open, online)
        online.result(PATIENCE)
        return self

    def _open(self, online: Future) -> None:
        stream = self.stream = Stream(log_context=self.account)
        stream.set_domain(self._host)
        stream.set_username(self.account)
        stream.set_resource(self._resource)
        stream.set_password(self._password)
        stream.set_custom_host(f"{HOST}:{self._port}", ConnectionProtocol.TCP, ConnectionType.START_TLS)
        stream.set_connection_types([ConnectionType.START_TLS])
        stream.set_protocols([ConnectionProtocol.TCP])
        stream.set_ignore_tls_errors(True)  # the certificate is the test's own
        handlers = {
            "connected": lambda *_: online.set_result(None),
            "connection-failed": lambda *_: online.set_exception(ConnectionError(str(stream.get_error()))),
            "disconnected": lambda *_: None,
        }
        self._kept_alive.append(handlers)
        for signal, handler in handlers.items():
            stream.subscribe(signal, handler)
        for name in ("presence", "message"):
            handler = StanzaHandler(name=name, callback=lambda _stream, _stanza, what, name=name: self.events.append(Event(name, what)), priority=60)
            stream.register_handler(handler)
        stream.connect()

    def close(self) -> None:
        self._do(self.stream.disconnect)

    def _do(self, function, *arguments) -> None:
        """Runs it in GLib's loop."""
        GLib.idle_add(lambda: function(*arguments) and False)

    # asking

    def ask(self, module: str, method: str, *arguments, patience: float = PATIENCE, **more):
        """Calls one of the library's asking methods, as Gajim does; gives what it made of the answer, or raises its error."""
        answer: Future = Future()

        def done(task) -> None:
            try:
                answer.set_result(task.finish())
            except Exception as error:
                answer.set_exception(error)

        self._kept_alive.append(done)
        self._do(lambda: getattr(self.stream.get_module(module), method)(*arguments, callback=done, **more) and None)
        return answer.result(patience)

    def call(self, module: str, method: str, *arguments) -> None:
        """Calls one that expects no answer."""
        self._do(lambda: getattr(self.stream.get_module(module), method)(*arguments) and None)

    # rooms

    @property
    def now(self) -> int:
        return len(self.events)

    def wait(self, name: str, fits, what: str, since: int = 0, patience: float = PATIENCE):
        """The first stanza of this name from `since` on of which the library says what fits."""
        found: list = []

        def is_so() -> bool:
            found.extend(event.what for event in self.events[since:] if event.name == name and fits(event.what))
            return bool(found)

        until(is_so, lambda: f"nbxmpp sees {what}; it saw {[event.what for event in self.events[since:]][-6:]}", patience)
        return found[0]

    def enter(self, room: str, nick: str, since: str | None = None) -> PresenceProperties:
        """Enters as Gajim does: with no history where it reads the archive."""
        began = self.now

        def send() -> None:
            presence = Presence(to=JID.from_string(f"{room}/{nick}"))
            x = presence.setTag("x", namespace=Namespace.MUC)
            x.setTag("history", {"since": since} if since else {"maxchars": "0"})
            self.stream.send_stanza(presence)

        self._do(send)
        return self.wait("presence", lambda p: str(p.jid.new_as_bare()) == room and (p.is_muc_self_presence or p.type.is_error), f"itself in {room}", began)

    def say(self, room: str, text: str) -> None:
        self._do(lambda: self.stream.send_stanza(Message(to=JID.from_string(room), body=text, typ="groupchat")) and None)

    def hears(self, text: str, since: int = 0, patience: float = PATIENCE) -> MessageProperties:
        return self.wait("message", lambda m: m.body == text, f"{text!r}", since, patience)
