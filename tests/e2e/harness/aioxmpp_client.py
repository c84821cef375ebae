"""A person with a second real client: aioxmpp, unrelated to slixmpp and strict about what it reads.

The library runs its own model of a room (state, occupants, subject, self-pings); each signal that model gives is kept
in order, and so is whatever it cannot read or warns of, for a strict reader complains where a lenient one shrugs.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

import aioxmpp
import aioxmpp.adhoc
import aioxmpp.connector
import aioxmpp.forms
import aioxmpp.misc
import aioxmpp.ping
import aioxmpp.rsm.xso
import aioxmpp.security_layer
import aioxmpp.vcard
from aioxmpp import xso

from .client import PATIENCE, loop
from .ports import HOST
from .waiting import until

MAM = "urn:xmpp:mam:2"


class MamQuery(xso.XSO):
    """A query of XEP-0313, which aioxmpp does not know by itself: described to it as its own extensions are."""

    TAG = (MAM, "query")
    queryid = xso.Attr("queryid", default=None)
    rsm = xso.Child([aioxmpp.rsm.xso.ResultSetMetadata])


@aioxmpp.IQ.as_payload_class
class MamFin(xso.XSO):
    TAG = (MAM, "fin")
    UNKNOWN_ATTR_POLICY = xso.UnknownAttrPolicy.DROP
    complete = xso.Attr("complete", type_=xso.Bool(), default=False)
    rsm = xso.Child([aioxmpp.rsm.xso.ResultSetMetadata])


class MamResult(xso.XSO):
    TAG = (MAM, "result")
    queryid = xso.Attr("queryid", default=None)
    id_ = xso.Attr("id")
    forwarded = xso.Child([aioxmpp.misc.Forwarded], required=True)


aioxmpp.IQ.as_payload_class(MamQuery)
aioxmpp.Message.xep0313_result = xso.Child([MamResult])


class _Complaints(logging.Handler):
    """Keeps what the library warns of; its loggers are the client's own, so nobody else's words get in."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


@dataclass
class Event:
    """One signal of the library's model of a room."""

    name: str
    nick: str | None = None
    text: str | None = None
    codes: frozenset = frozenset()
    what: object = None  # the stanza or the mode that came with it


class Inside:
    """A room as aioxmpp sees it, with everything that its model told."""

    def __init__(self, room):
        self.room = room
        self.events: list[Event] = []
        hear = self.events.append
        codes = lambda more: frozenset(int(code) for code in more.get("muc_status_codes", ()))  # noqa: E731
        room.on_muc_enter.connect(lambda stanza, own, **more: hear(Event("enter", own.nick, codes=codes(more), what=stanza)))
        room.on_join.connect(lambda member, **_: hear(Event("join", member.nick)))
        room.on_leave.connect(lambda member, muc_leave_mode=None, muc_reason=None, **more: hear(Event("leave", member.nick, muc_reason, codes(more), muc_leave_mode)))
        room.on_exit.connect(lambda muc_leave_mode=None, muc_reason=None, **more: hear(Event("exit", None, muc_reason, codes(more), muc_leave_mode)))
        room.on_message.connect(lambda message, member, *_, **__: hear(Event("message", member and member.nick, message.body.any() if message.body else None, what=message)))
        room.on_topic_changed.connect(lambda member, topic, muc_nick=None, **_: hear(Event("topic", muc_nick, topic.any() if topic else "")))
        room.on_nick_changed.connect(lambda member, old, new, **_: hear(Event("nick", new, old)))
        room.on_presence_changed.connect(lambda member, _, stanza, **__: hear(Event("presence", member.nick, stanza.status.any() if stanza.status else None, what=stanza.show)))
        room.on_muc_role_changed.connect(lambda stanza, member, **_: hear(Event("role", member.nick, member.role)))
        room.on_muc_affiliation_changed.connect(lambda stanza, member, **_: hear(Event("affiliation", member.nick, member.affiliation)))
        for name in ("on_muc_suspend", "on_muc_resume", "on_muc_stale", "on_muc_fresh"):
            getattr(room, name).connect(lambda *_, name=name, **__: hear(Event(name.removeprefix("on_muc_"))))

    def names(self, since: int = 0) -> list[str]:
        return [event.name for event in self.events[since:]]

    def wait(self, name: str, fits=lambda event: True, *, since: int = 0, patience: float = PATIENCE) -> Event:
        """The first signal of this name from `since` on that fits."""
        found: list[Event] = []

        def is_so() -> bool:
            found.extend(event for event in self.events[since:] if event.name == name and fits(event))
            return bool(found)

        until(is_so, lambda: f"aioxmpp tells {name}; it told {self.events[since:][-12:]}", patience)
        return found[0]

    def hears(self, text: str, *, nick: str | None = None, since: int = 0, patience: float = PATIENCE) -> Event:
        return self.wait("message", lambda event: event.text == text and nick in (None, event.nick), since=since, patience=patience)


class AioxmppClient:
    """One session of one account."""

    def __init__(self, account: str, password: str, *, host: str, port: int, resource: str = "aio"):
        self.jid = aioxmpp.JID.fromstr(f"{account}@{host}/{resource}")
        self._password, self._port = password, port
        self._complaints = _Complaints()

    def connect(self) -> "AioxmppClient":
        loop().run(self._open())
        return self

    async def _open(self) -> None:
        logger = logging.getLogger(f"aioxmpp-client.{self.jid}")
        logger.addHandler(self._complaints)
        logger.propagate = False
        self.client = aioxmpp.PresenceManagedClient(
            self.jid,
            aioxmpp.security_layer.make(self._password, no_verify=True),  # the certificate is the test's own
            override_peer=[(HOST, self._port, aioxmpp.connector.STARTTLSConnector())],
            logger=logger,
        )
        self._keep_what_it_cannot_read()
        self.muc = self.client.summon(aioxmpp.MUCClient)
        self.disco = self.client.summon(aioxmpp.DiscoClient)
        self.adhoc = self.client.summon(aioxmpp.adhoc.AdHocClient)
        self.vcards = self.client.summon(aioxmpp.vcard.VCardService)
        online = asyncio.get_running_loop().create_future()
        self.client.on_stream_established.connect(lambda: online.done() or online.set_result(None))
        self.client.on_failure.connect(lambda error: online.done() or online.set_exception(error))
        self.client.presence = aioxmpp.PresenceState(True)
        await asyncio.wait_for(online, PATIENCE)

    def _keep_what_it_cannot_read(self) -> None:
        """The library drops a stanza it cannot read without a word; here that is a complaint too."""
        stream = self.client.stream
        drop = stream.recv_erroneous_stanza

        def keep(stanza, error) -> None:
            self._complaints.said.append(f"cannot read {stanza!r}: {error!r}")
            drop(stanza, error)

        stream.recv_erroneous_stanza = keep

    @property
    def complaints(self) -> list[str]:
        """What the library warned of, and what it could not read, since the start."""
        return self._complaints.said

    def close(self) -> None:
        async def stop() -> None:
            ended = self.client.on_stopped.future()
            self.client.presence = aioxmpp.PresenceState(False)
            await asyncio.wait_for(ended, 5)

        if self.client.running:
            loop().run(stop())

    # asking

    def run(self, coroutine, patience: float = PATIENCE):
        """Waits for one of the library's own asking methods."""
        return loop().run(coroutine, patience)

    def ask(self, kind: str, to: str, payload, patience: float = PATIENCE):
        """Sends an IQ with a payload of the library's and gives the payload of the answer."""
        return self.run(self.client.send(aioxmpp.IQ(type_=aioxmpp.IQType(kind), to=aioxmpp.JID.fromstr(to), payload=payload)), patience)

    def ping(self, to: str) -> None:
        self.run(aioxmpp.ping.ping(self.client, aioxmpp.JID.fromstr(to)))

    def features(self, to: str) -> set[str]:
        return set(self.run(self.disco.query_info(aioxmpp.JID.fromstr(to), require_fresh=True)).features)

    def query_archive(self, to: str, newest: int) -> tuple[list[MamResult], MamFin]:
        """The newest messages of an archive."""
        results: list[MamResult] = []

        async def query():
            def hear(message):
                if message.xep0313_result is not None:
                    results.append(message.xep0313_result)
                    return None
                return message

            token = self.client.stream.app_inbound_message_filter.register(hear, 0)
            page = aioxmpp.rsm.xso.ResultSetMetadata.last_page(newest)
            try:
                request = MamQuery()
                request.queryid, request.rsm = "aio", page
                return await self.client.send(aioxmpp.IQ(type_=aioxmpp.IQType.SET, to=aioxmpp.JID.fromstr(to), payload=request))
            finally:
                self.client.stream.app_inbound_message_filter.unregister(token)

        fin = self.run(query())
        return results, fin

    # rooms

    def enter(self, room: str, nick: str, *, history: dict | None = None, password: str | None = None) -> Inside:
        """Enters and waits until the library considers the entry complete; a refusal is raised as its own exception."""
        return self.run(self._enter(room, nick, history, password))

    async def _enter(self, room: str, nick: str, history: dict | None, password: str | None) -> Inside:
        asked = aioxmpp.muc.xso.History(**history) if history else None
        model, entered = self.muc.join(aioxmpp.JID.fromstr(room), nick, history=asked, password=password)
        inside = Inside(model)
        await entered
        return inside

    def say(self, inside: Inside, text: str, *, origin_id: str | None = None) -> str:
        """Says something; gives the id it went out with."""
        message = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT)
        message.body[None] = text
        message.autoset_id()
        if origin_id:
            message.xep0359_origin_id = aioxmpp.misc.OriginID(origin_id)
        loop().call(inside.room.send_message, message)
        return message.id_

    def watch_closely(self, inside: Inside, seconds: float = 0.2) -> None:
        """From here on the library pings itself (XEP-0410) whenever the room is silent for so long, not for 13 minutes."""

        async def hasten() -> None:
            step = timedelta(seconds=seconds)
            inside.room.muc_soft_timeout = inside.room.muc_ping_interval = step
            inside.room.muc_hard_timeout = timedelta(minutes=15)
            inside.room.muc_ping_timeout = timedelta(seconds=20)

        self.run(hasten())
