"""Archive queries (XEP-0313), asked by real clients through real servers."""

import time
from xml.sax.saxutils import escape

import pytest
from harness.client import Refused

HALL = "hall@conference.localhost"
MAM, RSM, FORWARD = "{urn:xmpp:mam:2}", "{http://jabber.org/protocol/rsm}", "{urn:xmpp:forward:0}"
CLIENT, SID, USER = "{jabber:client}", "{urn:xmpp:sid:0}", "{http://jabber.org/protocol/muc#user}"


class Answer:
    """What a query brought: the messages and the end of the page."""

    def __init__(self, results, answer):
        self.ids = [result.get("id") for result in results]
        self.messages = [result.find(f"{FORWARD}forwarded/{CLIENT}message") for result in results]
        self.bodies = [message.findtext(f"{CLIENT}body") for message in self.messages]
        fin = answer.xml.find(f"{MAM}fin")
        self.is_complete = fin.get("complete") == "true"
        self.first, self.last = (fin.findtext(f"{RSM}set/{RSM}{end}") for end in ("first", "last"))


def query(client, fields: dict | None = None, page: str = "", to: str = HALL, patience: float = 20) -> Answer:
    """Asks and checks that every result came before the end, for this query and from the room."""
    since = client.now
    inner = "".join(f"<field var='{var}'><value>{escape(value)}</value></field>" for var, value in (fields or {}).items())
    form = f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>{inner}</x>" if fields else ""
    rsm = f"<set xmlns='http://jabber.org/protocol/rsm'>{page}</set>" if page else ""
    answer = client.ask("set", to, f"<query xmlns='urn:xmpp:mam:2' queryid='q{since}'>{form}{rsm}</query>", patience)
    heard = [s for s in client.since(since) if s.name == "message" and s.room == to and s.xml.find(f"{MAM}result") is not None]
    assert all(s.place < answer.place for s in heard)
    results = [s.xml.find(f"{MAM}result") for s in heard]
    assert all(result.get("queryid") == f"q{since}" for result in results)
    return Answer(results, answer)


@pytest.fixture
def hall(server, node, people):
    """A room with Alice (owner) and Bob inside and thirty lines said."""
    component = node(server)
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    said = [(alice if n % 2 else bob).say_heard("hall", f"line {n}") for n in range(30)]
    return component, alice, bob, said


def test_what_was_said_comes_back_page_by_page_with_the_ids_heard_live(hall, server, people):
    component, alice, bob, said = hall
    assert {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended"} <= alice.disco_info(HALL)[1]
    (carol,) = people(server, "carol")
    ids, bodies, page = [], [], "<max>7</max>"
    while True:
        answer = query(carol, page=page)
        assert (answer.first, answer.last) == (answer.ids[0], answer.ids[-1])
        ids, bodies = ids + answer.ids, bodies + answer.bodies
        if answer.is_complete:
            break
        page = f"<max>7</max><after>{answer.last}</after>"
    assert bodies == [f"line {n}" for n in range(30)]
    assert ids == [s.stanza_ids[0] for s in said]
    backward = query(carol, page=f"<max>3</max><before>{ids[10]}</before>")
    assert backward.bodies == ["line 7", "line 8", "line 9"]
    message = backward.messages[0]
    assert message.get("from") == f"{HALL}/Alice" and message.get("to") is None
    assert message.find(f"{USER}x/{USER}item").get("jid") == alice.full_jid


def test_slixmpp_finds_the_same(hall, server, people):
    (carol,) = people(server, "carol")

    async def all_bodies(stream):
        stream.register_plugin("xep_0313")
        answer = await stream["xep_0313"].retrieve(jid=HALL, rsm={"max": "40"})
        return [result["mam_result"]["forwarded"]["stanza"]["body"] for result in answer["mam"]["results"]]

    assert carol.ask_slixmpp(all_bodies) == [f"line {n}" for n in range(30)]


def test_fields_and_words(hall, server, people):
    _, alice, bob, said = hall
    assert query(alice, {"with": bob.jid}, page="<max>100</max>").bodies == [f"line {n}" for n in range(0, 30, 2)]
    assert query(alice, {"{urn:xmpp:fulltext:0}fulltext": "LINE 27"}).bodies == ["line 27"]
    assert query(alice, {"ids": said[4].stanza_ids[0]}).bodies == ["line 4"]
    with pytest.raises(Refused) as refused:
        query(alice, {"after-id": "nothing"})
    assert refused.value.condition == "item-not-found"


def test_those_who_may_not_enter_may_not_read(hall, server, people):
    _, alice, _, _ = hall
    (mallory,) = people(server, "mallory")
    assert len(query(mallory).ids) == 30
    alice.affiliate("hall", mallory.jid, "outcast")
    with pytest.raises(Refused) as refused:
        query(mallory)
    assert refused.value.condition == "forbidden"


def test_the_archive_outlives_a_kill(hall, server, node):
    component, alice, bob, said = hall
    component.kill9()
    component.start()
    alice.say_until_heard("hall", "after")
    answer = query(bob, page="<max>5</max><before/>")
    assert answer.bodies == ["line 26", "line 27", "line 28", "line 29", "after"]
    assert answer.ids[:4] == [s.stanza_ids[0] for s in said[26:]]


def test_talk_does_not_wait_for_a_reader(server, node, people, postgres):
    """A hundred queries at once by one asker are all answered, and somebody speaks meanwhile."""
    node(server, url=postgres.create(f"archive_{server.component}"))
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    for n in range(40):
        bob.say_heard("hall", f"line {n}")
    since = alice.now
    for n in range(100):
        alice.send(f"<iq type='set' id='many{n}' to='{HALL}'><query xmlns='urn:xmpp:mam:2'/></iq>")
    began = time.monotonic()
    bob.say_heard("hall", "meanwhile")
    spoke_within = time.monotonic() - began
    answers = [alice.wait(lambda s, n=n: s.name == "iq" and s.id == f"many{n}", f"answer {n}", since, 60) for n in range(100)]
    assert all(answer.type == "result" for answer in answers)
    assert spoke_within < 5, f"who speaks waited {spoke_within:.1f} s"


def test_what_is_too_old_leaves(own_server, node, people, database):
    """The operator's limit holds for rooms that nobody has in memory, too."""
    server, store = own_server("prosody"), database("sqlite")
    first = node(server, url=store.url)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    for n in range(5):
        alice.say_heard("hall", f"line {n}")
    alice.leave("hall", "Alice")
    first.terminate()
    store.execute("UPDATE muc_message SET sent_ms = sent_ms - 3 * 86400000 WHERE seq <= 3")
    node(server, url=store.url, extra={"service": {"limits": {"archive_days_max": 2}}})
    deadline = time.monotonic() + 40
    while store.rows("SELECT COUNT(*) FROM muc_message")[0][0] != "2":
        assert time.monotonic() < deadline, "old messages are still there"
        time.sleep(0.2)
    assert query(alice).bodies == ["line 3", "line 4"]


def test_what_was_taken_back_is_gone_for_everyone_who_comes_later(hall, server, people):
    component, alice, bob, said = hall
    own, foreign = said[0].stanza_ids[0], said[2].stanza_ids[0]
    bob.send(f"<message type='groupchat' id='back' to='{HALL}'><retract xmlns='urn:xmpp:message-retract:1' id='{own}'/><store xmlns='urn:xmpp:hints'/></message>")
    alice.wait(lambda s: s.name == "message" and s.id == "back" and s.nick == "Bob", "Bob takes a message back")
    with pytest.raises(Refused) as refused:
        bob.ask("set", HALL, f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{foreign}'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>")
    assert refused.value.condition == "forbidden"
    since = bob.now
    alice.ask("set", HALL, f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{foreign}'><retract xmlns='urn:xmpp:message-retract:1'/><reason>no</reason></moderate>")
    retract = "{urn:xmpp:message-retract:1}retract"
    notice = bob.wait(lambda s: s.name == "message" and s.xml.find(retract) is not None, "the notice", since)
    assert not notice.nick and notice.xml.find(retract).get("id") == foreign
    component.kill9()
    component.start()
    (carol,) = people(server, "carol")
    entry = carol.enter("hall", "Carol", history={"maxstanzas": 100})
    answer = query(carol, page="<max>100</max>")
    retracted = "{urn:xmpp:message-retract:1}retracted"
    for messages in ([s.xml for s in entry.history], answer.messages):
        assert [message.find(retracted) is not None for message in messages[:4]] == [True, False, True, False]
        assert all(message.findtext(f"{CLIENT}body") not in ("line 0", "line 2") for message in messages)
    assert component.rows("SELECT COUNT(*) FROM muc_message WHERE stanza_xml LIKE '%line 0<%' OR body_txt IN ('line 0', 'line 2')") == [(0,)]
