"""Rooms by the hundred thousand, put into the database as an operator would not: by SQL."""

import hashlib

from harness.database import Postgresql, Sqlite


def fill(database: Sqlite | Postgresql, count: int, service: str) -> None:
    """Adds `count` lasting rooms with an owner each, copies of the first room but for name and key."""
    if count <= 0:
        return
    copied = _postgresql if isinstance(database, Postgresql) else _sqlite
    copied(database, count, service)
    found = int(database.rows("SELECT count(*) FROM muc_room")[0][0])
    assert found > count, f"{found} rooms instead of {count}"


def _postgresql(database: Postgresql, count: int, service: str) -> None:
    sql = "SELECT column_name FROM information_schema.columns WHERE table_name = '{}' ORDER BY ordinal_position"
    name = "'filler-' || n"
    renamed = {"room_id": "r.room_id + n", "name_txt": name, "name_hash": f"sha256(convert_to({name} || '@{service}', 'UTF8'))"}
    columns = [row[0] for row in database.rows(sql.format("muc_room"))]
    values = ", ".join(renamed.get(column, f"r.{column}") for column in columns)
    first = "(SELECT * FROM muc_room ORDER BY room_id LIMIT 1) r"
    database.execute(f"INSERT INTO muc_room ({', '.join(columns)}) SELECT {values} FROM {first}, generate_series(1, {count}) n")
    columns = [row[0] for row in database.rows(sql.format("muc_affiliation"))]
    values = ", ".join("a.room_id + n" if column == "room_id" else f"a.{column}" for column in columns)
    database.execute(f"INSERT INTO muc_affiliation ({', '.join(columns)}) SELECT {values} FROM (SELECT * FROM muc_affiliation ORDER BY room_id LIMIT 1) a, generate_series(1, {count}) n")
    # The database has this behind it before anything is measured.
    database.execute("VACUUM ANALYZE")
    database.execute("CHECKPOINT")


def _sqlite(database: Sqlite, count: int, service: str) -> None:
    import sqlite3

    connection = sqlite3.connect(database.path, timeout=30)
    connection.row_factory = sqlite3.Row
    with connection:
        room = dict(connection.execute("SELECT * FROM muc_room ORDER BY room_id LIMIT 1").fetchone())
        owner = dict(connection.execute("SELECT * FROM muc_affiliation WHERE room_id = ?", (room["room_id"],)).fetchone())

        def rooms():
            for n in range(1, count + 1):
                digest = hashlib.sha256(f"filler-{n}@{service}".encode()).digest()
                yield list({**room, "room_id": room["room_id"] + n, "name_txt": f"filler-{n}", "name_hash": digest}.values())

        connection.executemany(f"INSERT INTO muc_room ({', '.join(room)}) VALUES ({', '.join('?' * len(room))})", rooms())
        owners = (list({**owner, "room_id": room["room_id"] + n}.values()) for n in range(1, count + 1))
        connection.executemany(f"INSERT INTO muc_affiliation ({', '.join(owner)}) VALUES ({', '.join('?' * len(owner))})", owners)
    connection.close()
