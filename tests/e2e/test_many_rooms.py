"""Rooms load when they are touched: ten thousand of them in the database cost a start nothing."""

import hashlib
import sqlite3
import time

ROOMS = 10_000


def test_ten_thousand_rooms_do_not_delay_the_first_answer(server, node, people):
    component = node(server)
    alice, bob = people(server, "alice", "bob")
    alice.create("hall-0", "Alice", {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_publicroom": "1"})
    alice.say_heard("hall-0", "hello")
    alice.leave("hall-0", "Alice")
    code, _ = component.terminate()
    assert code == 0
    _multiply(component.database, ROOMS)
    assert component.rows("SELECT count(*) FROM muc_room")[0][0] >= ROOMS

    began = time.monotonic()
    component.start()
    ready = time.monotonic()
    entry = bob.enter("hall-7777", "Bob", patience=5)
    answered = time.monotonic()
    assert entry.own.item["affiliation"] == "none", "the room was there already, with its owner"
    assert answered - ready < 1.0, f"the first room answered {answered - ready:.2f} s after readiness"
    assert ready - began < 5.0, f"readiness took {ready - began:.2f} s"

    first, count, last = _rooms(bob, "<max>40</max>")
    assert count == ROOMS and len(first) == 40 and first == sorted(first, key=_name)
    second, _, _ = _rooms(bob, f"<max>40</max><after>{last}</after>")
    assert len(second) == 40 and _name(second[0]) > _name(first[-1])
    back, _, _ = _rooms(bob, f"<max>40</max><before>{second[0]}</before>")
    assert back == first
    final, _, _ = _rooms(bob, "<max>3</max><before/>")
    assert final[-1] == f"hall-{ROOMS - 1}@{bob.service}"
    unpaged, count, _ = _rooms(bob, None)
    assert len(unpaged) == 100 and count == ROOMS, "a list without end is cut, and says so"


def _name(jid: str) -> str:
    return jid.split("@")[0]


def _rooms(client, page: str | None) -> tuple[list[str], int, str]:
    """One page of the service's rooms (XEP-0059): JIDs, how many there are in all, the last one's id."""
    rsm = "{http://jabber.org/protocol/rsm}"
    asked = "" if page is None else f"<set xmlns='http://jabber.org/protocol/rsm'>{page}</set>"
    answer = client.ask("get", client.service, f"<query xmlns='http://jabber.org/protocol/disco#items'>{asked}</query>").xml
    rooms = [item.get("jid") for item in answer.iter("{http://jabber.org/protocol/disco#items}item")]
    return rooms, int(answer.find(f".//{rsm}count").text), answer.find(f".//{rsm}last").text


def _multiply(database, count: int) -> None:
    """Copies the one room and its affiliations under new names, as a database with many rooms would hold them."""
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    with connection:
        room = dict(connection.execute("SELECT * FROM muc_room").fetchone())
        affiliations = [dict(row) for row in connection.execute("SELECT * FROM muc_affiliation")]
        for n in range(1, count):
            name = f"hall-{n}"
            copy = {column: _renamed(value, n, name) for column, value in room.items()}
            copy["room_id"] = room["room_id"] + n
            _insert(connection, "muc_room", copy)
            for affiliation in affiliations:
                _insert(connection, "muc_affiliation", {**affiliation, "room_id": copy["room_id"]})
    connection.close()


def _renamed(value, n: int, name: str):
    hashes = {hashlib.sha256(text.encode()).digest(): text for text in ("hall-0", "hall-0@conference.localhost")}
    if isinstance(value, bytes) and value in hashes:
        return hashlib.sha256(hashes[value].replace("hall-0", name).encode()).digest()
    if isinstance(value, bytes) and len(value) == 32:
        return hashlib.sha256(value + str(n).encode()).digest()
    return value.replace("hall-0", name) if isinstance(value, str) else value


def _insert(connection: sqlite3.Connection, table: str, row: dict) -> None:
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def test_a_room_at_rest_leaves_memory_and_comes_back_the_same(own_server, node, people):
    server = own_server("prosody")
    component = node(server, extra={"service": {"limits": {"idle_seconds": 1}}})
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    said = alice.say_heard("hall", "remember me")
    component.process.wait_until(lambda: _loaded(component) == 1, "the room is counted", 15)
    alice.leave("hall", "Alice")
    component.process.wait_until(lambda: _loaded(component) == 0, "the room left memory", 30)
    entry = alice.enter("hall", "Alice")
    assert [(s.body, s.stanza_ids) for s in entry.history] == [("remember me", said.stanza_ids)]


def _loaded(component) -> int:
    """Rooms in memory, as `/metrics` counts them over all shards."""
    lines = component.http_get("/metrics")[1].splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("tandem_muc_rooms_loaded{"))
