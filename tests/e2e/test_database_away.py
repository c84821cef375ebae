"""PostgreSQL restarted under load: words wait or are refused with `wait`, none is spoken that is not kept."""

import time

import pytest
from harness.client import NotHeard
from harness.database import Postgresql
from harness.load import Chorus, assert_nobody_was_put_out, assert_nothing_reflected_is_missing
from harness.postgres import Postgres
from test_kill import ARCHIVE, everyone_talks, full_room


@pytest.fixture
def own_postgres():
    running = Postgres().start()
    yield running
    running.process.end()


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_database_restarted_under_load_loses_nothing_that_was_heard(server, node, people, own_postgres, how):
    component = node(server, url=own_postgres.create("rooms"))
    singers = full_room(server, people)
    since = {nick: client.now for nick, client in singers.items()}
    with Chorus("hall", singers) as chorus:
        chorus.until_reflected(100)
        own_postgres.stop(how)
        own_postgres.start()
        chorus.until_reflected(100)
    everyone_talks(singers)
    assert_nobody_was_put_out(chorus, since)
    assert component.process.is_alive
    assert_nothing_reflected_is_missing(chorus, [tuple(row) for row in own_postgres.rows("rooms", ARCHIVE)], at_least=200)


def test_while_the_database_is_away_new_words_are_refused_with_wait(server, node, people, own_postgres):
    component = node(server, url=own_postgres.create("rooms"), extra={"store": {"held_seconds": 4}})
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    alice.say_heard("hall", "before")
    own_postgres.stop("immediate")
    since = bob.now
    refused = _say_until_refused(alice)
    assert (refused.error_type, refused.condition) == ("wait", "resource-constraint")
    assert component.http_get("/ready")[0] == 503
    assert component.http_get("/health")[0] == 200
    assert not [s for s in bob.since(since) if s.name == "message" and s.body], "something was spoken that cannot be kept"
    own_postgres.start()
    alice.say_until_heard("hall", "after")
    bob.hears("hall", "after", nick="Alice")
    heard = {(s.stanza_ids[0], s.body) for s in bob.since() if s.name == "message" and s.type == "groupchat" and s.body}
    assert heard <= {tuple(row) for row in own_postgres.rows("rooms", ARCHIVE)}
    component.process.wait_until(component.is_ready, "it is ready again", patience=10)


@pytest.mark.parametrize(("held_s", "away_s"), [(30, 5), (3, 8)])
def test_a_pair_whose_database_is_away_reflects_or_refuses_each_message_once(own_server, people, pair, relay, own_postgres, held_s, away_s):
    server = own_server("prosody")
    two = pair(server, Postgresql(own_postgres, "rooms"), relay=relay(server), extra={"store": {"held_seconds": held_s}})
    singers = full_room(server, people)
    chorus = Chorus("hall", singers, pace_s=0.02)
    with chorus:
        chorus.until_reflected(100)
        own_postgres.stop("immediate")
        time.sleep(away_s)  # not an event: the time is what is tried
        own_postgres.start()
        chorus.until_reflected(100, patience=60)
    chorus.settle(patience=40)
    account = chorus.account(two.archive())
    account.assert_sound(at_least=200, may_repeat=True)
    assert account.unanswered == 0, str(account)
    if away_s < held_s:
        assert not account.bounced, f"nobody need know of so short a time: {account}"


def _say_until_refused(client, patience: float = 30):
    """Says something now and then until one is refused; none may be reflected in between."""
    deadline = time.monotonic() + patience
    since = client.now
    while time.monotonic() < deadline:
        client.say("hall", f"meanwhile {time.monotonic()}")
        try:
            return client.wait(lambda s: s.name == "message" and s.type == "error", "a refusal", since, patience=0.5)
        except NotHeard:
            continue
    raise NotHeard(f"nothing was refused within {patience} s while the database was away")
