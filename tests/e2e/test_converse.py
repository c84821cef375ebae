"""A room as a person sees it: Converse.js in a real browser, on a real server, beside people with other clients.

Screenshots of every step stay in the build folder, `e2e/screenshots/`; each test prints where.
"""

import base64
import struct
import zlib

import pytest
from conftest import ACCOUNTS, HOST, SERVICE
from harness.browser import Browser
from harness.client import Client
from harness.converse import BUILD, Converse, Page
from harness.load import Chorus
from harness.waiting import until

HALL = f"hall@{SERVICE}"
RETRACT = "{urn:xmpp:message-retract:1}"
# What Converse asks of a room or a service that has nothing of the kind; each with the answer that says so.
NOT_THERE = {"vcard-temp": {"service-unavailable", "item-not-found"}}


@pytest.fixture(scope="session")
def browser():
    running = Browser().start()
    yield running
    running.end()


@pytest.fixture
def converse(browser):
    """Logs in with Converse.js: `bob = converse(server, "bob")`."""
    pages = []

    def log_in(server, name: str) -> Converse:
        pages.append(Page(server.websocket, SERVICE))
        client = Converse(browser, pages[-1])
        client.log_in(f"{name}@{HOST}", ACCOUNTS[name])
        return client

    yield log_in
    browser.open("about:blank")
    for page in pages:
        page.end()


@pytest.fixture
def shot(browser, request):
    """Keeps a picture of the page: `shot("history")`."""
    folder = BUILD / "screenshots" / request.node.name.replace("[", "-").replace("]", "")
    taken = []

    def take(name: str) -> None:
        taken.append(name)
        browser.screenshot(folder / f"{len(taken)}-{name}.png")

    yield take
    print(f"screenshots: {folder}")


def picture(red: int, green: int, blue: int) -> str:
    """A plain square, as PNG in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes((red, green, blue)) * 32) * 32
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(png).decode()


def assert_content(bob: Converse) -> None:
    """Nothing went wrong in the page, and the service answered all that it was asked, with an error only where it has to."""
    noise = ("conversejs.org/media/logos",)  # its sponsors' pictures on the login page; the policy keeps them out
    severe = [text for level, text in bob.browser.console() if level == "SEVERE" and not any(each in text for each in noise)]
    severe = [text for text in severe if "<iq" not in text.replace("\\u003C", "<") or SERVICE in text]
    assert not severe, severe
    assert not (trouble := bob.browser.run("return trouble")), trouble
    asked = bob.asked(SERVICE)
    assert asked, "it asked something"
    wrong = [each for each in asked.values() if each["answer"] != "result" and each["answer"] not in NOT_THERE.get(each["asks"], ())]
    assert not wrong, f"asked in vain: {wrong}"


def test_a_day_in_a_room(server, node, people, converse, shot):
    node(server)
    alice, carol = people(server, "alice", "carol")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_roomname": "The hall"})
    alice.affiliate("hall", f"bob@{HOST}", "owner")
    alice.set_subject("hall", "Tea at five")
    for n in range(3):
        alice.say_heard("hall", f"line {n}")

    bob = converse(server, "bob")
    since = alice.now
    bob.enter(HALL, "Bob")
    bob.sees("Tea at five", "the subject")
    bob.sees_message("line 2")
    assert bob.messages() == ["line 0", "line 1", "line 2"]
    assert sorted(bob.participants()) == ["Alice", "Bob"]
    assert alice.sees("hall", "Bob", since=since).item["affiliation"] == "owner"
    shot("entered")

    bob.type("Hello <b>everyone</b> & all")
    alice.hears("hall", "Hello <b>everyone</b> & all", nick="Bob")
    alice.say_heard("hall", "Welcome")
    bob.sees_message("Welcome")
    assert bob.messages()[3:] == ["Hello <b>everyone</b> & all", "Welcome"]

    since = alice.now
    bob.type("/nick Robert")
    assert 303 in alice.sees("hall", "Bob", lambda s: s.type == "unavailable", since=since).codes
    until(lambda: sorted(bob.participants()) == ["Alice", "Robert"], lambda: f"the new nick: {bob.participants()}")
    bob.type("/topic Cake at six")
    alice.wait(lambda s: s.subject == "Cake at six" and s.nick == "Robert", "the new subject")
    bob.sees("Cake at six")
    shot("nick-and-subject")

    bob.choose(".configure-chatroom-button")
    bob.browser.type("input[name='muc#roomconfig_roomname']", "The great hall", clear=True)
    bob.browser.type("input[name='muc#roomconfig_roomdesc']", "For tea and cake", clear=True)
    shot("configuration")
    since = alice.now
    bob.browser.click(".modal input[type=submit]")
    assert 104 in alice.wait(lambda s: s.name == "message" and s.codes, "a change notice", since).codes
    bob.sees("The great hall", "the new name")
    form = alice.config_form("hall")
    assert (form["muc#roomconfig_roomname"], form["muc#roomconfig_roomdesc"], form["muc#roomconfig_persistentroom"]) == ("The great hall", "For tea and cake", "1")

    carol.enter("hall", "Carol")
    until(lambda: "Carol" in bob.participants(), "Carol is shown")
    bob.type("/kick Carol enough")
    assert 307 in carol.sees("hall", "Carol", lambda s: s.type == "unavailable").codes
    until(lambda: "Carol" not in bob.participants(), "Carol is shown no more")
    until(lambda: any("Carol has been kicked out" in notice and "enough" in notice for notice in bob.told()), lambda: f"the kick and its reason: {bob.told()}")
    shot("kicked")

    _commands_match_what_discovery_says(bob, alice, shot)
    assert_content(bob)

    alice.affiliate("hall", f"bob@{HOST}", "none")
    alice.kick("hall", "Robert", "time to go")
    bob.sees("You have been kicked from this groupchat")
    bob.sees("time to go")
    shot("out")


def test_the_rooms_picture_is_shown_and_changes(server, node, people, converse, shot):
    node(server)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})

    def hang(colour: str) -> None:
        alice.ask("set", HALL, f"<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>{colour}</BINVAL></PHOTO></vCard>")

    def shown() -> str | None:
        return bob.browser.run("const e = document.querySelector('converse-muc-heading converse-avatar'); return (e?.querySelector('img, image') ?? {}).outerHTML")

    green, blue = picture(30, 160, 60), picture(40, 80, 200)
    hang(green)
    bob = converse(server, "bob")
    bob.enter(HALL, "Bob")
    until(lambda: green in (shown() or ""), lambda: f"the picture: {(shown() or '')[:200]}", 20)
    shot("green")
    hang(blue)
    until(lambda: blue in (shown() or ""), lambda: f"the new picture: {(shown() or '')[:200]}", 20)
    shot("blue")
    assert_content(bob)


def test_words_are_corrected_taken_back_and_reacted_to(server, node, people, converse, shot):
    component = node(server)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_roomname": "The hall"})
    alice.affiliate("hall", f"bob@{HOST}", "owner")
    alice.say_heard("hall", "buy my pills")
    bob = converse(server, "bob")
    bob.enter(HALL, "Bob")
    bob.sees_message("buy my pills")

    bob.type("a wrod")
    said = alice.hears("hall", "a wrod", nick="Bob")
    bob.act_on("a wrod", "edit")
    bob.browser.type("textarea.chat-textarea", "a word", enter=True, clear=True)
    corrected = alice.hears("hall", "a word", nick="Bob")
    assert corrected.xml.find("{urn:xmpp:message-correct:0}replace").get("id") == said.id
    until(lambda: bob.messages() == ["buy my pills", "a word"], lambda: f"the page shows the correction: {bob.messages()}")
    alice.send(f"<message type='groupchat' id='r1' to='{HALL}'><reactions xmlns='urn:xmpp:reactions:0' id='{said.stanza_ids[0]}'><reaction>👍</reaction></reactions><store xmlns='urn:xmpp:hints'/></message>")
    bob.sees("👍", "the reaction")

    since = alice.now
    bob.act_on("buy my pills", "retract")
    bob.browser.type(".modal input[name=reason]", "off topic")
    bob.browser.click(".modal button", "Confirm")
    alice.wait(lambda s: s.name == "message" and s.xml.find(f"{RETRACT}retract/{{urn:xmpp:message-moderate:1}}moderated") is not None, "the moderation", since)
    bob.sees("Bob has removed a message")
    bob.sees("off topic")
    bob.until_dismissed()
    bob.act_on("a word", "retract")
    bob.browser.click(".modal button", "Confirm")
    alice.wait(lambda s: s.name == "message" and s.nick == "Bob" and s.xml.find(f"{RETRACT}retract") is not None, "the retraction", since)
    bob.sees("You have removed a message")
    bob.until_dismissed()
    shot("taken-back")
    kept = component.rows("SELECT body_txt, stanza_xml FROM muc_message")
    assert not [row for row in kept if any(text in str(row) for text in ("pills", "wrod", "a word"))], "no version of what was taken back is kept"

    bob.browser.click("converse-rooms-list .dropdown-toggle, converse-controlbox button.dropdown-toggle")
    bob.browser.click(".show-list-muc-modal")
    bob.browser.click(".modal input[type=submit]")
    bob.sees("Groupchats found")
    shot("list-of-rooms")
    assert_content(bob)


def _commands_match_what_discovery_says(bob: Converse, alice: Client, shot) -> None:
    """The list of commands in Converse's own dialog: those there are, or that there are none."""
    node = "http://jabber.org/protocol/commands"
    bob.browser.click("converse-user-profile .show-client-info, .show-client-info")
    bob.browser.click(".modal .nav-link", "Commands")
    bob.browser.type(".modal input[name=jid]", HALL, enter=True, clear=True)
    if node in alice.disco_info(HALL)[1]:
        query = alice.ask("get", HALL, f"<query xmlns='http://jabber.org/protocol/disco#items' node='{node}'/>")
        names = [item.get("name") for item in query.xml.iter("{http://jabber.org/protocol/disco#items}item")]
        bob.sees("Commands found" if names else "No commands found")
        assert all(name in bob.text() for name in names), f"{names} in {bob.text()}"
    else:
        bob.sees("The specified entity doesn't support ad-hoc commands")
    shot("commands")
    bob.dismiss()


@pytest.mark.parametrize("attached", ["bare", "relayed"])
def test_a_kill_shows_nothing_but_a_pause(server, pair, database, relay, people, converse, shot, attached):
    two = pair(server, database("sqlite"), relay=relay(server) if attached == "relayed" else None)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob = converse(server, "bob")
    bob.enter(HALL, "Bob")
    until(lambda: "Alice" in bob.participants(), "Alice is shown")
    until(lambda: any("entered" in notice for notice in bob.told()), "the notice that Bob has entered")
    told, places = len(bob.told()), len(bob.stanzas())

    chorus = Chorus("hall", {"Alice": alice}, pace_s=0.1)
    with chorus:
        chorus.until_reflected(8)
        bob.type("before")
        alice.hears("hall", "before", nick="Bob")
        old = two.holder()
        old.kill9()
        if attached == "relayed":
            bob.type("meanwhile")
        two.until_spoken_by(two.other(old).name)
        is_inside = bob.browser.run_async("const done = arguments[1]; api.rooms.get(arguments[0]).then((room) => room.isJoined()).then(done)", HALL)
        assert is_inside, f"its own check (XEP-0410) says that it is inside: {list(bob.asked(SERVICE).values())[-3:]}"
        chorus.until_reflected(8)
        bob.type("after")
        alice.hears("hall", "after", nick="Bob")
    chorus.settle()
    bob.sees_message(f"Alice has finished after {chorus.said['Alice']}")
    shot("after-the-kill")

    kept = [body for _, body in two.archive()]
    # Converse sorts by the time its own words were typed, not by the room's order: theirs and its own are held apart.
    for own in (False, True):
        expected = [text for text in kept if (not text.startswith("Alice")) == own]
        shown = [text for text in bob.messages() if (not text.startswith("Alice")) == own]
        assert shown == expected, "the page shows everything that was kept, once, in order"
    assert {"before", "after"} | ({"meanwhile"} if attached == "relayed" else set()) <= set(kept)
    assert bob.told()[told:] == [], "no notice: nobody left or entered, nothing failed"
    presences = [xml for way, xml in bob.stanzas()[places:] if xml.startswith("<presence") and (attached == "relayed" or "unavailable" in xml)]
    assert not presences, presences
    assert_content(bob)
