"""What an operator keeps to the service, over a reload, and what the room does for people by itself: names for new rooms
(XEP-0307), invitations to new members (XEP-0045 §9.5). Asked by real clients through a real server."""

import signal

import pytest
from harness.client import Refused

HALL, SERVICE = "hall@conference.localhost", "conference.localhost"
PUBLIC, DATA, USER = "muc#roomconfig_publicroom", "{jabber:x:data}", "{http://jabber.org/protocol/muc#user}"
UNIQUE = "{http://jabber.org/protocol/muc#unique}unique"


@pytest.fixture
def prosody(own_server):
    return own_server("prosody")


def type_of(client, room: str, var: str) -> str:
    """How the configuration form of a room shows a field to this client."""
    form = client.ask("get", room, "<query xmlns='http://jabber.org/protocol/muc#owner'/>")
    return next(field.get("type") for field in form.xml.iter(f"{DATA}field") if field.get("var") == var)


def test_defaults_and_fixed_options_follow_a_reload(prosody, node, people):
    component = node(prosody)
    alice, admin = people(prosody, "alice", "admin")
    alice.create("hall", "Alice")
    assert alice.config_form("hall")[PUBLIC] == "1"

    component.settings["service"][0]["defaults"] = {"public": False, "fixed": ["public"]}
    component.write_config()
    component.process.signal(signal.SIGHUP)
    component.process.wait_until(lambda: "reloaded" in component.process.log.read_text(), "it says that it reloaded", 5)

    alice.create("cellar", "Alice", {"muc#roomconfig_roomname": "Cellar"})
    assert (alice.config_form("cellar")[PUBLIC], type_of(alice, f"cellar@{SERVICE}", PUBLIC)) == ("no", "fixed")
    with pytest.raises(Refused) as refused:
        alice.configure("cellar", {PUBLIC: "1", "muc#roomconfig_roomname": "Attic"})
    assert refused.value.condition == "not-allowed"
    assert alice.config_form("cellar")["muc#roomconfig_roomname"] == "Cellar"
    with pytest.raises(Refused):
        alice.configure("hall", {PUBLIC: "0"})
    assert alice.config_form("hall")[PUBLIC] == "yes", "a room keeps what it has"

    assert type_of(admin, f"cellar@{SERVICE}", PUBLIC) == "boolean"
    admin.configure("cellar", {PUBLIC: "1"})
    assert alice.config_form("cellar")[PUBLIC] == "yes"


def test_the_service_names_a_room_and_the_room_invites_its_new_members(prosody, node, people):
    node(prosody)
    alice, bob = people(prosody, "alice", "bob")
    names = {alice.ask("get", SERVICE, "<unique xmlns='http://jabber.org/protocol/muc#unique'/>").xml.find(UNIQUE).text for _ in range(3)}
    assert len(names) == 3 and "http://jabber.org/protocol/muc#unique" in alice.disco_info(SERVICE)[1]
    name = names.pop()
    alice.create(name, "Alice", {"muc#roomconfig_membersonly": "1"})
    since = bob.now
    alice.affiliate(name, "bob@localhost", "member", "tea")

    def is_invitation(s) -> bool:
        return s.name == "message" and s.frm == f"{name}@{SERVICE}" and s.xml.find(f"{USER}x/{USER}invite") is not None

    invitation = bob.wait(is_invitation, "the room invites bob", since)
    assert invitation.xml.find(f"{USER}x/{USER}invite").get("from") == "alice@localhost"
    bob.enter(name, "Bob")
    bob.leave(name, "Bob")
    since = bob.now
    alice.affiliate(name, "bob@localhost", "none")
    bob.wait(lambda s: s.name == "message" and 101 in s.codes, "bob hears that he is no member any more", since)
