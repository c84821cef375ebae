"""What an operator tells a pair and reads of it: orders, limits, history, and status from every side."""

import json
import re

import pytest
from harness.load import Chorus
from harness.waiting import until
from test_kill import full_room


@pytest.fixture
def prosody(own_server):
    return own_server("prosody")


def test_a_paused_pair_stays_where_it_is_until_it_is_resumed(prosody, people, pair, database, relay):
    two = pair(prosody, database("postgresql"), relay=relay(prosody))
    alice, bob = people(prosody, "alice", "bob")
    alice.create("hall", "Alice")
    bob.enter("hall", "Bob")
    two.moved("pause")
    until(lambda: _paused(two) == {"1"}, "both nodes know that they are paused")
    two.holder().kill9()
    two.until_state("b", "Running in Failed Mode", reason="On Admin Request")
    assert "resume" in two.duty("b")["why"]
    alice.say("hall", "said while nobody serves")
    two.moved("resume", asked="b")
    bob.hears("hall", "said while nobody serves", nick="Alice")
    assert two.speaker() == "b"


def _paused(two) -> set[str]:
    return {row[0] for row in two.database.rows("SELECT is_paused FROM muc_node")}


def test_too_many_moves_stop_the_pair_until_an_operator_looks_at_it(prosody, people, pair, database, relay):
    two = pair(prosody, database("postgresql"), relay=relay(prosody), extra={"pair": {"moves_max": 2}})
    alice, bob = people(prosody, "alice", "bob")
    alice.create("hall", "Alice")
    bob.enter("hall", "Bob")
    for _ in range(2):
        old, new = two.holder(), two.backup()
        old.kill9()
        two.until_spoken_by(new.name)
        old.launch()
        two.until_fit(old.name)
    assert two.speaker() == "a"
    two.holder().kill9()
    two.until_state("b", "Running in Failed Mode", reason="Failover Limit")
    assert re.search(r"\b2 automatic moves", two.duty("b")["why"]) and "recover" in two.duty("b")["why"]
    alice.say("hall", "said at the limit")
    two.moved("recover", asked="b")
    bob.hears("hall", "said at the limit", nick="Alice")
    assert two.speaker() == "b"


def test_hand_overs_for_a_trouble_of_ones_own_count_as_moves(prosody, people, pair, database, relay, proxy):
    """Each node loses its relay and server in turn: after two hand-overs the third holder stays, and says what forbids it."""
    beside = relay(prosody)
    ways = {name: (proxy(beside.port), proxy(prosody.component)) for name in ("a", "b")}
    two = pair(prosody, database("postgresql"), relay=beside, is_started=False, extra={"pair": {"moves_max": 2, "patience_ms": 1500}})
    for name, (to_relay, to_server) in ways.items():
        two.nodes[name].settings["service"][0].update(relay=[f"127.0.0.1:{to_relay.port}"], server=[f"127.0.0.1:{to_server.port}"])
    two.start()
    alice, bob = people(prosody, "alice", "bob")
    alice.create("hall", "Alice")
    bob.enter("hall", "Bob")
    for old, new in (("a", "b"), ("b", "a")):
        for way in ways[old]:
            way.refuse()
        two.until_spoken_by(new)
        assert two.duty(new)["reason"] in ("XMPP Server Unreachable", "Critical Service Down"), two.duty(new)
        for way in ways[old]:
            way.accept()
        two.until_fit(old)
        alice.say_heard("hall", f"node {new} serves")
    for way in ways["a"]:
        way.refuse()
    two.until_state("a", "Running in Failed Mode", reason="Failover Limit")
    assert re.search(r"\b2 automatic moves", two.duty("a")["why"]) and "recover" in two.duty("a")["why"]
    alice.say("hall", "said at the limit")
    two.moved("recover", asked="b")
    bob.hears("hall", "said at the limit", nick="Alice")
    assert two.speaker() == "b"


def test_the_history_tells_every_change_with_reason_and_cost(prosody, people, pair, database, relay):
    two = pair(prosody, database("postgresql"), relay=relay(prosody))
    singers = full_room(prosody, people)
    chorus = Chorus("hall", singers, pace_s=0.01)
    with chorus:
        chorus.until_reflected(50)
        two.nodes["a"].kill9()
        two.until_spoken_by("b")
        chorus.until_reflected(20)
        two.nodes["a"].launch()
        two.until_fit("a")
        two.moved("fallback")
        chorus.until_reflected(20)
    events = two.history()
    taken = next(event for event in events if (event["node"], event["to"]) == ("b", "Running in Backup Mode"))
    assert taken["reason"] == "Peer Down" and taken["why"] and int(taken["detect_ms"]) >= 0 and 0 <= int(taken["gap_ms"]) < 2_000
    returned = [event for event in events if (event["node"], event["to"]) == ("a", "Normal")][-1]
    assert returned["reason"] == "On Admin Request" and "fallback" in returned["why"]
    given = next(event for event in events if (event["node"], event["to"]) == ("b", "Falling Back"))
    assert given["reason"] == "On Admin Request" and given["operator"]
    assert int(returned["epoch"]) > int(taken["epoch"])
    times = [int(event["at_ms"]) for event in events]
    assert times == sorted(times)
    done = two.nodes["b"].command("history", "--json")
    assert done.returncode == 0, done.stderr
    assert "Peer Down" in done.stdout
    table = two.nodes["b"].command("history")
    assert table.returncode == 0 and "Running in Backup Mode" in table.stdout and "On Admin Request" in table.stdout, table.stdout + table.stderr


def _said_of(two, asked: str, node: str, state: str) -> bool:
    """Whether the status, asked for with this node's configuration, gives that state to `node`."""
    return [entry.get("state") for entry in _entries(two.status(asked)) if entry.get("node") == node] == [state]


def _entries(found) -> list[dict]:
    """Every object in the status that speaks of one node's state."""
    if isinstance(found, list):
        return [entry for each in found for entry in _entries(each)]
    if not isinstance(found, dict):
        return []
    own = [found] if {"node", "state"} <= found.keys() else []
    return own + [entry for each in found.values() for entry in _entries(each)]


def test_status_is_told_by_either_node_and_with_one_or_both_of_them_dead(prosody, pair, database, relay):
    two = pair(prosody, database("postgresql"), relay=relay(prosody))
    for asked in ("a", "b"):
        until(lambda asked=asked: _said_of(two, asked, "a", "Normal") and _said_of(two, asked, "b", "Normal"), f"node {asked} tells of both")
        text = two.nodes[asked].command("status").stdout
        assert "Normal" in text and "conference.localhost" in text, text
    two.nodes["a"].kill9()
    two.until_spoken_by("b")
    for asked in ("a", "b"):
        until(lambda asked=asked: _said_of(two, asked, "b", "Running in Backup Mode"), f"asked with the configuration of {asked}")
        until(lambda asked=asked: _said_of(two, asked, "a", "Failed Over with Critical Services Not Running"), f"{asked} says what became of a")
    two.nodes["b"].kill9()
    for asked in ("a", "b"):
        until(lambda asked=asked: _said_of(two, asked, "b", "Unknown"), f"from the database alone, with the configuration of {asked}")


def test_orders_are_taken_from_who_has_the_token_and_from_nobody_else(prosody, pair, database, tmp_path):
    two = pair(prosody, database("sqlite"))
    wrong = tmp_path / "token"
    wrong.write_text("not-the-token")
    node = two.nodes["a"]
    import urllib.error
    import urllib.request

    for given in ("Bearer not-the-token", ""):
        request = urllib.request.Request(
            f"http://127.0.0.1:{node.http}/api/pair/orders", json.dumps({"kind": "switch-over", "domain": two.domain}).encode(), method="POST",
            headers={"Content-Type": "application/json", **({"Authorization": given} if given else {})},
        )  # fmt: skip
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code in (401, 403)
    assert two.database.rows("SELECT count(*) FROM muc_order") == [("0",)]
    assert two.speaker() == "a"


@pytest.mark.parametrize("command, after", [("switch-over", "b"), ("failover", "b")])
def test_the_command_line_orders_waits_and_says_what_came_of_it(prosody, pair, database, relay, command, after):
    two = pair(prosody, database("sqlite"), relay=relay(prosody))
    done = two.nodes["b"].command(command, "--domain", two.domain)
    assert done.returncode == 0, done.stdout + done.stderr
    assert two.speaker() == after
    again = two.nodes["a"].command("fallback", "--domain", two.domain)
    assert again.returncode == 0 and two.speaker() == "a", again.stdout + again.stderr
    idle = two.nodes["a"].command("fallback", "--domain", two.domain)
    assert idle.returncode == 0 and "at home already" in idle.stdout, idle.stdout + idle.stderr
    wrong = two.nodes["a"].command(command, "--domain", "elsewhere.localhost")
    assert wrong.returncode != 0 and "elsewhere.localhost" in wrong.stderr + wrong.stdout
