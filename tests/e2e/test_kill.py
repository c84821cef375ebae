"""`kill -9` at random moments under load, and SIGTERM: what was heard is kept, and nobody notices but for a pause."""

import os
import random
import time

from harness.load import Chorus, assert_nobody_was_put_out, assert_nothing_reflected_is_missing

KILLS = 8
SEED = int(os.environ.get("E2E_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
ARCHIVE = "SELECT archive_id, body_txt FROM muc_message ORDER BY room_id, seq"


def full_room(server, people):
    nicks = ("Alice", "Bob", "Carol", "Dave")
    singers = dict(zip(nicks, people(server, *(nick.lower() for nick in nicks)), strict=True))
    singers["Alice"].create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    for nick in nicks[1:]:
        singers[nick].enter("hall", nick)
    for client in singers.values():
        for nick in nicks:
            client.sees("hall", nick)
    return singers


def everyone_talks(singers) -> None:
    """Each says something that all hear, without having entered again."""
    for nick, speaker in singers.items():
        said = speaker.say_until_heard("hall", f"{nick} is still here")
        for listener in singers.values():
            listener.hears("hall", f"{nick} is still here", nick=nick)
        assert said.type == "groupchat"


def test_kill_9_under_load_loses_nothing_that_was_heard(server, node, people):
    component = node(server)
    _kill_under_load(component, full_room(server, people), lambda: component.rows(ARCHIVE))


def test_kill_9_on_postgresql_loses_nothing_that_was_heard(server, node, people, postgres):
    database = f"kill_{server.name}"
    component = node(server, url=postgres.create(database))
    _kill_under_load(component, full_room(server, people), lambda: [tuple(row) for row in postgres.rows(database, ARCHIVE)])


def _kill_under_load(component, singers, archive) -> None:
    print(f"seed {SEED} (repeat with E2E_SEED={SEED})")
    chance = random.Random(SEED)
    since = {nick: client.now for nick, client in singers.items()}
    with Chorus("hall", singers) as chorus:
        for _ in range(KILLS):
            chorus.until_reflected(chance.randrange(20, 300))
            time.sleep(chance.random() * 0.02)  # not an event: the kill must fall anywhere within a batch
            component.kill9()
            component.start()
        chorus.until_reflected(50)
    everyone_talks(singers)
    assert_nobody_was_put_out(chorus, since)
    assert_nothing_reflected_is_missing(chorus, archive(), at_least=KILLS * 20)


def test_sigterm_ends_within_five_seconds_with_everything_durable(server, node, people):
    component = node(server)
    singers = full_room(server, people)
    since = {nick: client.now for nick, client in singers.items()}
    with Chorus("hall", singers) as chorus:
        chorus.until_reflected(200)
        code, seconds = component.terminate(patience=5)
    assert code == 0, f"ended with {code}:\n{component.process.log_tail()}"
    assert seconds < 5
    assert_nothing_reflected_is_missing(chorus, component.rows(ARCHIVE), at_least=200)
    component.start()
    everyone_talks(singers)
    assert_nobody_was_put_out(chorus, since)
