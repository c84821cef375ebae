-- What two nodes tell each other: who lives, what each does and could do, what the operator orders, what happened.
-- Times are milliseconds since 1970 UTC by the database's clock: see ../README.md.

ALTER TABLE muc_fence ADD COLUMN inbound_txt TEXT;

CREATE TABLE muc_database (
    row_no       INTEGER NOT NULL PRIMARY KEY,
    id_txt       TEXT NOT NULL,
    made_ms      INTEGER NOT NULL,
    CONSTRAINT muc_database_once CHECK (row_no = 1)
) STRICT;

CREATE TABLE muc_node (
    node_txt        TEXT NOT NULL PRIMARY KEY,
    incarnation_txt TEXT NOT NULL,
    pid_no          INTEGER NOT NULL,
    started_ms      INTEGER NOT NULL,
    beat_ms         INTEGER NOT NULL,
    version_txt     TEXT NOT NULL,
    schema_no       INTEGER NOT NULL,
    http_txt        TEXT,
    is_paused       INTEGER NOT NULL
) STRICT;

CREATE TABLE muc_duty (
    node_txt       TEXT NOT NULL,
    service_txt    TEXT NOT NULL,
    home_txt       TEXT NOT NULL,
    twin_txt       TEXT,
    state_txt      TEXT NOT NULL,
    reason_txt     TEXT NOT NULL,
    why_txt        TEXT,
    since_ms       INTEGER NOT NULL,
    is_fit         INTEGER NOT NULL,
    unfit_txt      TEXT,
    level_no       INTEGER NOT NULL,
    epoch          INTEGER NOT NULL,
    gap_ms         INTEGER,
    secret_tag_txt TEXT,
    servers_txt    TEXT,
    beat_ms        INTEGER NOT NULL,
    PRIMARY KEY (node_txt, service_txt)
) STRICT;

CREATE TABLE muc_order (
    order_id     TEXT NOT NULL PRIMARY KEY,
    service_txt  TEXT NOT NULL,
    kind_txt     TEXT NOT NULL,
    by_txt       TEXT NOT NULL,
    given_ms     INTEGER NOT NULL,
    node_txt     TEXT,
    taken_ms     INTEGER,
    ended_ms     INTEGER,
    outcome_txt  TEXT,
    why_txt      TEXT
) STRICT;
CREATE INDEX muc_order_open ON muc_order (service_txt, ended_ms);

CREATE TABLE muc_passed_on (
    service_txt  TEXT NOT NULL,
    epoch        INTEGER NOT NULL,
    nth          INTEGER NOT NULL,
    stanza_xml   TEXT,
    is_last      INTEGER NOT NULL,
    PRIMARY KEY (service_txt, epoch, nth)
) STRICT;

CREATE TABLE muc_ha_event (
    event_id     TEXT NOT NULL PRIMARY KEY,
    at_ms        INTEGER NOT NULL,
    node_txt     TEXT NOT NULL,
    service_txt  TEXT NOT NULL,
    from_txt     TEXT,
    to_txt       TEXT NOT NULL,
    reason_txt   TEXT NOT NULL,
    why_txt      TEXT,
    epoch        INTEGER NOT NULL,
    detect_ms    INTEGER,
    gap_ms       INTEGER,
    repeated_no  INTEGER,
    replayed_no  INTEGER,
    bounced_no   INTEGER,
    operator_txt TEXT
) STRICT;
CREATE INDEX muc_ha_event_service ON muc_ha_event (service_txt, at_ms);
CREATE INDEX muc_ha_event_at ON muc_ha_event (at_ms);
