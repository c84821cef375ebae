"""How rooms and the service show themselves (XEP-0486, XEP-0054, XEP-0153), asked by real clients through real servers."""

import base64
import hashlib

import pytest
from harness.client import Refused

HALL, SERVICE = "hall@conference.localhost", "conference.localhost"
VCARD, UPDATE, DATA, INFO = "{vcard-temp}", "{vcard-temp:x:update}", "{jabber:x:data}", "{http://jabber.org/protocol/disco#info}"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 180  # 45 KiB
HASH = hashlib.sha1(PNG).hexdigest()


def set_picture(client, picture: bytes, room: str = HALL) -> None:
    encoded = base64.b64encode(picture).decode()
    client.ask("set", room, f"<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>{encoded}</BINVAL></PHOTO></vCard>")


def picture_of(client, jid: str) -> bytes | None:
    """The picture as slixmpp finds it."""

    async def fetch(stream):
        stream.register_plugin("xep_0054")
        return await stream["xep_0054"].get_vcard(jid)

    photo = client.ask_slixmpp(fetch)["vcard_temp"]["PHOTO"]
    return photo["BINVAL"] or None


def told_hash(heard) -> str | None:
    return heard.xml.findtext(f"{UPDATE}x/{UPDATE}photo")


def is_about_the_picture(s) -> bool:
    return s.name == "presence" and s.frm == HALL and s.xml.find(f"{UPDATE}x") is not None


def hashes_in_disco(client) -> list[str]:
    answer = client.ask("get", HALL, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    return [value.text for field in answer.xml.iter(f"{DATA}field") if field.get("var") == "muc#roominfo_avatarhash" for value in field]


def test_a_room_has_a_picture(server, node, people):
    component = node(server)
    alice, bob, carol = people(server, "alice", "bob", "carol")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    since = bob.now
    set_picture(alice, PNG)
    assert told_hash(bob.wait(is_about_the_picture, "the room's picture", since)) == HASH
    bob.wait(lambda s: s.name == "message" and s.room == HALL and 104 in s.codes, "that something changed", since)
    assert hashes_in_disco(carol) == [HASH]
    assert picture_of(carol, HALL) == PNG
    with pytest.raises(Refused) as refused:
        set_picture(bob, PNG)
    assert refused.value.condition == "forbidden"
    since = carol.now
    carol.enter("hall", "Carol")
    assert told_hash(carol.wait(is_about_the_picture, "the room's picture", since)) == HASH

    # It is there still when the node starts anew and nobody has touched the room.
    component.kill9()
    component.start()
    assert picture_of(bob, HALL) == PNG and hashes_in_disco(bob) == [HASH]
    since = bob.now
    alice.ask("set", HALL, "<vCard xmlns='vcard-temp'/>")
    assert told_hash(bob.wait(is_about_the_picture, "that the picture is gone", since)) == ""
    assert hashes_in_disco(carol) == [] and picture_of(carol, HALL) is None


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_takeover_keeps_the_picture(server, people, pair, database, kind):
    two = pair(server, database(kind))
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    set_picture(alice, PNG)
    old = two.holder()
    old.kill9()
    two.until_spoken_by(two.other(old).name)
    assert picture_of(bob, HALL) == PNG and hashes_in_disco(bob) == [HASH]


def test_the_service_shows_itself(server, node, people, tmp_path):
    (tmp_path / "rooms.png").write_bytes(PNG)
    identity = {"name": "Rooms & more", "description": "All of them", "avatar": str(tmp_path / "rooms.png")}
    node(server, extra={"service": {"identity": identity}})
    (alice,) = people(server, "alice")
    assert "vcard-temp" in alice.disco_info(SERVICE)[1]
    info = alice.ask("get", SERVICE, "<query xmlns='http://jabber.org/protocol/disco#info'/>").xml
    assert info.find(f".//{INFO}identity").get("name") == "Rooms & more"
    assert picture_of(alice, SERVICE) == PNG
    card = alice.ask("get", SERVICE, "<vCard xmlns='vcard-temp'/>").xml
    assert card.findtext(f"{VCARD}vCard/{VCARD}DESC") == "All of them"
    with pytest.raises(Refused) as refused:
        alice.ask("set", SERVICE, "<vCard xmlns='vcard-temp'><FN>Mine</FN></vCard>")
    assert refused.value.condition == "forbidden"
