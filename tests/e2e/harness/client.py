"""A person with a real client: slixmpp, an implementation unrelated to ours, driven step by step.

slixmpp connects, authenticates, parses and builds the stanzas; every stanza it receives is kept in order, so that a
test can ask what was heard and what was not. All waiting is bounded and says what it waited for.
"""

import asyncio
import atexit
import inspect
import logging
import threading
import time
import uuid
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

for _name in ("slixmpp", "asyncio"):  # before the import: slixmpp warns about its own build, asyncio about what slixmpp leaves open
    logging.getLogger(_name).setLevel(logging.CRITICAL)

import slixmpp  # noqa: E402
from slixmpp.plugins.xep_0045 import muc as _slixmpp_muc  # noqa: E402

from .heard import Heard  # noqa: E402
from .ports import HOST  # noqa: E402

PATIENCE = 10.0  # seconds for anything a room should answer at once, on a busy machine

_slixmpp_muc.print = lambda *_: None  # COMPAT(slixmpp 1.8, 2022): join_muc_wait prints each history stamp


class Refused(Exception):
    """An error stanza in answer to what was asked."""

    def __init__(self, heard: Heard):
        super().__init__(f"{heard.error_type}/{heard.condition}: {heard!r}")
        self.heard, self.condition, self.error_type = heard, heard.condition, heard.error_type


class NotHeard(AssertionError):
    """What was waited for did not come."""


@dataclass
class Entry:
    """What entering a room brought, in the order of XEP-0045 §7.1."""

    others: list[Heard] = field(default_factory=list)
    own: Heard | None = None
    history: list[Heard] = field(default_factory=list)
    subject: Heard | None = None


class Loop:
    """One asyncio loop in a thread of its own, shared by all clients of a run."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="clients", daemon=True)
        self.thread.start()

    def run(self, coroutine, patience: float = PATIENCE * 2):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(patience)

    def call(self, function, *args) -> None:
        self.loop.call_soon_threadsafe(function, *args)

    def end(self) -> None:
        """Cancels what slixmpp still has in hand and ends the thread."""

        async def cancel() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=2) if tasks else None

        self.run(cancel())
        self.call(self.loop.stop)
        self.thread.join(2)


_loop: Loop | None = None


def loop() -> Loop:
    global _loop
    if _loop is None:
        _loop = Loop()
        atexit.register(_loop.end)
    return _loop


class _Stream(slixmpp.ClientXMPP):
    """slixmpp's client, with an ear before all of its own."""

    def __init__(self, jid: str, password: str, ear):
        super().__init__(jid, password, plugin_config={"feature_mechanisms": {"unencrypted_plain": True}})
        self._ear = ear
        for plugin in ("xep_0004", "xep_0030", "xep_0045", "xep_0199", "xep_0203"):
            self.register_plugin(plugin)

    def _spawn_event(self, xml):
        self._ear(xml)
        try:
            super()._spawn_event(xml)
        except Exception:  # COMPAT(slixmpp 1.8, 2022): an address it cannot prepare would close its connection
            logging.getLogger("slixmpp").debug("not understood", exc_info=True)


class Client:
    """One session of one account."""

    def __init__(self, account: str, password: str, *, host: str, port: int, service: str, resource: str = "e2e"):
        self.account, self.service = account, service
        self.jid, self.full_jid = f"{account}@{host}", f"{account}@{host}/{resource}"
        self._password, self._port = password, port
        self.heard: list[Heard] = []
        self._changed = threading.Condition()
        self.is_online = False

    # the stream

    def connect(self) -> "Client":
        loop().run(self._open())
        return self

    async def _open(self) -> None:
        stream = self.stream = _Stream(self.full_jid, self._password, self._ear)
        online = asyncio.get_running_loop().create_future()

        def done(error: str | None):
            if not online.done():
                online.set_exception(ConnectionError(error)) if error else online.set_result(None)

        stream.add_event_handler("session_start", lambda _: done(None))
        stream.add_event_handler("failed_all_auth", lambda _: done(f"{self.jid}: the server refused the password"))
        stream.add_event_handler("connection_failed", lambda why: done(f"{self.jid}: no server on port {self._port}: {why}"))
        stream.add_event_handler("disconnected", self._on_disconnected)
        if "address" in inspect.signature(stream.connect).parameters:
            stream.connect((HOST, self._port), force_starttls=False, disable_starttls=True)
        else:  # slixmpp 1.9 and newer
            stream.enable_starttls = stream.enable_direct_tls = False
            stream.enable_plaintext = True
            stream.connect(HOST, self._port)
        try:
            await asyncio.wait_for(online, PATIENCE)
        except ConnectionError:
            stream.abort()
            raise
        stream.send_presence()  # without it, the server keeps what is sent to the bare JID
        self.is_online = True

    def _on_disconnected(self, _reason) -> None:
        with self._changed:
            self.is_online = False
            self._changed.notify_all()

    def _ear(self, xml) -> None:
        with self._changed:
            self.heard.append(Heard(xml, len(self.heard)))
            self._changed.notify_all()

    def close(self) -> None:
        """Says goodbye to the server as a client does that quits."""
        if self.is_online:
            loop().call(self.stream.disconnect)
            self.until(lambda: not self.is_online, f"{self.account}'s stream closes")

    def abort(self) -> None:
        """Drops the connection without a word."""
        loop().call(self.stream.abort)

    def send(self, xml: str) -> None:
        """Writes one stanza exactly as given."""
        loop().call(self.stream.send_raw, xml)

    # hearing

    @property
    def now(self) -> int:
        """A bookmark: what is heard from here on has a place at or beyond it."""
        with self._changed:
            return len(self.heard)

    def since(self, place: int = 0) -> list[Heard]:
        with self._changed:
            return self.heard[place:]

    def until(self, is_so, what: str, patience: float = PATIENCE) -> None:
        with self._changed:
            if not self._changed.wait_for(is_so, patience):
                lately = "\n  ".join(repr(stanza) for stanza in self.heard[-8:])
                raise NotHeard(f"{self.account} waited {patience} s in vain: {what}; lately heard:\n  {lately}")

    def wait(self, fits, what: str, since: int = 0, patience: float = PATIENCE) -> Heard:
        """The first stanza from `since` on that fits; waits for it if it has not come yet."""
        found: list[Heard] = []
        place = since

        def is_so() -> bool:
            nonlocal place
            while place < len(self.heard):
                stanza = self.heard[place]
                place += 1
                if fits(stanza):
                    found.append(stanza)
                    return True
            return False

        self.until(is_so, what, patience)
        return found[0]

    # asking

    def ask(self, kind: str, to: str, payload: str, patience: float = PATIENCE) -> Heard:
        """Sends an IQ and gives the answer; an error is raised as `Refused`."""
        iq, since = uuid.uuid4().hex, self.now
        self.send(f"<iq type='{kind}' id='{iq}' to={quoteattr(to)}>{payload}</iq>")
        answer = self.wait(
            lambda s: s.name == "iq" and s.id == iq and s.type in ("result", "error"), f"an answer to {payload} from {to}", since, patience
        )
        if answer.type == "error":
            raise Refused(answer)
        return answer

    def ask_slixmpp(self, coroutine_of):
        """Runs one of slixmpp's own asking methods: `coroutine_of(stream)`."""

        async def run():
            return await coroutine_of(self.stream)

        return loop().run(run())

    def ping(self, to: str, patience: float = PATIENCE) -> Heard:
        return self.ask("get", to, "<ping xmlns='urn:xmpp:ping'/>", patience)

    # rooms

    def room(self, name: str) -> str:
        return name if "@" in name else f"{name}@{self.service}"

    def enter(self, name: str, nick: str, *, history: dict | None = None, password: str | None = None, patience: float = PATIENCE) -> Entry:
        """Enters a room and waits until its subject has come; an error is raised as `Refused`."""
        room, since = self.room(name), self.now
        self.send_entering(name, nick, history=history, password=password)
        return self.entered(room, since, patience)

    def send_entering(self, name: str, nick: str, *, history: dict | None = None, password: str | None = None, extra: str = "") -> None:
        inner = f"<password>{escape(password)}</password>" if password is not None else ""
        if history is not None:
            inner += "<history " + " ".join(f"{key}={quoteattr(str(value))}" for key, value in history.items()) + "/>"
        to = quoteattr(f"{self.room(name)}/{nick}")
        self.send(f"<presence to={to}><x xmlns='http://jabber.org/protocol/muc'>{inner}</x>{extra}</presence>")

    def entered(self, room: str, since: int, patience: float = PATIENCE) -> Entry:
        """Waits for everything that follows the entering presence sent at `since`."""
        def is_answer(s):
            return s.is_presence_of(room) and (s.type == "error" or 110 in s.codes)

        own = self.wait(is_answer, f"to be inside {room}", since, patience)
        if own.type == "error":
            raise Refused(own)
        subject = self.wait(
            lambda s: s.name == "message" and s.room == room and s.subject is not None, f"the subject of {room}", own.place, patience
        )
        between = self.since(since)[: subject.place - since]
        return Entry(
            others=[s for s in between if s.is_presence_of(room) and s.type is None and s is not own],
            own=own,
            history=[s for s in between if s.name == "message" and s.room == room and s.place > own.place],
            subject=subject,
        )

    def leave(self, name: str, nick: str) -> Heard:
        room, since = self.room(name), self.now
        self.send(f"<presence type='unavailable' to={quoteattr(f'{room}/{nick}')}/>")
        return self.wait(lambda s: s.is_presence_of(room) and s.type == "unavailable" and 110 in s.codes, f"to be outside {room}", since)

    def say(self, name: str, text: str, *, id: str | None = None, extra: str = "") -> str:
        stanza_id = id or uuid.uuid4().hex[:12]
        self.send(
            f"<message type='groupchat' id={quoteattr(stanza_id)} to={quoteattr(self.room(name))}><body>{escape(text)}</body>{extra}</message>"
        )
        return stanza_id

    def say_heard(self, name: str, text: str, patience: float = PATIENCE) -> Heard:
        """Says something and waits until the room has reflected it."""
        since = self.now
        stanza_id = self.say(name, text)
        return self.wait(
            lambda s: s.name == "message" and s.id == stanza_id and s.room == self.room(name), f"the reflection of {text!r}", since, patience
        )

    def say_until_heard(self, name: str, text: str, patience: float = 30.0) -> Heard:
        """Says something again and again while the answer is an error of type `wait`."""
        deadline = time.monotonic() + patience
        while True:
            heard = self.say_heard(name, text, max(0.1, deadline - time.monotonic()))
            if heard.type != "error":
                return heard
            if heard.error_type != "wait":
                raise Refused(heard)
            if time.monotonic() > deadline:
                raise NotHeard(f"{self.account} could not speak in {name} within {patience} s: {heard!r}")
            time.sleep(0.1)

    def hears(self, name: str, text: str, *, nick: str | None = None, since: int = 0, patience: float = PATIENCE) -> Heard:
        room = self.room(name)
        return self.wait(
            lambda s: s.name == "message" and s.type == "groupchat" and s.room == room and s.body == text and nick in (None, s.nick),
            f"{nick or 'somebody'} saying {text!r} in {room}", since, patience,
        )  # fmt: skip

    def sees(self, name: str, nick: str, fits=lambda s: True, *, since: int = 0, what: str = "", patience: float = PATIENCE) -> Heard:
        room = self.room(name)
        return self.wait(lambda s: s.is_presence_of(room, nick) and fits(s), f"presence of {room}/{nick} {what}", since, patience)

    def hears_nothing_more(self, name: str, nick: str, since: int) -> list[Heard]:
        """What came from the room since then, up to a self-ping's answer: everything earlier has arrived by then."""
        room = self.room(name)
        answer = self.ping(f"{room}/{nick}")
        return [s for s in self.since(since) if s.room == room and s.place < answer.place]

    def set_subject(self, name: str, text: str) -> None:
        self.send(f"<message type='groupchat' id='{uuid.uuid4().hex[:12]}' to={quoteattr(self.room(name))}><subject>{escape(text)}</subject></message>")

    # owners and admins

    def config_form(self, name: str) -> dict[str, str | list[str]]:
        """The room's configuration form as `var` to value."""
        answer = self.ask("get", self.room(name), "<query xmlns='http://jabber.org/protocol/muc#owner'/>")
        return form_values(answer)

    def configure(self, name: str, values: dict[str, str] | None = None) -> Heard:
        """Submits the configuration form; with no values the room becomes an instant room."""
        fields = "".join(
            f"<field var={quoteattr(var)}>" + "".join(f"<value>{escape(v)}</value>" for v in ([value] if isinstance(value, str) else value)) + "</field>"
            for var, value in {"FORM_TYPE": "http://jabber.org/protocol/muc#roomconfig", **(values or {})}.items()
        )
        form = f"<x xmlns='jabber:x:data' type='submit'>{fields if values else ''}</x>"
        return self.ask("set", self.room(name), f"<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>")

    def create(self, name: str, nick: str, values: dict[str, str] | None = None) -> Entry:
        """Enters a new room and unlocks it with these options."""
        room, since = self.room(name), self.now
        self.send_entering(name, nick)
        own = self.wait(lambda s: s.is_presence_of(room) and (s.type == "error" or 110 in s.codes), f"to be inside {room}", since)
        if own.type == "error":
            raise Refused(own)
        self.configure(name, values)
        return self.entered(room, since)

    def admin(self, name: str, *items: str) -> Heard:
        return self.ask("set", self.room(name), f"<query xmlns='http://jabber.org/protocol/muc#admin'>{''.join(items)}</query>")

    def affiliate(self, name: str, jid: str, affiliation: str, reason: str = "") -> Heard:
        return self.admin(name, f"<item jid={quoteattr(jid)} affiliation='{affiliation}'>{f'<reason>{escape(reason)}</reason>' if reason else ''}</item>")

    def kick(self, name: str, nick: str, reason: str = "") -> Heard:
        return self.admin(name, f"<item nick={quoteattr(nick)} role='none'>{f'<reason>{escape(reason)}</reason>' if reason else ''}</item>")

    def destroy(self, name: str, *, alternate: str | None = None, reason: str = "") -> Heard:
        jid = f" jid={quoteattr(alternate)}" if alternate else ""
        inner = f"<reason>{escape(reason)}</reason>" if reason else ""
        return self.ask("set", self.room(name), f"<query xmlns='http://jabber.org/protocol/muc#owner'><destroy{jid}>{inner}</destroy></query>")

    # discovery

    def disco_info(self, to: str) -> tuple[set[tuple[str, str]], set[str], dict]:
        """Identities (category, type), features, and the values of the attached form."""
        ns = "{http://jabber.org/protocol/disco#info}"
        query = self.ask("get", to, "<query xmlns='http://jabber.org/protocol/disco#info'/>").xml.find(f"{ns}query")
        identities = {(i.get("category"), i.get("type")) for i in query.iterfind(f"{ns}identity")}
        return identities, {f.get("var") for f in query.iterfind(f"{ns}feature")}, form_values(query)

    def disco_items(self, to: str) -> dict[str, str | None]:
        ns = "{http://jabber.org/protocol/disco#items}"
        query = self.ask("get", to, "<query xmlns='http://jabber.org/protocol/disco#items'/>").xml.find(f"{ns}query")
        return {item.get("jid"): item.get("name") for item in query.iterfind(f"{ns}item")}


def form_values(of) -> dict[str, str | list[str]]:
    """`var` to value of the data form anywhere inside a stanza or element; several values make a list."""
    xml = of.xml if isinstance(of, Heard) else of
    values: dict[str, str | list[str]] = {}
    for data_field in xml.iter("{jabber:x:data}field"):
        found = [value.text or "" for value in data_field.iterfind("{jabber:x:data}value")]
        values[data_field.get("var")] = found[0] if len(found) == 1 else (found or "")
    return values
