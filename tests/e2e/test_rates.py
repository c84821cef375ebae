"""Who sends too fast is asked to wait; of presences the last one is told when it may be; everybody else notices nothing."""

import pytest

RATES = {
    "messages_per_minute": 60, "messages_at_once": 5,
    "presences_per_minute": 60, "presences_at_once": 4,
    "requests_per_minute": 60, "requests_at_once": 30,
}  # fmt: skip


@pytest.fixture
def hall(server, node, people):
    """A hall with Alice, who owns it, and Mallory."""
    muc = node(server, extra={"service": {"rates": RATES}})
    alice, mallory = people(server, "alice", "mallory")
    alice.create("hall", "Alice")
    mallory.enter("hall", "Mallory")
    return muc, alice, mallory


def test_who_speaks_too_fast_is_asked_to_wait(hall):
    _, alice, mallory = hall
    since, heard_from = mallory.now, alice.now
    ids = [mallory.say("hall", f"word {number}") for number in range(30)]
    last = mallory.wait(lambda s: s.name == "message" and s.id == ids[-1], "an answer to the last word", since)
    answers = {s.id: s for s in mallory.since(since) if s.name == "message" and s.id in ids}
    refused = [answers[each] for each in ids if answers[each].type == "error"]
    assert last in refused and 20 <= len(refused) <= 25, f"{len(refused)} of 30 were refused"
    assert {(s.error_type, s.condition) for s in refused} == {("wait", "policy-violation")}
    alice.say_heard("hall", "everybody else speaks as before")
    heard = [s.body for s in alice.since(heard_from) if s.name == "message" and s.nick == "Mallory"]
    assert heard == [f"word {number}" for number in range(len(heard))] and 5 <= len(heard) <= 10
    mallory.say_until_heard("hall", "after a while so does Mallory")


def test_of_many_presences_the_last_one_is_told(hall):
    muc, alice, mallory = hall
    since = alice.now
    for number in range(30):
        mallory.send(f"<presence to='{mallory.room('hall')}/Mallory'><status>mood {number}</status></presence>")
    alice.sees("hall", "Mallory", lambda s: "mood 29" in repr(s), since=since, what="with the last mood")
    told = [s for s in alice.since(since) if s.is_presence_of(alice.room("hall"), "Mallory")]
    assert len(told) <= 8, f"{len(told)} of 30 moods were told"
    assert "tandem_muc_stanzas_refused_total" not in muc.http_get("/metrics")[1], "a presence is never refused"

    mallory.send(f"<presence to='{mallory.room('hall')}/Mallory'><status>never told</status></presence>")
    mallory.leave("hall", "Mallory")
    alice.sees("hall", "Mallory", lambda s: s.type == "unavailable", since=since, what="leaving")
    left = alice.now
    alice.hears_nothing_more("hall", "Alice", left)
    assert not [s for s in alice.since(since) if "never told" in repr(s)]


def test_who_asks_too_much_is_asked_to_wait(hall):
    _, alice, mallory = hall
    since = mallory.now
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    for number in range(60):
        mallory.send(f"<iq type='get' id='q{number}' to='{mallory.room('hall')}'>{query}</iq>")
    mallory.wait(lambda s: s.id == "q59", "an answer to the last question", since)
    answers = [s for s in mallory.since(since) if s.name == "iq" and (s.id or "").startswith("q")]
    refused = [s for s in answers if s.type == "error"]
    assert len(answers) == 60 and 20 <= len(refused) <= 35, f"{len(refused)} of {len(answers)} were refused"
    assert {(s.error_type, s.condition) for s in refused} == {("wait", "resource-constraint")}
    assert alice.disco_info(alice.room("hall"))
