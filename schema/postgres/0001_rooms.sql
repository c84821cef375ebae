-- Rooms, who belongs to them, who is inside, what was said; the lease and the fence.
-- Times are milliseconds since 1970 UTC, keys are SHA-256 of prepared names: see ../README.md.

CREATE TABLE muc_lease (
    name_txt     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner_txt    TEXT,
    epoch        BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE muc_fence (
    name_txt     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    epoch        BIGINT NOT NULL,
    seq          BIGINT NOT NULL,
    mark_seq     BIGINT NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE muc_room (
    room_id           BIGINT NOT NULL PRIMARY KEY,
    name_hash         BYTEA NOT NULL,
    service_txt       TEXT COLLATE "C" NOT NULL,
    name_txt          TEXT COLLATE "C" NOT NULL,
    state_txt         TEXT NOT NULL,
    is_public         SMALLINT NOT NULL,
    is_persistent     SMALLINT NOT NULL,
    title_txt         TEXT,
    config_txt        TEXT NOT NULL,
    occupant_salt     TEXT NOT NULL,
    creator_txt       TEXT NOT NULL,
    created_ms        BIGINT NOT NULL,
    last_seq          BIGINT NOT NULL,
    subject_seq       BIGINT,
    subject_id        TEXT,
    subject_ms        BIGINT,
    subject_by_txt    TEXT,
    subject_nick_txt  TEXT,
    subject_origin    TEXT,
    subject_txt       TEXT,
    subject_xml       TEXT,
    subject_archived  SMALLINT,
    gone_ms           BIGINT,
    gone_until_ms     BIGINT,
    gone_to_txt       TEXT,
    gone_reason_txt   TEXT,
    CONSTRAINT muc_room_name UNIQUE (name_hash)
);
CREATE INDEX muc_room_listed ON muc_room (service_txt, is_public, state_txt, name_txt);

CREATE TABLE muc_affiliation (
    room_id      BIGINT NOT NULL,
    user_hash    BYTEA NOT NULL,
    user_txt     TEXT NOT NULL,
    affil_txt    TEXT NOT NULL,
    nick_txt     TEXT,
    reason_txt   TEXT,
    by_txt       TEXT NOT NULL,
    set_ms       BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_hash)
);
CREATE INDEX muc_affiliation_user ON muc_affiliation (user_hash);

CREATE TABLE muc_occupant (
    room_id      BIGINT NOT NULL,
    nick_hash    BYTEA NOT NULL,
    real_hash    BYTEA NOT NULL,
    nick_txt     TEXT NOT NULL,
    real_txt     TEXT NOT NULL,
    role_txt     TEXT NOT NULL,
    presence_xml TEXT,
    entered_ms   BIGINT NOT NULL,
    entered_no   BIGINT NOT NULL,
    PRIMARY KEY (room_id, nick_hash, real_hash)
);
CREATE INDEX muc_occupant_real ON muc_occupant (real_hash);

CREATE TABLE muc_message (
    room_id      BIGINT NOT NULL,
    seq          BIGINT NOT NULL,
    archive_id   TEXT COLLATE "C" NOT NULL,
    sent_ms      BIGINT NOT NULL,
    kind_txt     TEXT NOT NULL,
    sender_hash  BYTEA NOT NULL,
    sender_txt   TEXT NOT NULL,
    nick_txt     TEXT,
    origin_txt   TEXT,
    body_txt     TEXT,
    stanza_xml   TEXT NOT NULL,
    grp_seq      BIGINT NOT NULL,
    PRIMARY KEY (room_id, seq),
    CONSTRAINT muc_message_archive UNIQUE (room_id, archive_id)
);
CREATE INDEX muc_message_sent ON muc_message (room_id, sent_ms);
CREATE INDEX muc_message_grp ON muc_message (grp_seq);
