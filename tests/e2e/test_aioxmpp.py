"""The room as a second client library sees it: aioxmpp, strict and with a model of the room of its own.

Alice sits there with slixmpp, so that what one library does is seen by the other. A story passes only if aioxmpp had
nothing to warn of: it warns of what it cannot read and of what its model does not expect.
"""

import pytest
from conftest import ACCOUNTS, HOST, SERVICE
from harness.load import Chorus
from harness.optional import module
from harness.waiting import until

aioxmpp = module("aioxmpp", "python3-aioxmpp")

from aioxmpp.errors import ErrorCondition  # noqa: E402
from aioxmpp.muc import ConfigurationForm, LeaveMode  # noqa: E402
from harness.aioxmpp_client import AioxmppClient  # noqa: E402

HALL = f"hall@{SERVICE}"
JID = aioxmpp.JID.fromstr
ENGLISH = aioxmpp.structs.LanguageTag.fromstr("en")


@pytest.fixture
def aio():
    """Connects people with aioxmpp: `(bob,) = aio(server, "bob")`; a story ends with none of them having complained."""
    online = []

    def connect(server, *names: str) -> list[AioxmppClient]:
        group = [AioxmppClient(name, ACCOUNTS[name], host=HOST, port=server.c2s).connect() for name in names]
        online.extend(group)
        return group

    yield connect
    said = {str(client.jid): list(client.complaints) for client in online if client.complaints}
    for client in online:
        client.close()
    assert not said, f"aioxmpp warned: {said}"


@pytest.fixture
def hall(server, node, people, aio):
    """Alice (slixmpp) owns the hall; Bob (aioxmpp) is there too."""
    node(server)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    alice.set_subject("hall", "Tea at five")
    said = [alice.say_heard("hall", f"line {n}") for n in range(4)]
    (bob,) = aio(server, "bob")
    inside = bob.enter(HALL, "Bob", history={"maxstanzas": 3})
    inside.wait("topic")
    return alice, bob, inside, said


def test_entering_and_speaking(hall, aio, server):
    alice, bob, inside, said = hall
    entered = inside.wait("enter")
    assert inside.names() == ["join", "enter", "message", "message", "message", "topic"]
    assert (entered.nick, 110 in entered.codes, 201 in entered.codes) == ("Bob", True, False)
    history = [event for event in inside.events if event.name == "message"]
    assert [event.text for event in history] == ["line 1", "line 2", "line 3"]
    assert [given(event) for event in history] == [s.stanza_ids for s in said[1:]]
    assert all(event.what.xep0203_delay for event in history)
    assert inside.room.muc_subject.any() == "Tea at five" and inside.room.muc_subject_setter == "Alice"
    assert (inside.room.me.affiliation, inside.room.me.role) == ("none", "participant")
    assert [(member.nick, member.affiliation, member.role) for member in inside.room.members[1:]] == [("Alice", "owner", "moderator")]

    out = bob.say(inside, "Grüße <b>&</b> 🦀", origin_id="mine-1")
    back = inside.hears("Grüße <b>&</b> 🦀", nick="Bob")
    assert (back.what.id_, back.what.xep0359_origin_id.id_) == (out, "mine-1")
    assert given(back) == alice.hears("hall", "Grüße <b>&</b> 🦀", nick="Bob").stanza_ids != []

    token, tracker = bob.run(tracked(inside, "tracked"))
    until(lambda: tracker.state == aioxmpp.tracking.MessageState.DELIVERED_TO_RECIPIENT, lambda: f"aioxmpp finds its own words again: {tracker.state}")
    (carol,) = aio(server, "carol")
    private = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=JID(f"{HALL}/Alice"))
    private.body[None] = "psst"
    private.xep0045_muc_user = aioxmpp.muc.xso.UserExt()
    bob.run(bob.client.send(private))
    assert alice.wait(lambda s: s.body == "psst", "a private message").frm == f"{HALL}/Bob"
    assert "psst" not in [event.text for event in carol.enter(HALL, "Carol").events]


async def tracked(inside, text: str):
    message = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT)
    message.body[None] = text
    return inside.room.send_message_tracked(message)


def given(event) -> list[str]:
    """The ids that the room gave this message."""
    return [each.id_ for each in event.what.xep0359_stanza_ids if str(each.by) == HALL]


def test_nicks_and_presences(hall, aio, server):
    alice, bob, inside, _ = hall
    since = len(inside.events)
    bob.run(inside.room.set_nick("Robert"))
    changed = inside.wait("nick", since=since)
    assert (changed.text, changed.nick, inside.room.me.nick) == ("Bob", "Robert", "Robert")
    alice.sees("hall", "Robert", lambda s: s.type is None)
    alice.send(f"<presence to='{HALL}/Alicia'><status>tea</status></presence>")
    assert inside.wait("nick", lambda event: event.nick == "Alicia").text == "Alice"
    alice.send(f"<presence to='{HALL}/Alicia'><show>away</show><status>later</status></presence>")
    assert inside.wait("presence", lambda event: event.text == "later").what == aioxmpp.PresenceShow.AWAY

    refused = alice.now
    bob.run(inside.room.set_nick("Alicia"))
    bob.ping(f"{HALL}/Robert")  # everything earlier has been answered by then
    assert inside.room.me.nick == "Robert" and "exit" not in inside.names()
    assert not [s for s in alice.since(refused) if s.name == "presence"]
    (carol,) = aio(server, "carol")
    with pytest.raises(aioxmpp.errors.XMPPCancelError) as taken:
        carol.enter(HALL, "Alicia")
    assert taken.value.condition == ErrorCondition.CONFLICT
    with pytest.raises(aioxmpp.errors.XMPPCancelError) as outside:
        carol.ping(f"{HALL}/Carol")
    assert outside.value.condition == ErrorCondition.NOT_ACCEPTABLE
    there = carol.enter(HALL, "Carol")
    assert inside.wait("join", lambda event: event.nick == "Carol", since=since)
    carol.run(there.room.leave())
    assert there.wait("exit").what == LeaveMode.NORMAL
    assert inside.wait("leave").what == LeaveMode.NORMAL


def test_an_owner_configures_a_private_room(hall, aio, server):
    alice, bob, inside, _ = hall
    (carol,) = aio(server, "carol")
    own = carol.enter(f"den@{SERVICE}", "Carol")
    assert 201 in own.wait("enter").codes and own.room.me.affiliation == "owner"
    form = ConfigurationForm.from_xso(carol.run(carol.muc.get_room_config(JID(f"den@{SERVICE}"))))
    form.roomname.value, form.roomdesc.value = "The den", "For the tired"
    form.persistentroom.value = form.membersonly.value = form.changesubject.value = True
    form.whois.value, form.maxusers.value = "anyone", "30"
    carol.run(carol.muc.set_room_config(JID(f"den@{SERVICE}"), form.render_reply()))
    own.wait("topic")
    again = ConfigurationForm.from_xso(carol.run(carol.muc.get_room_config(JID(f"den@{SERVICE}"))))
    assert (again.roomname.value, again.roomdesc.value, again.whois.value) == ("The den", "For the tired", "anyone")
    assert again.maxusers.value == "30" and {"10", "30", "none"} <= set(again.maxusers.options)
    assert again.membersonly.value and again.persistentroom.value
    # A members-only room where all know each other: the kind in which clients offer encryption.
    assert {"muc_membersonly", "muc_nonanonymous", "muc_persistent"} <= carol.features(f"den@{SERVICE}")
    with pytest.raises(aioxmpp.errors.XMPPAuthError) as refused:
        bob.enter(f"den@{SERVICE}", "Bob")
    assert refused.value.condition == ErrorCondition.REGISTRATION_REQUIRED
    carol.run(carol.muc.set_affiliation(JID(f"den@{SERVICE}"), bob.jid.bare(), "member", reason="a friend"))
    guest = bob.enter(f"den@{SERVICE}", "Bob")
    for affiliation, who in {"member": [bob.jid.bare()], "owner": [carol.jid.bare()], "outcast": []}.items():
        assert carol.run(carol.muc.get_affiliated(JID(f"den@{SERVICE}"), affiliation)) == who
    assert bob.run(bob.muc.get_affiliated(JID(f"den@{SERVICE}"), "owner")) == [carol.jid.bare()]

    bob.run(guest.room.set_topic({ENGLISH: "Sleep"}))
    assert own.wait("topic", lambda event: event.text == "Sleep").nick == "Bob"
    assert "urn:xmpp:mam:2" in bob.features(f"den@{SERVICE}")
    bob.say(guest, "good night")
    heard = own.hears("good night")
    results, fin = bob.query_archive(f"den@{SERVICE}", 10)
    assert fin.complete and [(r.queryid, r.id_) for r in results][-1:] == [("aio", given_in(heard, "den"))]
    assert results[-1].forwarded.stanza.body.any() == "good night" and results[-1].forwarded.delay is not None


def given_in(event, room: str) -> str:
    return next(each.id_ for each in event.what.xep0359_stanza_ids if str(each.by) == f"{room}@{SERVICE}")


def test_roles_kick_and_ban(hall, aio, server):
    alice, bob, inside, _ = hall
    (carol,) = aio(server, "carol")
    there = carol.enter(HALL, "Carol")
    inside.wait("join", lambda event: event.nick == "Carol")
    alice.affiliate("hall", str(bob.jid.bare()), "admin")
    assert inside.wait("affiliation", lambda event: event.nick == "Bob").text == "admin"
    assert inside.wait("role", lambda event: event.nick == "Bob").text == "moderator"
    bob.run(inside.room.muc_set_role("Carol", "visitor"))
    assert there.wait("role", lambda event: event.nick == "Carol").text == "visitor"
    member = next(each for each in inside.room.members if each.nick == "Carol")
    bob.run(inside.room.kick(member, "enough"))
    gone = there.wait("exit")
    assert (gone.what, gone.text, gone.codes) == (LeaveMode.KICKED, "enough", {110, 307})
    assert inside.wait("leave", lambda event: event.nick == "Carol").what == LeaveMode.KICKED
    there = carol.enter(HALL, "Carol")
    inside.wait("join", lambda event: event.nick == "Carol", since=len(inside.events) - 1)
    bob.run(inside.room.muc_set_affiliation(carol.jid.bare(), "outcast", reason="spam"))
    banned = there.wait("exit")
    assert (banned.what, banned.text) == (LeaveMode.BANNED, "spam")
    assert bob.run(bob.muc.get_affiliated(JID(HALL), "outcast")) == [carol.jid.bare()]
    with pytest.raises(aioxmpp.errors.XMPPAuthError) as refused:
        carol.enter(HALL, "Carol")
    assert refused.value.condition == ErrorCondition.FORBIDDEN
    with pytest.raises(aioxmpp.errors.XMPPError) as refused:
        bob.run(inside.room.muc_set_role("Alice", "none"))
    assert refused.value.condition == ErrorCondition.NOT_ALLOWED
    assert "exit" not in inside.names()


def test_what_the_room_and_the_service_say_of_themselves(hall):
    _, bob, _, _ = hall
    for to in (HALL, SERVICE):
        features = bob.features(to)
        assert "http://jabber.org/protocol/muc" in features
        answers = {"urn:xmpp:ping": lambda to=to: bob.ping(to)}
        answers["vcard-temp"] = lambda to=to: bob.run(bob.vcards.get_vcard(JID(to)))
        answers["http://jabber.org/protocol/commands"] = lambda to=to: bob.run(bob.adhoc.get_commands(JID(to)))
        for feature, ask in answers.items():
            if feature in features:
                ask()
            else:
                with pytest.raises(aioxmpp.errors.XMPPError) as refused:
                    ask()
                assert refused.value.condition in (ErrorCondition.SERVICE_UNAVAILABLE, ErrorCondition.FEATURE_NOT_IMPLEMENTED, ErrorCondition.ITEM_NOT_FOUND)
    items = bob.run(bob.disco.query_items(JID(SERVICE), require_fresh=True)).items
    assert HALL in [str(item.jid) for item in items]


@pytest.mark.parametrize("attached", ["bare", "relayed"])
def test_a_kill_is_a_pause_and_nothing_else(server, pair, database, relay, people, aio, attached):
    """Both ends of the chat keep pinging themselves; the library rejoins or leaves where a ping says that it is out."""
    two = pair(server, database("sqlite"), relay=relay(server) if attached == "relayed" else None)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    (bob,) = aio(server, "bob")
    inside = bob.enter(HALL, "Bob")
    inside.wait("topic")
    bob.watch_closely(inside)
    chorus = Chorus("hall", {"Alice": alice}, pace_s=0.02)
    since = len(inside.events)
    with chorus:
        for _ in range(2):
            chorus.until_reflected(25)
            old = two.holder()
            old.kill9()
            two.until_spoken_by(two.other(old).name)
            chorus.until_reflected(25)
            old.launch()
            two.until_fit(old.name)
    chorus.settle()
    inside.hears(f"Alice has finished after {chorus.said['Alice']}", nick="Alice")
    heard = [(given(event)[0], event.text) for event in inside.events[since:] if event.name == "message"]
    assert attached == "bare" or len(set(heard)) == len(heard), "behind the relay nothing is said twice"
    kept = two.archive()
    assert list(dict.fromkeys(heard)) == kept, "everything that was kept was heard, in order"
    assert len(kept) >= 50, "the talk went on all the time"
    # Without a relay what may not have been heard is said again, word for word: of Bob's own entry, too.
    repeated = {"presence", "topic"} if attached == "bare" else set()
    told = set(inside.names(since)) - {"message", "stale", "fresh"} - repeated
    assert not told, f"aioxmpp noticed: {[event for event in inside.events[since:] if event.name in told]}"
    bob.ping(f"{HALL}/Bob")
    bob.say(inside, "still here")
    alice.hears("hall", "still here", nick="Bob")
