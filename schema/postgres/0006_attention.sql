-- What those on a room's lists have seen of it, how the lists changed, who listens for activity: see ../README.md.

ALTER TABLE muc_affiliation ADD COLUMN seen_seq BIGINT;

CREATE TABLE muc_relisted (
    room_id      BIGINT NOT NULL,
    version_no   BIGINT NOT NULL,
    user_txt     TEXT NOT NULL,
    PRIMARY KEY (room_id, version_no)
);

CREATE TABLE muc_listener (
    service_txt  TEXT COLLATE "C" NOT NULL,
    real_hash    BYTEA NOT NULL,
    real_txt     TEXT NOT NULL,
    since_ms     BIGINT NOT NULL,
    PRIMARY KEY (service_txt, real_hash)
);
