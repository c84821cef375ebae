"""Those who are not inside: told of activity and mentions, shown to others, and none of it lost when the speaker dies."""

import pytest

RAI = "{urn:xmpp:rai:0}"
FORWARDED = "{urn:xmpp:mmn:0}mentions/{urn:xmpp:forward:0}forwarded/{jabber:client}message"
MAV = "{urn:xmpp:muc:affiliations:1}mav"
USER = "{http://jabber.org/protocol/muc#user}"
REGISTER = (
    "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>"
    "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>"
    "<field var='muc#register_roomnick'><value>{nick}</value></field></x></query>"
)


def listen(client) -> int:
    """Asks the service to tell of activity; gives the place from which on it may."""
    since = client.now
    client.send(f"<presence to='{client.service}'><rai xmlns='urn:xmpp:rai:0'/></presence>")
    client.ping(client.service)
    return since


def told(client, since: int) -> list[str]:
    """The rooms the client was told of since then."""
    client.ping(client.service)  # what was said before the answer has arrived by then
    words = [stanza for stanza in client.since(since) if stanza.frm == client.service and stanza.xml.find(f"{RAI}rai") is not None]
    return [activity.text for word in words for activity in word.xml.iter(f"{RAI}activity")]


def is_told(client, since: int, room: str) -> None:
    client.wait(lambda s: s.frm == client.service and room in [a.text for a in s.xml.iter(f"{RAI}activity")], f"word of {room}", since)


def is_refused(client, stanza_id: str, since: int):
    return client.wait(lambda s: s.name == "message" and s.type == "error" and s.id == stanza_id, "the message to be refused", since)


def hall_with_a_member_outside(alice, bob, values: dict | None = None) -> str:
    """Alice inside, Bob a member whose nick is kept, gone."""
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1", **(values or {})})
    alice.affiliate("hall", bob.jid, "member")
    bob.enter("hall", "Bob")
    bob.ask("set", bob.room("hall"), REGISTER.format(nick="Bob"))
    bob.leave("hall", "Bob")
    return alice.room("hall")


def test_a_listener_is_told_once_until_it_was_inside(server, node, people):
    node(server)
    alice, bob, carol = people(server, "alice", "bob", "carol")
    hall = hall_with_a_member_outside(alice, bob)
    since, strange = listen(bob), listen(carol)
    assert "urn:xmpp:rai:0" in bob.disco_info(bob.service)[1]
    assert told(bob, since) == [], "nothing was said since he left"
    alice.say_heard("hall", "one")
    is_told(bob, since, hall)
    alice.say_heard("hall", "two")
    assert told(bob, since) == [hall]
    (again,) = people(server, "bob", resource="again")
    is_told(again, listen(again), hall)
    bob.enter("hall", "Bob")
    alice.say_heard("hall", "three")
    bob.leave("hall", "Bob")
    since, since_again = bob.now, listen(again)
    assert told(again, since_again) == [], "a session that listens already hears nothing new by saying so again"
    alice.say_heard("hall", "four")
    is_told(bob, since, hall)
    is_told(again, since_again, hall)
    bob.send(f"<presence type='unavailable' to='{bob.service}'/>")
    bob.enter("hall", "Bob")
    bob.leave("hall", "Bob")
    since = bob.now
    alice.say_heard("hall", "five")
    assert told(bob, since) == []
    assert told(carol, strange) == [], "strangers are told nothing"


def test_a_mention_and_a_notice_reach_who_is_not_inside(server, node, people):
    node(server)
    alice, bob = people(server, "alice", "bob")
    wanted = {"muc#roomconfig_forwardmentions": "1", "muc#roomconfig_notify_absent": "1", "muc#roomconfig_show_absent": "1"}
    hall = hall_with_a_member_outside(alice, bob, wanted)
    since = bob.now
    said = alice.say_heard("hall", "Bob: tea?")
    notice = bob.wait(lambda s: s.frm == hall and s.body is not None, "a notice", since)
    assert hall in notice.body and "tea" not in notice.body
    mention = bob.wait(lambda s: s.frm == hall and s.xml.find(FORWARDED) is not None, "the mention", since)
    copy = mention.xml.find(FORWARDED)
    assert (copy.findtext("{jabber:client}body"), copy.get("from")) == ("Bob: tea?", f"{hall}/Alice")
    assert [found.get("id") for found in copy.iterfind("{urn:xmpp:sid:0}stanza-id")] == said.stanza_ids
    alice.say_heard("hall", "nothing for you")
    bob.ping(bob.service)
    assert [s for s in bob.since(since) if s.frm == hall and s not in (notice, mention)] == [], "one notice until he was inside"
    (carol,) = people(server, "carol")
    since = carol.now
    carol.enter("hall", "Carol")
    shown = next(s for s in carol.since(since) if s.is_presence_of(hall, "Bob"))
    assert (shown.type, shown.item["affiliation"], shown.item["role"]) == ("unavailable", "member", "none")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_takeover_forgets_neither_waits_nor_listeners_nor_versions(server, people, pair, database, kind):
    two = pair(server, database(kind))
    alice, bob, carol = people(server, "alice", "bob", "carol")
    hall = hall_with_a_member_outside(alice, bob, {"muc#roomconfig_slow_mode_duration": "60", "muc#roomconfig_membersonly": "1"})
    alice.affiliate("hall", carol.jid, "member")
    version = version_on_entering(carol, "Carol")
    since = listen(bob)
    carol.say_heard("hall", "one")
    is_told(bob, since, hall)
    first = carol.now
    assert is_refused(carol, carol.say("hall", "two"), first).condition == "policy-violation"
    bob.enter("hall", "Bob")
    bob.leave("hall", "Bob")

    old = two.holder()
    old.kill9()
    two.until_spoken_by(two.other(old).name)

    # What a bare server's node says again of the room comes before any answer of the room.
    carol.disco_info(hall)
    bob.disco_info(hall)
    since, since_takeover = bob.now, carol.now
    refused = is_refused(carol, carol.say("hall", "three"), since_takeover)
    assert (refused.condition, refused.error_type) == ("policy-violation", "wait")
    assert told(bob, since) == [], "what is refused is no activity"
    alice.say_until_heard("hall", "owners do not wait")
    is_told(bob, since, hall)
    alice.affiliate("hall", "dave@localhost", "member")
    carol.leave("hall", "Carol")
    place = carol.now
    assert version_on_entering(carol, "Carol", since=version) != version
    changes = next(s for s in carol.since(place) if s.name == "message" and s.xml.find(f"{USER}x/{MAV}") is not None)
    assert changes.xml.find(f"{USER}x/{MAV}").get("since") == version
    assert [item.get("jid") for item in changes.xml.iterfind(f"{USER}x/{USER}item")] == ["dave@localhost"]


def version_on_entering(client, nick: str, since: str | None = None) -> str:
    """Enters and gives the version of the lists that the own presence tells."""
    room, place = client.room("hall"), client.now
    known = f" since='{since}'" if since else ""
    client.send(
        f"<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'>"
        f"<mav xmlns='urn:xmpp:muc:affiliations:1'{known}/></x></presence>"
    )
    own = client.entered(room, place).own
    return own.xml.find(f"{USER}x/{MAV}").get("until")
