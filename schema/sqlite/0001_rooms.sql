-- Rooms, who belongs to them, who is inside, what was said; the lease and the fence.
-- Times are milliseconds since 1970 UTC, keys are SHA-256 of prepared names: see ../README.md.

CREATE TABLE muc_lease (
    name_txt     TEXT NOT NULL PRIMARY KEY,
    owner_txt    TEXT,
    epoch        INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE muc_fence (
    name_txt     TEXT NOT NULL PRIMARY KEY,
    epoch        INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    mark_seq     INTEGER NOT NULL
) STRICT;

CREATE TABLE muc_room (
    room_id           INTEGER NOT NULL PRIMARY KEY,
    name_hash         BLOB NOT NULL,
    service_txt       TEXT NOT NULL,
    name_txt          TEXT NOT NULL,
    state_txt         TEXT NOT NULL,
    is_public         INTEGER NOT NULL,
    is_persistent     INTEGER NOT NULL,
    title_txt         TEXT,
    config_txt        TEXT NOT NULL,
    occupant_salt     TEXT NOT NULL,
    creator_txt       TEXT NOT NULL,
    created_ms        INTEGER NOT NULL,
    last_seq          INTEGER NOT NULL,
    subject_seq       INTEGER,
    subject_id        TEXT,
    subject_ms        INTEGER,
    subject_by_txt    TEXT,
    subject_nick_txt  TEXT,
    subject_origin    TEXT,
    subject_txt       TEXT,
    subject_xml       TEXT,
    subject_archived  INTEGER,
    gone_ms           INTEGER,
    gone_until_ms     INTEGER,
    gone_to_txt       TEXT,
    gone_reason_txt   TEXT,
    CONSTRAINT muc_room_name UNIQUE (name_hash)
) STRICT;
CREATE INDEX muc_room_listed ON muc_room (service_txt, is_public, state_txt, name_txt);

CREATE TABLE muc_affiliation (
    room_id      INTEGER NOT NULL,
    user_hash    BLOB NOT NULL,
    user_txt     TEXT NOT NULL,
    affil_txt    TEXT NOT NULL,
    nick_txt     TEXT,
    reason_txt   TEXT,
    by_txt       TEXT NOT NULL,
    set_ms       INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_hash)
) STRICT;
CREATE INDEX muc_affiliation_user ON muc_affiliation (user_hash);

CREATE TABLE muc_occupant (
    room_id      INTEGER NOT NULL,
    nick_hash    BLOB NOT NULL,
    real_hash    BLOB NOT NULL,
    nick_txt     TEXT NOT NULL,
    real_txt     TEXT NOT NULL,
    role_txt     TEXT NOT NULL,
    presence_xml TEXT,
    entered_ms   INTEGER NOT NULL,
    entered_no   INTEGER NOT NULL,
    PRIMARY KEY (room_id, nick_hash, real_hash)
) STRICT;
CREATE INDEX muc_occupant_real ON muc_occupant (real_hash);

CREATE TABLE muc_message (
    room_id      INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    archive_id   TEXT NOT NULL,
    sent_ms      INTEGER NOT NULL,
    kind_txt     TEXT NOT NULL,
    sender_hash  BLOB NOT NULL,
    sender_txt   TEXT NOT NULL,
    nick_txt     TEXT,
    origin_txt   TEXT,
    body_txt     TEXT,
    stanza_xml   TEXT NOT NULL,
    grp_seq      INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq),
    CONSTRAINT muc_message_archive UNIQUE (room_id, archive_id)
) STRICT;
CREATE INDEX muc_message_sent ON muc_message (room_id, sent_ms);
CREATE INDEX muc_message_grp ON muc_message (grp_seq);
