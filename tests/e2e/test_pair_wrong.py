"""What an operator gets wrong with a pair, and a database that forgets: one speaker, and a state that says why."""

import re

import pytest
from harness.component import Component
from harness.pair import Pair
from harness.process import directory
from harness.waiting import until
from test_kill import everyone_talks, full_room

SERVICE = "conference.localhost"


@pytest.fixture
def prosody(own_server):
    return own_server("prosody")


def sentence(text: str, *words: str) -> bool:
    """Whether some line is a sentence that holds all of these words."""
    return any(all(word.lower() in line.lower() for word in words) and len(line) > 30 for line in text.splitlines())


def test_a_second_node_of_the_same_name_does_not_serve_and_says_why(prosody, people, pair, database, relay):
    two = pair(prosody, database("sqlite"), relay=relay(prosody))
    singers = full_room(prosody, people)
    epoch = two.epoch()
    settings = two.nodes["a"].settings
    double = Component(domain=SERVICE, secret="e2e-secret", server_port=prosody.component, name="a")
    double.settings = {**settings, "http": {**settings["http"], "listen": f"127.0.0.1:{double.http}"}}
    double.launch()
    try:
        until(lambda: sentence(double.process.log_text(), "node", "a", "name"), lambda: f"it says what is wrong: {double.process.log_tail()}", patience=20)
        everyone_talks(singers)
        assert (two.speaker(), two.epoch()) == ("a", epoch), "the first of that name goes on"
        assert not double.is_ready()
    finally:
        double.process.end()


def test_a_node_with_another_secret_is_not_fit_and_says_why(prosody, people, pair, database, relay):
    two = pair(prosody, database("sqlite"), relay=relay(prosody), is_started=False)
    two.nodes["b"].settings["service"][0]["secret"] = "another"
    first, second = two.nodes.values()
    first.launch()
    first.process.wait_until(lambda: two.owner_is_home(first), "it serves")
    second.launch()
    until(lambda: two.duty("b")["is_fit"] == "0" and "secret" in two.duty("b")["unfit"], lambda: f"it says what is wrong: {two.duty('b')}")
    outcome, why = two.order("switch-over", asked="a")
    assert outcome == "refused" and "secret" in why, why
    singers = full_room(prosody, people)
    everyone_talks(singers)
    assert "another" not in second.process.log_text() + first.process.log_text().replace("another node", ""), "the secret was printed"


def test_a_node_that_is_older_than_the_schema_does_not_start(prosody, people, pair, database):
    two = pair(prosody, database("sqlite"))
    two.nodes["b"].kill9()
    newer = int(two.database.rows("SELECT MAX(version_no) FROM muc_schema_version")[0][0]) + 1
    two.database.execute(f"INSERT INTO muc_schema_version (version_no, applied_ms) VALUES ({newer}, 0)")
    second = two.nodes["b"]
    second.launch()
    assert second.process.wait(20) not in (0, 101)
    assert sentence(second.process.log_text(), "schema", str(newer)), second.process.log_tail()
    (alice,) = people(prosody, "alice")
    alice.create("hall", "Alice")
    alice.say_heard("hall", "the running node goes on")


def test_a_domain_two_pairs_claim_in_one_database_is_served_by_the_first(prosody, people, pair, database, relay):
    beside = relay(prosody)
    two = pair(prosody, database("sqlite"), relay=beside)
    others = Pair(prosody, two.database, services={SERVICE: "c"}, secrets=prosody.domains, relay=beside, names=("c", "d"))
    try:
        for node in others.nodes.values():
            node.launch()
        for name in others.nodes:
            others.until_state(name, "Running in Failed Mode", reason="Take Over Failed")
            assert re.search(r"node a\b", others.duty(name)["why"]) and "two pairs" in others.duty(name)["why"]
        everyone_talks(full_room(prosody, people))
        assert two.speaker() == "a"
    finally:
        others.end()


def test_a_domain_two_pairs_claim_with_a_database_each_is_served_by_one_and_refused_to_the_other(prosody, people, pair, database, relay):
    """The relay knows the databases apart: the second pair is refused, and says so."""
    beside = relay(prosody)
    two = pair(prosody, database("sqlite"), relay=beside)
    others = Pair(prosody, database("sqlite"), services={SERVICE: "a"}, secrets=prosody.domains, relay=beside)
    for node in others.nodes.values():
        node.settings["service"][0]["server"] = ["127.0.0.1:1"]  # nothing listens there: only the relay is left
    try:
        singers = full_room(prosody, people)
        for node in others.nodes.values():
            node.launch()
        until(lambda: _says(others, "another database"), lambda: f"the second pair says what is wrong: {others.duty('a')}\n{others.nodes['a'].process.log_tail()}", patience=20)
        everyone_talks(singers)
        assert two.nodes["a"].is_ready() and not others.nodes["a"].is_ready()
    finally:
        others.end()


def test_a_domain_two_pairs_claim_at_a_bare_server_is_fought_over_and_both_say_so(prosody, people, pair, database):
    """Prosody lets the newcomer replace, and the replaced comes back: nobody can tell who is right but an operator."""
    two = pair(prosody, database("sqlite"))
    others = Pair(prosody, database("sqlite"), services={SERVICE: "a"}, secrets=prosody.domains)
    try:
        for node in others.nodes.values():
            node.launch()
        for each in (two, others):
            until(lambda each=each: _is_fought_over(each), lambda each=each: f"it says so: {each.duty('a')}, {each.duty('b')}", patience=30)
            assert each.status("a")["domains"][0]["troubles"], "and status calls it a trouble"
        for node in others.nodes.values():
            node.kill9()
        two.until_spoken_by(two.speaker(), patience=30)
        everyone_talks(full_room(prosody, people))
    finally:
        others.end()


def _is_fought_over(two) -> bool:
    duties = [two.duty(name) for name in two.nodes]
    return any(duty["state"] == "Running in Failed Mode" and "conflict" in duty["why"] for duty in duties)


def _says(two, word: str) -> bool:
    return any(word in (two.duty(name)["why"] + two.duty(name)["unfit"]).lower() for name in two.nodes)


def test_a_database_put_back_to_a_backup_is_noticed_and_loudly_said(prosody, people, pair, database, relay):
    """Restored while both nodes are stopped and the relay runs: its epochs go on beyond the highest that was ever seen."""
    two = pair(prosody, database("sqlite"), relay=relay(prosody))
    alice, bob = people(prosody, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    alice.say_heard("hall", "kept in the backup")
    backup = directory("backup") / "rooms.db"
    two.database.back_up(backup)
    two.moved("switch-over")
    two.until_fit("a")
    two.moved("fallback")
    alice.say_heard("hall", "forgotten by the backup")
    high = two.epoch()
    for node in two.nodes.values():
        node.kill9()
    two.database.restore(backup)
    assert two.epoch() < high
    for node in two.nodes.values():
        node.launch()
    until(lambda: two.epoch() > high and two.holder().is_ready(), lambda: f"served beyond epoch {high}: {two.duty('a')}", patience=30)
    until(lambda: two.duty(two.speaker())["level"] == "2", lambda: f"the relay is attached to: {two.duty(two.speaker())}")
    alice.say_heard("hall", "after")
    bob.hears("hall", "after", nick="Alice")
    logs = "".join(node.process.log_text() for node in two.nodes.values())
    assert sentence(logs, "epoch", str(high)), "the loss is said loudly"
