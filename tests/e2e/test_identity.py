"""How rooms, their people and the service show themselves - vCards and pictures (XEP-0486, XEP-0054, XEP-0153), hats by
ad-hoc commands (XEP-0317, XEP-0050), searches (XEP-0433, XEP-0055), contacts (XEP-0157) - asked by real clients through real servers."""

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


HATS, COMMANDS = "urn:xmpp:hats:commands", "http://jabber.org/protocol/commands"


def run_command(client, name: str, values: dict[str, str]):
    """A command as slixmpp runs it: it fetches the form, fills it in and sends it back in the session it was given."""

    async def run(stream):
        stream.register_plugin("xep_0050")
        node = f"{HATS}:{name}"
        answer = await stream["xep_0050"].send_command(HALL, node)
        command = answer["command"]
        if command["status"] == "completed":
            return command
        assert command["status"] == "executing" and command["actions"] == {"complete"}
        form = command["form"]
        assert form["title"] and form["instructions"]
        form["type"] = "submit"
        form["values"] = values
        answer = await stream["xep_0050"].send_command(HALL, node, action="complete", payload=form.xml, sessionid=command["sessionid"])
        return answer["command"]

    return client.ask_slixmpp(run)


def worn(heard) -> dict[str, str]:
    return {hat.get("uri"): hat.get("title") for hat in heard.xml.iterfind("{urn:xmpp:hats:0}hats/{urn:xmpp:hats:0}hat")}


def commands_for(client) -> set[str]:
    async def ask(stream):
        stream.register_plugin("xep_0050")
        return await stream["xep_0050"].get_commands(HALL)

    return {node.removeprefix(f"{HATS}:") for _, node, _ in client.ask_slixmpp(ask)["disco_items"]["items"]}


def test_hats_are_made_put_on_and_seen(server, node, people):
    component = node(server)
    alice, bob, carol = people(server, "alice", "bob", "carol")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    assert {"urn:xmpp:hats:0", COMMANDS} <= bob.disco_info(HALL)[1]
    assert commands_for(alice) == {"list", "list-assigned", "create", "destroy", "assign", "unassign"}
    assert commands_for(bob) == {"list"} and commands_for(carol) == set()

    made = run_command(alice, "create", {"hats#title": "Host", "hats#uri": "urn:example:host"})
    assert made["status"] == "completed"
    since = bob.now
    run_command(alice, "assign", {"hats#jid": bob.jid, "hats#uri": "urn:example:host"})
    assert worn(bob.sees("hall", "Bob", since=since)) == {"urn:example:host": "Host"}
    rows = run_command(alice, "list-assigned", {}).xml.iter(f"{DATA}item")
    assert [{f.get("var"): f.findtext(f"{DATA}value") for f in row} for row in rows] == [
        {"hats#jid": bob.jid, "hats#title": "Host", "hats#uri": "urn:example:host"}
    ]

    # A crash in the middle of a command: the form that lies open is good still, and the hat is on still.
    async def begin(stream):
        return (await stream["xep_0050"].send_command(HALL, f"{HATS}:create"))["command"]

    open_form = alice.ask_slixmpp(begin)
    component.kill9()
    component.start()
    since = carol.now
    entry = carol.enter("hall", "Carol")
    assert [worn(s) for s in entry.others if s.nick == "Bob"] == [{"urn:example:host": "Host"}]
    fields = "".join(
        f"<field var='{var}'><value>{value}</value></field>" for var, value in {"hats#title": "Guest", "hats#uri": "urn:example:guest"}.items()
    )
    session = open_form["sessionid"]
    done = alice.ask(
        "set", HALL, f"<command xmlns='{COMMANDS}' node='{HATS}:create' sessionid='{session}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></command>"
    )
    assert done.xml.find(f"{{{COMMANDS}}}command").get("status") == "completed"
    run_command(alice, "destroy", {"hats#uri": "urn:example:host"})
    assert worn(carol.sees("hall", "Bob", lambda s: not worn(s), since=since)) == {}


SEARCH = "urn:xmpp:channel-search:0:search"


def find(client, fields: dict[str, str], page: str = "") -> list[str]:
    """The addresses a channel search brings."""
    inner = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in fields.items())
    form = f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{SEARCH}-params</value></field>{inner}</x>"
    answer = client.ask("get", SERVICE, f"<search xmlns='{SEARCH}'><set xmlns='http://jabber.org/protocol/rsm'>{page}</set>{form}</search>")
    return [item.get("address").partition("@")[0] for item in answer.xml.iter(f"{{{SEARCH}}}item")]


def test_rooms_are_searched_for(server, node, people):
    node(server, extra={"service": {"contact": {"abuse": ["mailto:abuse@example.org"]}}})
    alice, bob = people(server, "alice", "bob")
    for name, title, public in (("tea", "Tea time", "1"), ("garden", "The garden of TEA", "1"), ("attic", "Secret tea", "0"), ("hall", "", "1")):
        alice.create(name, "Alice", {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_roomname": title, "muc#roomconfig_publicroom": public})
    bob.enter("tea", "Bob")
    assert {SEARCH, "jabber:iq:search"} <= bob.disco_info(SERVICE)[1]
    assert bob.disco_info(SERVICE)[2]["abuse-addresses"] in ("mailto:abuse@example.org", ["mailto:abuse@example.org"])
    assert find(bob, {"q": "tea"}) == ["garden", "tea"]
    assert find(bob, {"q": "tea", "key": "{urn:xmpp:channel-search:0:order}nusers"}) == ["tea", "garden"]
    assert find(bob, {"q": "tea", "sinname": "false"}) == ["tea"]
    assert find(bob, {"all": "true"}, "<max>2</max>") == ["garden", "hall"]
    assert find(bob, {"all": "true"}, f"<max>2</max><after>hall@{SERVICE}</after>") == ["tea"]
    with pytest.raises(Refused) as refused:
        find(bob, {"q": "x", "all": "1"})
    assert refused.value.heard.xml.find(".//{urn:xmpp:channel-search:0:error}conflicting-fields") is not None

    async def by_slixmpp(stream):
        stream.register_plugin("xep_0055")
        iq = stream.make_iq_set(ito=SERVICE)
        iq["search"]["form"]["type"] = "submit"
        form = iq["search"]["form"]
        form.add_field(var="FORM_TYPE", ftype="hidden", value="jabber:iq:search")
        form.add_field(var="name", value="garden")
        return await iq.send()

    rows = bob.ask_slixmpp(by_slixmpp).xml.iter(f"{DATA}item")
    assert [{f.get("var"): f.findtext(f"{DATA}value") for f in row}["jid"] for row in rows] == [f"garden@{SERVICE}"]
