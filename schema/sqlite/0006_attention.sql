-- What those on a room's lists have seen of it, how the lists changed, who listens for activity: see ../README.md.

ALTER TABLE muc_affiliation ADD COLUMN seen_seq INTEGER;

CREATE TABLE muc_relisted (
    room_id      INTEGER NOT NULL,
    version_no   INTEGER NOT NULL,
    user_txt     TEXT NOT NULL,
    PRIMARY KEY (room_id, version_no)
) STRICT;

CREATE TABLE muc_listener (
    service_txt  TEXT NOT NULL,
    real_hash    BLOB NOT NULL,
    real_txt     TEXT NOT NULL,
    since_ms     INTEGER NOT NULL,
    PRIMARY KEY (service_txt, real_hash)
) STRICT;
