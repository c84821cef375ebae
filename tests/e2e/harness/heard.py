"""What a client heard: one stanza as it came, with the questions tests ask of it."""

import time
from xml.etree import ElementTree

CLIENT = "{jabber:client}"
USER = "{http://jabber.org/protocol/muc#user}"
ADMIN = "{http://jabber.org/protocol/muc#admin}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
DELAY = "{urn:xmpp:delay}delay"
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
OCCUPANT_ID = "{urn:xmpp:occupant-id:0}occupant-id"

for _prefix, _uri in {"": "jabber:client", "user": USER[1:-1], "error": STANZAS[1:-1], "sid": "urn:xmpp:sid:0", "form": "jabber:x:data"}.items():
    ElementTree.register_namespace(_prefix, _uri)


class Heard:
    """A stanza, read without any library's opinion of it."""

    def __init__(self, xml: ElementTree.Element, place: int):
        self.xml, self.place, self.at = xml, place, time.monotonic()
        self.name = xml.tag.rpartition("}")[2]
        self.frm, self.to = xml.get("from", ""), xml.get("to", "")
        self.id, self.type = xml.get("id"), xml.get("type")

    def __repr__(self) -> str:
        text = ElementTree.tostring(self.xml, encoding="unicode")
        return text if len(text) < 600 else text[:600] + " …"

    @property
    def room(self) -> str:
        return self.frm.partition("/")[0]

    @property
    def nick(self) -> str:
        return self.frm.partition("/")[2]

    @property
    def body(self) -> str | None:
        return self.xml.findtext(f"{CLIENT}body")

    @property
    def subject(self) -> str | None:
        """The subject if this stanza sets one: a subject and neither body nor thread (§8.1)."""
        found = self.xml.find(f"{CLIENT}subject")
        if found is None or self.body is not None or self.xml.find(f"{CLIENT}thread") is not None:
            return None
        return found.text or ""

    @property
    def codes(self) -> set[int]:
        return {int(status.get("code")) for status in self.xml.iterfind(f"{USER}x/{USER}status")}

    @property
    def item(self) -> dict[str, str]:
        """The attributes of the `muc#user` item."""
        found = self.xml.find(f"{USER}x/{USER}item")
        return {} if found is None else dict(found.attrib)

    @property
    def actor_and_reason(self) -> tuple[str | None, str | None]:
        found = self.xml.find(f"{USER}x/{USER}item")
        if found is None:
            return None, None
        actor = found.find(f"{USER}actor")
        return (None if actor is None else actor.get("nick")), found.findtext(f"{USER}reason")

    @property
    def show(self) -> str | None:
        return self.xml.findtext(f"{CLIENT}show")

    @property
    def condition(self) -> str | None:
        """The error's condition, or nothing if this is no error."""
        error = self.xml.find(f"{CLIENT}error")
        if error is None:
            return None
        return next((child.tag[len(STANZAS) :] for child in error if child.tag.startswith(STANZAS) and child.tag != f"{STANZAS}text"), "?")

    @property
    def error_type(self) -> str | None:
        error = self.xml.find(f"{CLIENT}error")
        return None if error is None else error.get("type")

    @property
    def is_history(self) -> bool:
        return self.name == "message" and self.xml.find(DELAY) is not None

    @property
    def stanza_ids(self) -> list[str]:
        """The archive ids given by the room that sent this."""
        return [found.get("id") for found in self.xml.iterfind(STANZA_ID) if found.get("by") == self.room]

    @property
    def occupant_id(self) -> str | None:
        found = self.xml.find(OCCUPANT_ID)
        return None if found is None else found.get("id")

    def is_presence_of(self, room: str, nick: str | None = None) -> bool:
        return self.name == "presence" and self.room == room and (nick is None or self.nick == nick)
