"""The room as Gajim's library reads it: nbxmpp, and what Gajim does on its way into a room and in it.

A story passes only if nbxmpp had nothing to warn of: Gajim drops what nbxmpp calls malformed.
"""

import base64
import hashlib

import pytest
from conftest import ACCOUNTS, HOST, SERVICE
from harness.load import Chorus
from harness.optional import module

nbxmpp = module("nbxmpp", "python3-nbxmpp")

from harness.nbxmpp_client import JID, NbxmppClient  # noqa: E402
from nbxmpp.const import Affiliation, AvatarState, Role, StatusCode  # noqa: E402
from nbxmpp.errors import StanzaError  # noqa: E402
from nbxmpp.namespaces import Namespace  # noqa: E402

HALL, DEN = f"hall@{SERVICE}", f"den@{SERVICE}"
ROOM = JID.from_string(HALL)


@pytest.fixture
def gajim():
    """Connects people with nbxmpp: `(bob,) = gajim(server, "bob")`; a story ends with none of them having complained."""
    online = []

    def connect(server, *names: str) -> list[NbxmppClient]:
        group = [NbxmppClient(name, ACCOUNTS[name], host=HOST, port=server.c2s).connect() for name in names]
        online.extend(group)
        return group

    yield connect
    said = {client.account: client.complaints for client in online}
    for client in online:
        client.close()
    assert not any(said.values()), f"nbxmpp warned: {said}"


@pytest.fixture
def hall(server, node, people, gajim):
    """Alice (slixmpp) owns the hall; Bob (nbxmpp) is there too, an admin."""
    node(server)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_roomname": "The hall", "muc#roomconfig_lang": "en"})
    alice.affiliate("hall", f"bob@{HOST}", "admin", "a friend")
    alice.set_subject("hall", "Tea at five")
    said = [alice.say_heard("hall", f"line {n}") for n in range(3)]
    (bob,) = gajim(server, "bob")
    own = bob.enter(HALL, "Bob")
    return alice, bob, own, said


def test_the_way_in_and_the_archive(hall):
    alice, bob, own, said = hall
    info = bob.ask("MUC", "request_info", ROOM).info
    assert info.is_muc and info.muc_name == "The hall" and info.muc_lang == "en" and info.muc_subject == "Tea at five"
    assert info.muc_is_persistent and info.muc_is_open and info.muc_is_nonanonymous and info.mam_namespace == Namespace.MAM_2
    assert info.has_message_moderation and f"alice@{HOST}" in info.muc_contacts
    assert own.muc_status_codes == {StatusCode.SELF, StatusCode.NON_ANONYMOUS, StatusCode.CONFIG_ROOM_LOGGING}
    assert (own.muc_user.affiliation, own.muc_user.role, own.muc_nickname) == (Affiliation.ADMIN, Role.MODERATOR, "Bob")
    subject = bob.wait("message", lambda m: m.muc_subject is not None, "the subject").muc_subject
    assert (subject.text, subject.author) == ("Tea at five", "Alice") and subject.timestamp is not None

    bob.say(HALL, "Grüße <b>&</b> alle")
    heard = alice.hears("hall", "Grüße <b>&</b> alle", nick="Bob")
    back = bob.hears("Grüße <b>&</b> alle")
    assert [(each.id, each.by) for each in back.stanza_ids] == [(heard.stanza_ids[0], HALL)]
    assert back.occupant_id == own.occupant_id == heard.occupant_id != ""

    page = bob.ask("MAM", "make_query", ROOM, queryid="g1", max_=50)
    kept = [event.what for event in bob.events if event.name == "message" and event.what.mam and event.what.body]
    assert page.complete and page.rsm.last == heard.stanza_ids[0]
    assert [(m.mam.id, m.body, m.muc_nickname) for m in kept[:3]] == [(s.stanza_ids[0], s.body, "Alice") for s in said]
    after = bob.ask("MAM", "make_query", ROOM, queryid="g2", after=said[2].stanza_ids[0], max_=50)
    assert (after.rsm.first, after.rsm.last) == (page.rsm.last, page.rsm.last)
    with pytest.raises(StanzaError) as unknown:
        bob.ask("MAM", "make_query", ROOM, queryid="g3", after="never-given", max_=50)
    assert unknown.value.condition == "item-not-found"


def test_moderation_as_gajim_does_it(hall, gajim, server):
    alice, bob, _, said = hall
    spam = said[1].stanza_ids[0]
    alice.affiliate("hall", f"bob@{HOST}", "owner")
    bob.wait("presence", lambda p: p.muc_user and p.muc_user.affiliation == Affiliation.OWNER and p.muc_nickname == "Bob", "itself as owner")
    bob.ask("Moderation", "send_retract_request", ROOM, spam, "off topic")
    told = bob.wait("message", lambda m: m.moderation is not None, "the moderation").moderation
    assert (told.stanza_id, told.reason, told.moderator_jid) == (spam, "off topic", f"{HALL}/Bob")
    (carol,) = gajim(server, "carol")
    carol.enter(HALL, "Carol")
    carol.ask("MAM", "make_query", ROOM, queryid="c1", max_=50)
    kept = [event.what for event in carol.events if event.name == "message" and event.what.mam]
    assert "line 1" not in [m.body for m in kept] and {"line 0", "line 2"} <= {m.body for m in kept}


def test_an_owner_in_gajim(hall, gajim, server):
    alice, bob, _, _ = hall
    (carol,) = gajim(server, "carol")
    assert StatusCode.CREATED in carol.enter(DEN, "Carol").muc_status_codes
    den = JID.from_string(DEN)
    form = carol.ask("MUC", "request_config", den).form
    form["muc#roomconfig_roomname"].value = "The den"
    form["muc#roomconfig_membersonly"].value = form["muc#roomconfig_persistentroom"].value = True
    form.type_ = "submit"
    carol.ask("MUC", "set_config", den, form)
    info = carol.ask("MUC", "request_info", den).info
    assert info.muc_name == "The den" and info.muc_is_members_only and info.muc_is_nonanonymous and info.muc_is_persistent
    refused = bob.enter(DEN, "Bob")
    assert refused.error.condition == "registration-required"
    carol.ask("MUC", "set_affiliation", den, {f"bob@{HOST}": {"affiliation": "member", "reason": "a friend"}})
    bob.enter(DEN, "Bob")
    found = bob.ask("MUC", "get_affiliation", den, "member").users
    assert {str(jid) for jid in found} == {f"bob@{HOST}"}

    since = bob.now
    carol.ask("MUC", "set_role", den, "Bob", "none", "enough")
    gone = bob.wait("presence", lambda p: p.type.is_unavailable and str(p.muc_jid) == DEN, "itself kicked", since)
    assert StatusCode.REMOVED_KICKED in gone.muc_status_codes and (gone.muc_user.reason, gone.muc_user.actor) == ("enough", "Carol")
    carol.ask("MUC", "destroy", den, "moving", HALL)
    told = carol.wait("presence", lambda p: p.muc_destroyed is not None, "the end of the den").muc_destroyed
    assert str(told.alternate) == HALL
    where = bob.ask("MUC", "request_info", den, allow_redirect=True)
    assert where.redirected and where.info.muc_name == "The hall", "who looks for the den is led to the hall"


def test_a_picture_and_a_changed_nick(hall):
    alice, bob, _, _ = hall
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    since = bob.now
    alice.ask("set", HALL, f"<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>{base64.b64encode(png).decode()}</BINVAL></PHOTO></vCard>")
    seen = bob.wait("presence", lambda p: p.avatar_state == AvatarState.ADVERTISED and str(p.jid) == HALL, "the room's picture", since)
    assert seen.avatar_sha == hashlib.sha1(png).hexdigest()
    assert bob.ask("MUC", "request_info", ROOM).vcard.get_avatar() == (png, seen.avatar_sha)
    since = bob.now
    alice.send(f"<presence to='{HALL}/Alicia'/>")
    renamed = bob.wait("presence", lambda p: p.is_nickname_changed, "a new nick", since)
    assert (renamed.muc_nickname, renamed.muc_user.nick) == ("Alice", "Alicia")


@pytest.mark.parametrize("attached", ["bare", "relayed"])
def test_a_kill_is_nothing_to_gajim(server, pair, database, relay, people, gajim, attached):
    two = pair(server, database("sqlite"), relay=relay(server) if attached == "relayed" else None)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    (bob,) = gajim(server, "bob")
    bob.enter(HALL, "Bob")
    chorus = Chorus("hall", {"Alice": alice}, pace_s=0.02)
    since = bob.now
    with chorus:
        chorus.until_reflected(25)
        old = two.holder()
        old.kill9()
        two.until_spoken_by(two.other(old).name)
        bob.ask("Ping", "ping", JID.from_string(f"{HALL}/Bob"))
        chorus.until_reflected(25)
    chorus.settle()
    bob.hears(f"Alice has finished after {chorus.said['Alice']}")
    heard = [(event.what.stanza_ids[0].id, event.what.body) for event in bob.events[since:] if event.name == "message" and event.what.body]
    assert list(dict.fromkeys(heard)) == two.archive(), "everything that was kept was heard, in order"
    assert attached == "bare" or len(set(heard)) == len(heard), "behind the relay nothing is said twice"
    # Without a relay what may not have been heard is said again, presences that all know too.
    presences = [event.what for event in bob.events[since:] if event.name == "presence" and (attached == "relayed" or not event.what.type.is_available)]
    assert not presences, [str(p) for p in presences]
    bob.say(HALL, "still here")
    alice.hears("hall", "still here", nick="Bob")
