"""XEP-0045's main path, walked by real clients through real servers."""

import re

import pytest
from harness.client import Refused
from harness.heard import CLIENT, USER

HALL = "hall@conference.localhost"


@pytest.fixture
def hall(server, node, people):
    """A persistent room with Alice (owner) and Bob inside."""
    component = node(server)
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    alice.sees("hall", "Bob")
    return component, alice, bob


def test_a_new_room_is_announced_as_new_and_locked_until_configured(server, node, people):
    node(server)
    alice, bob = people(server, "alice", "bob")
    since = alice.now
    alice.send_entering("fresh", "Alice")
    own = alice.sees("fresh", "Alice", since=since)
    assert {110, 201} <= own.codes
    assert own.item["affiliation"] == "owner" and own.item["role"] == "moderator"
    with pytest.raises(Refused) as refused:
        bob.enter("fresh", "Bob")
    assert refused.value.condition == "item-not-found"
    alice.configure("fresh")
    bob.enter("fresh", "Bob")


def test_entering_brings_presences_then_self_then_history_then_subject(hall, server, people):
    _, alice, bob = hall
    alice.set_subject("hall", "Tea at five")
    bob.wait(lambda s: s.subject == "Tea at five", "the subject")
    said = [alice.say_heard("hall", f"line {n}") for n in range(3)]
    (carol,) = people(server, "carol")
    since = carol.now
    entry = carol.enter("hall", "Carol")
    assert {s.nick for s in entry.others} == {"Alice", "Bob"}
    assert max(s.place for s in entry.others) < entry.own.place < entry.history[0].place
    assert {s.place for s in entry.others} <= set(range(since, entry.own.place))
    assert [s.body for s in entry.history] == ["line 0", "line 1", "line 2"]
    assert all(s.is_history for s in entry.history)
    assert [s.stanza_ids for s in entry.history] == [s.stanza_ids for s in said]
    assert entry.subject.place > entry.history[-1].place and entry.subject.subject == "Tea at five"
    seen = alice.sees("hall", "Carol")
    assert 110 not in seen.codes and seen.item["role"] == "participant"


def test_slixmpp_itself_considers_the_room_entered(hall, server, people):
    (carol,) = people(server, "carol")
    presence, subject, occupants, history = carol.ask_slixmpp(
        lambda stream: stream["xep_0045"].join_muc_wait(HALL, "Carol", maxstanzas=5, timeout=10)
    )
    assert presence["from"] == f"{HALL}/Carol"
    assert {o["from"].resource for o in occupants} >= {"Alice", "Bob"}


@pytest.mark.parametrize("asked, expected", [({"maxstanzas": 0}, 0), ({"maxstanzas": 2}, 2), ({"maxchars": 0}, 0), ({"seconds": 3600}, 5), ({"since": "1970-01-01T00:00:00Z"}, 5)])
def test_history_comes_as_asked_for(hall, server, people, asked, expected):
    _, alice, _ = hall
    for n in range(5):
        alice.say_heard("hall", f"line {n}")
    (carol,) = people(server, "carol")
    entry = carol.enter("hall", "Carol", history=asked)
    assert [s.body for s in entry.history] == [f"line {n}" for n in range(5)][5 - expected :]


def test_a_message_is_reflected_to_everyone_with_one_id_from_the_room(hall):
    _, alice, bob = hall
    mine = alice.say_heard("hall", "Hello <world> & 'all' 🦀")
    theirs = bob.hears("hall", "Hello <world> & 'all' 🦀", nick="Alice")
    assert mine.id == theirs.id
    assert len(mine.stanza_ids) == 1 and mine.stanza_ids == theirs.stanza_ids


def test_a_spoofed_room_id_is_taken_off(hall):
    _, alice, bob = hall
    alice.say("hall", "spoof", extra=f"<stanza-id xmlns='urn:xmpp:sid:0' by='{HALL}' id='forged'/>")
    heard = bob.hears("hall", "spoof")
    assert len(heard.stanza_ids) == 1 and heard.stanza_ids != ["forged"]


def test_a_new_nick_is_told_with_303(hall):
    _, alice, bob = hall
    since = alice.now
    bob.send(f"<presence to='{HALL}/Robert'/>")
    gone = alice.sees("hall", "Bob", lambda s: s.type == "unavailable", since=since)
    assert 303 in gone.codes and gone.item["nick"] == "Robert"
    here = alice.sees("hall", "Robert", since=since)
    assert here.place > gone.place and here.type is None
    own = bob.sees("hall", "Robert", lambda s: 110 in s.codes)
    assert own.type is None
    bob.say_heard("hall", "still me")
    alice.hears("hall", "still me", nick="Robert")


def test_a_taken_nick_is_refused(hall, server, people):
    (carol,) = people(server, "carol")
    with pytest.raises(Refused) as refused:
        carol.enter("hall", "Bob")
    assert refused.value.condition == "conflict"


def test_a_status_change_reaches_everyone(hall):
    _, alice, bob = hall
    bob.send(f"<presence to='{HALL}/Bob'><show>away</show><status>tea</status></presence>")
    alice.sees("hall", "Bob", lambda s: s.show == "away", what="away")


def test_a_moderator_kicks_with_307_and_the_room_hears_the_reason(hall):
    _, alice, bob = hall
    alice.kick("hall", "Bob", "enough")
    own = bob.sees("hall", "Bob", lambda s: s.type == "unavailable")
    assert {110, 307} <= own.codes and own.item["role"] == "none"
    assert own.actor_and_reason == ("Alice", "enough")
    seen = alice.sees("hall", "Bob", lambda s: s.type == "unavailable")
    assert 307 in seen.codes and 110 not in seen.codes
    bob.enter("hall", "Bob")


def test_who_is_banned_leaves_with_301_and_does_not_come_back(hall):
    _, alice, bob = hall
    alice.affiliate("hall", bob.jid, "outcast", "spam")
    own = bob.sees("hall", "Bob", lambda s: s.type == "unavailable")
    assert {110, 301} <= own.codes and own.item["affiliation"] == "outcast"
    with pytest.raises(Refused) as refused:
        bob.enter("hall", "Bob")
    assert refused.value.condition == "forbidden"
    alice.affiliate("hall", bob.jid, "none")
    bob.enter("hall", "Bob")


def test_a_participant_may_not_kick(hall):
    _, alice, bob = hall
    with pytest.raises(Refused) as refused:
        bob.kick("hall", "Alice")
    assert refused.value.condition in ("forbidden", "not-allowed")
    alice.say_heard("hall", "still here")


def test_a_private_message_reaches_one_and_no_archive(hall, server, people):
    _, alice, bob = hall
    (carol,) = people(server, "carol")
    carol.enter("hall", "Carol")
    since = carol.now
    alice.send(f"<message type='chat' id='pm1' to='{HALL}/Bob'><body>psst</body><x xmlns='http://jabber.org/protocol/muc#user'/></message>")
    heard = bob.wait(lambda s: s.name == "message" and s.body == "psst", "the private message")
    assert heard.frm == f"{HALL}/Alice" and heard.type == "chat"
    assert carol.hears_nothing_more("hall", "Carol", since) == []
    (dave,) = people(server, "dave")
    assert "psst" not in [s.body for s in dave.enter("hall", "Dave").history]


def test_a_configuration_is_kept_and_shown(hall):
    _, alice, bob = hall
    since = bob.now
    alice.configure("hall", {"muc#roomconfig_roomname": "The Hall", "muc#roomconfig_persistentroom": "1", "muc#roomconfig_membersonly": "0"})
    assert bob.wait(lambda s: s.name == "message" and s.room == HALL and s.codes, "a change notice", since).codes & {104, 170, 171, 172, 173, 174}
    form = alice.config_form("hall")
    assert form["muc#roomconfig_roomname"] == "The Hall" and form["muc#roomconfig_persistentroom"] in ("1", "true")
    identities, features, info = bob.disco_info(HALL)
    assert ("conference", "text") in identities
    assert {"http://jabber.org/protocol/muc", "muc_persistent", "muc_open", "urn:xmpp:sid:0"} <= features
    assert info["FORM_TYPE"] == "http://jabber.org/protocol/muc#roominfo"


def test_a_members_only_room_lets_members_in_and_nobody_else(hall, server, people):
    _, alice, bob = hall
    alice.affiliate("hall", bob.jid, "member")
    alice.configure("hall", {"muc#roomconfig_membersonly": "1", "muc#roomconfig_persistentroom": "1"})
    (carol,) = people(server, "carol")
    with pytest.raises(Refused) as refused:
        carol.enter("hall", "Carol")
    assert refused.value.condition == "registration-required"
    alice.affiliate("hall", carol.jid, "member")
    assert carol.enter("hall", "Carol").own.item["affiliation"] == "member"


def test_a_password_opens_a_protected_room(hall, server, people):
    _, alice, _ = hall
    alice.configure("hall", {"muc#roomconfig_passwordprotectedroom": "1", "muc#roomconfig_roomsecret": "open sesame", "muc#roomconfig_persistentroom": "1"})
    (carol,) = people(server, "carol")
    for wrong in (None, "wrong"):
        with pytest.raises(Refused) as refused:
            carol.enter("hall", "Carol", password=wrong)
        assert refused.value.condition == "not-authorized"
    carol.enter("hall", "Carol", password="open sesame")


def test_a_destroyed_room_names_the_alternate(hall):
    _, alice, bob = hall
    alice.destroy("hall", alternate="cellar@conference.localhost", reason="moving")
    gone = bob.sees("hall", "Bob", lambda s: s.type == "unavailable")
    destroy = gone.xml.find(f"{USER}x/{USER}destroy")
    assert destroy is not None and destroy.get("jid") == "cellar@conference.localhost"
    assert destroy.findtext(f"{USER}reason") == "moving"
    with pytest.raises(Refused) as refused:
        bob.enter("hall", "Bob")
    assert refused.value.condition == "gone"


def test_an_invitation_is_passed_on_by_the_room(hall, server, people):
    _, alice, _ = hall
    (carol,) = people(server, "carol")
    alice.send(f"<message to='{HALL}'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='{carol.jid}'><reason>come</reason></invite></x></message>")
    heard = carol.wait(lambda s: s.name == "message" and s.frm == HALL and s.xml.find(f"{USER}x/{USER}invite") is not None, "an invitation")
    invite = heard.xml.find(f"{USER}x/{USER}invite")
    assert invite.get("from", "").startswith((alice.jid, f"{HALL}/Alice")) and invite.findtext(f"{USER}reason") == "come"


def test_a_self_ping_tells_inside_from_outside(hall, server, people):
    _, alice, _ = hall
    alice.ping(f"{HALL}/Alice")
    (carol,) = people(server, "carol")
    with pytest.raises(Refused) as refused:
        carol.ping(f"{HALL}/Carol")
    assert refused.value.condition == "not-acceptable"


def test_the_service_answers_who_it_is_and_lists_its_public_rooms(hall):
    _, alice, bob = hall
    alice.configure("hall", {"muc#roomconfig_publicroom": "1", "muc#roomconfig_persistentroom": "1", "muc#roomconfig_roomname": "The Hall"})
    identities, features, _ = bob.disco_info(bob.service)
    assert ("conference", "text") in identities and "http://jabber.org/protocol/muc" in features
    assert HALL in bob.disco_items(bob.service)
    bob.ping(bob.service)
    version = bob.ask("get", bob.service, "<query xmlns='jabber:iq:version'/>")
    assert "tandem" in version.xml.findtext("{jabber:iq:version}query/{jabber:iq:version}name").lower()


def test_two_sessions_share_a_nick_and_the_nick_leaves_with_the_last(hall, server, people):
    _, alice, bob = hall
    (phone,) = people(server, "bob", resource="phone")
    phone.enter("hall", "Bob")
    alice.say_heard("hall", "to both")
    bob.hears("hall", "to both")
    phone.hears("hall", "to both")
    since = alice.now
    bob.leave("hall", "Bob")
    assert not [s for s in alice.hears_nothing_more("hall", "Alice", since) if s.nick == "Bob" and s.type == "unavailable"]
    phone.leave("hall", "Bob")
    alice.sees("hall", "Bob", lambda s: s.type == "unavailable", since=since)


def test_an_occupant_id_is_given_and_stays(hall):
    _, alice, bob = hall
    first = bob.say_heard("hall", "one").occupant_id
    bob.leave("hall", "Bob")
    bob.enter("hall", "Bobby")
    assert first and bob.say_heard("hall", "two").occupant_id == first
    assert alice.say_heard("hall", "three").occupant_id != first


def test_a_subject_only_a_moderator_may_set(hall):
    _, alice, bob = hall
    alice.set_subject("hall", "Order")
    bob.wait(lambda s: s.subject == "Order", "the subject")
    since = bob.now
    bob.set_subject("hall", "Chaos")
    refused = bob.wait(lambda s: s.name == "message" and s.type == "error", "a refusal", since)
    assert refused.condition == "forbidden"
    assert not [s for s in alice.since() if s.subject == "Chaos"]


def test_who_hangs_up_is_gone_from_the_room(hall):
    _, alice, bob = hall
    bob.close()
    alice.sees("hall", "Bob", lambda s: s.type == "unavailable", what="unavailable")


def test_words_from_outside_are_refused(hall, server, people):
    (carol,) = people(server, "carol")
    since = carol.now
    carol.say("hall", "hello?")
    assert carol.wait(lambda s: s.name == "message" and s.type == "error", "a refusal", since).condition == "not-acceptable"


def test_an_error_names_the_stanza_it_answers(hall, server, people):
    (carol,) = people(server, "carol")
    since = carol.now
    stanza_id = carol.say("hall", "hello?")
    refused = carol.wait(lambda s: s.type == "error", "a refusal", since)
    assert refused.id == stanza_id
    text = refused.xml.find(f"{CLIENT}error/{{urn:ietf:params:xml:ns:xmpp-stanzas}}text")
    assert text is not None and re.search(r"\w", text.text)
