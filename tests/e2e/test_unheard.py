"""A node dies between commit and socket: what happened is durable, and nobody has heard of it. Whoever comes next says
it - who left, who was put out, who came, what is configured now, what was answered - and to nobody twice under a new id.

The place of death is a fail point of the program, which builds with debug assertions have.
"""

import pytest
from harness.waiting import until

MUC_USER = "http://jabber.org/protocol/muc#user"
ROOM = "hall@conference.localhost"
OPTIONS = {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_whois": "anyone"}


class Hall:
    """Alice owns it, Bob and Carol are inside; Dave is not. Each deed gives what is to be heard of it, and by whom."""

    def __init__(self, people, server, options=None):
        self.alice, self.bob, self.carol, self.dave = people(server, "alice", "bob", "carol", "dave")
        self.alice.create("hall", "Alice", {**OPTIONS, **(options or {})})
        for client, nick in ((self.bob, "Bob"), (self.carol, "Carol")):
            client.enter("hall", nick)
        for client in self.everyone:
            client.sees("hall", "Carol")

    @property
    def everyone(self):
        return (self.alice, self.bob, self.carol)

    def _iq(self, id: str, payload: str) -> None:
        self.alice.send(f"<iq type='set' id='{id}' to='{ROOM}'>{payload}</iq>")

    def leave(self):
        self.bob.send(f"<presence type='unavailable' to='{ROOM}/Bob'/>")

        def gone(s):
            return s.is_presence_of(ROOM, "Bob") and s.type == "unavailable"

        return [(self.alice, gone), (self.carol, gone), (self.bob, lambda s: gone(s) and 110 in s.codes)]

    def kick(self):
        self._iq("kick-1", "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Carol' role='none'><reason>noise</reason></item></query>")

        def kicked(s):
            return s.is_presence_of(ROOM, "Carol") and s.type == "unavailable" and 307 in s.codes and s.actor_and_reason[1] == "noise"

        return [(self.bob, kicked), (self.carol, lambda s: kicked(s) and 110 in s.codes), (self.alice, lambda s: s.id == "kick-1" and s.type == "result")]

    def ban(self):
        self._iq("ban-1", "<query xmlns='http://jabber.org/protocol/muc#admin'><item jid='carol@localhost' affiliation='outcast'/></query>")

        def banned(s):
            return s.is_presence_of(ROOM, "Carol") and s.type == "unavailable" and 301 in s.codes

        return [(self.bob, banned), (self.carol, banned), (self.alice, lambda s: s.id == "ban-1" and s.type == "result")]

    def voice(self):
        self._iq("voice-1", "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Bob' role='visitor'/></query>")

        def is_visitor(s):
            return s.is_presence_of(ROOM, "Bob") and s.item.get("role") == "visitor"

        return [(client, is_visitor) for client in self.everyone] + [(self.alice, lambda s: s.id == "voice-1" and s.type == "result")]

    def configure(self):
        form = (
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
            "<field var='muc#roomconfig_roomname'><value>The hall</value></field></x>"
        )
        self._iq("configure-1", f"<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>")

        def is_changed(s):
            return s.name == "message" and s.room == ROOM and 104 in s.codes

        return [(client, is_changed) for client in self.everyone] + [(self.alice, lambda s: s.id == "configure-1" and s.type == "result")]

    def nick(self):
        self.carol.send(f"<presence to='{ROOM}/Caro'/>")

        def old(s):
            return s.is_presence_of(ROOM, "Carol") and s.type == "unavailable" and 303 in s.codes and s.item.get("nick") == "Caro"

        def new(s):
            return s.is_presence_of(ROOM, "Caro") and s.type is None

        return [(client, fits) for client in self.everyone for fits in (old, new)]

    def show(self):
        self.bob.send(f"<presence to='{ROOM}/Bob'><show>dnd</show></presence>")
        return [(client, lambda s: s.is_presence_of(ROOM, "Bob") and s.show == "dnd") for client in self.everyone]

    def enter(self):
        self.dave.send_entering("hall", "Dave")

        def is_there(s):
            return s.is_presence_of(ROOM, "Dave") and s.type is None

        own = [(self.dave, lambda s, nick=nick: s.is_presence_of(ROOM, nick)) for nick in ("Alice", "Bob", "Carol")]
        return [(client, is_there) for client in self.everyone] + own + [
            (self.dave, lambda s: is_there(s) and 110 in s.codes),
            (self.dave, lambda s: s.name == "message" and s.room == ROOM and s.subject is not None),
        ]

    def speak(self):
        self.bob.say("hall", "not for the archive", id="speak-1")
        return [(client, lambda s: s.name == "message" and s.id == "speak-1" and s.type == "groupchat") for client in self.everyone]

    def destroy(self):
        self.alice.send(f"<iq type='set' id='destroy-1' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query></iq>")

        def is_over(s):
            return s.is_presence_of(ROOM) and s.type == "unavailable" and s.xml.find(f"{{{MUC_USER}}}x/{{{MUC_USER}}}destroy") is not None

        return [(client, is_over) for client in self.everyone] + [(self.alice, lambda s: s.id == "destroy-1" and s.type == "result")]


DEEDS = ("leave", "kick", "ban", "voice", "configure", "nick", "show", "enter", "destroy")


def assert_heard_once(expected, since: dict) -> None:
    """Each hears each thing, and nothing of it a second time."""
    for client, fits in expected:
        heard = client.wait(fits, "to hear of it", since[client], patience=15)
        again = [s for s in client.since(heard.place + 1) if fits(s)]
        assert not again, f"{client.account} heard it again: {again}"


def bookmarks(hall: Hall) -> dict:
    return {client: client.now for client in (*hall.everyone, hall.dave)}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_lone_node_that_starts_again_says_what_nobody_heard(own_server, node, people, deed):
    server = own_server("prosody")
    component = node(server)
    hall = Hall(people, server)
    component.terminate()
    component.process.dies_at("committed")
    component.start()
    since = bookmarks(hall)
    expected = getattr(hall, deed)()
    until(lambda: not component.process.is_alive, "the node dies with it")
    component.process.dies_at(None)
    component.start()
    assert_heard_once(expected, since)
    until(lambda: component.rows("SELECT COUNT(*) FROM muc_echo") == [(0,)], "what was heard is let go")


def test_speech_of_a_room_without_an_archive_is_heard_too_and_not_kept(own_server, node, people):
    server = own_server("prosody")
    component = node(server)
    hall = Hall(people, server, {"muc#roomconfig_enablelogging": "0"})
    component.terminate()
    component.process.dies_at("committed")
    component.start()
    since = bookmarks(hall)
    expected = hall.speak()
    until(lambda: not component.process.is_alive, "the node dies with it")
    component.process.dies_at(None)
    component.start()
    assert_heard_once(expected, since)
    until(lambda: component.rows("SELECT COUNT(*) FROM muc_echo") == [(0,)], "what was heard is let go")
    assert component.rows("SELECT COUNT(*) FROM muc_message WHERE body_txt = 'not for the archive'") == [(0,)]


@pytest.mark.parametrize("attached", ["relayed", "bare"])
@pytest.mark.parametrize("deed", ["leave", "kick", "configure", "enter"])
def test_the_twin_says_what_nobody_heard(own_server, people, pair, database, relay, deed, attached):
    server = own_server("prosody")
    two = pair(server, database("postgresql"), relay=relay(server) if attached == "relayed" else None)
    a = two.nodes["a"]
    hall = Hall(people, server)
    two.moved("switch-over", asked="a")
    two.until_spoken_by("b")
    a.process.end()
    a.process.dies_at("committed")
    a.launch()
    two.until_fit("a")
    two.moved("fallback", asked="b")
    two.until_spoken_by("a")
    since = bookmarks(hall)
    expected = getattr(hall, deed)()
    until(lambda: not a.process.is_alive, "the holder dies with it")
    two.until_spoken_by("b")
    assert_heard_once(expected, since)
    until(lambda: two.database.rows("SELECT COUNT(*) FROM muc_echo")[0][0] == "0", "what was heard is let go")


def test_what_was_heard_before_the_death_is_at_most_repeated_as_it_was(own_server, node, people):
    server = own_server("prosody")
    component = node(server)
    hall = Hall(people, server, {"muc#roomconfig_enablelogging": "0"})
    since = bookmarks(hall)
    for deed in ("speak", "configure", "nick", "show"):
        expected = getattr(hall, deed)()
        for client, fits in expected:
            client.wait(fits, f"{deed} to be heard", since[client])
        component.kill9()  # before the mark behind it is stored, most likely
        component.start()
    said = hall.alice.say_heard("hall", "all in order")
    for client in hall.everyone:
        client.hears("hall", "all in order", nick="Alice")
        spoken = [s for s in client.since(since[client]) if s.name == "message" and s.body == "not for the archive"]
        assert {s.id for s in spoken} == {"speak-1"} and len({tuple(s.stanza_ids) for s in spoken}) == 1, spoken
        inside = {}
        for s in client.since(since[client]):
            if s.is_presence_of(ROOM) and s.place < said.place:
                inside[s.nick] = s.type != "unavailable"
        assert not inside.get("Carol", False) and inside["Caro"] and inside["Bob"], inside
