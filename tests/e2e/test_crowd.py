"""A crowd enters a room of a real server, speaks and leaves: every single one's view is the same as everybody's.

`CROWD` says how many: 300 by default, for the server alone takes a tenth of a second of processor time for each thousand
presences, and a crowd of n needs 3/2 n² of them; `make test-e2e` with `CROWD=1000` takes some minutes.
"""

import os
import time

import pytest
from harness.crowd import Crowd, Member

SIZE = int(os.environ.get("CROWD", "300"))
USERS = 20
SPEAKERS, WORDS = 20, 5
ACCOUNTS = {f"user{number}": "crowd-password" for number in range(USERS)}


@pytest.mark.seconds(150 if SIZE <= 300 else 1500)
def test_everybody_sees_and_hears_the_same(own_server, node, capsys):
    server = own_server("prosody", accounts=ACCOUNTS)
    muc = node(server, extra={"service": {"lock_new_rooms": False}})
    crowd = Crowd("hall@conference.localhost")
    took = {}

    def timed(what: str, begin: float) -> float:
        now = time.monotonic()
        took[what] = now - begin
        return now

    try:
        began = time.monotonic()
        for number in range(SIZE):
            account = f"user{number % USERS}"
            member = Member(account, ACCOUNTS[account], f"r{number}", f"nick{number}", host=server.host, port=server.c2s)
            crowd.join(member)
            if number % 50 == 49:
                crowd.until(lambda: all(member.is_online for member in crowd.members), "logins")
        crowd.until(lambda: all(member.is_online for member in crowd.members), "logins")
        began = timed("login", began)

        everybody = {member.nick for member in crowd.members}
        first, others = crowd.members[0], crowd.members[1:]
        crowd.each([first], crowd.enter, lambda member: member.has_subject, "the room")
        crowd.each(others, crowd.enter, lambda member: member.has_subject, "entering")
        crowd.until(lambda: all(len(member.view) == SIZE for member in crowd.members), "everybody to see everybody")
        assert all(member.view == everybody for member in crowd.members)
        began = timed("enter", began)

        ids = [f"w{speaker}-{word}" for word in range(WORDS) for speaker in range(SPEAKERS)]
        for word in ids:
            crowd.say(crowd.members[int(word[1:].split("-")[0]) % SIZE], word)
        crowd.until(lambda: all(len(member.said) >= len(ids) for member in crowd.members), "every word to be heard")
        assert sorted(first.said) == sorted(ids), "every word once"
        assert all(member.said == first.said for member in crowd.members), "everybody in the same order"
        began = timed("speak", began)

        crowd.each(others, crowd.leave, lambda member: not member.is_inside, "leaving")
        crowd.until(lambda: len(first.left) == len(others), "the first to see everybody leave")
        timed("leave", began)
        place = {nick: number for number, nick in enumerate(first.left)}
        assert len(place) == len(others) and first.view == {first.nick}
        for member in others:
            later = {nick for nick, number in place.items() if number > place[member.nick]} | {first.nick, member.nick}
            assert member.view == later, f"{member.nick} was wrong about {member.view ^ later}"
            assert member.left == first.left[: place[member.nick]]
        errors = [error for member in crowd.members for error in member.errors]
        assert not errors, f"{len(errors)} errors, the first: {errors[0]}"
        assert muc.process.is_alive
    finally:
        crowd.end()
    with capsys.disabled():
        print(f"\n{SIZE} occupants: {crowd.stanzas} stanzas heard; " + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in took.items()))
