-- What two nodes tell each other: who lives, what each does and could do, what the operator orders, what happened.
-- Times are milliseconds since 1970 UTC by the database's clock: see ../README.md.

ALTER TABLE muc_fence ADD COLUMN inbound_txt TEXT;

CREATE TABLE muc_database (
    row_no       SMALLINT NOT NULL PRIMARY KEY,
    id_txt       TEXT NOT NULL,
    made_ms      BIGINT NOT NULL,
    CONSTRAINT muc_database_once CHECK (row_no = 1)
);

CREATE TABLE muc_node (
    node_txt        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    incarnation_txt TEXT NOT NULL,
    pid_no          BIGINT NOT NULL,
    started_ms      BIGINT NOT NULL,
    beat_ms         BIGINT NOT NULL,
    version_txt     TEXT NOT NULL,
    schema_no       BIGINT NOT NULL,
    http_txt        TEXT,
    is_paused       SMALLINT NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE muc_duty (
    node_txt       TEXT COLLATE "C" NOT NULL,
    service_txt    TEXT COLLATE "C" NOT NULL,
    home_txt       TEXT NOT NULL,
    twin_txt       TEXT,
    state_txt      TEXT NOT NULL,
    reason_txt     TEXT NOT NULL,
    why_txt        TEXT,
    since_ms       BIGINT NOT NULL,
    is_fit         SMALLINT NOT NULL,
    unfit_txt      TEXT,
    level_no       SMALLINT NOT NULL,
    epoch          BIGINT NOT NULL,
    gap_ms         BIGINT,
    secret_tag_txt TEXT,
    servers_txt    TEXT,
    beat_ms        BIGINT NOT NULL,
    PRIMARY KEY (node_txt, service_txt)
) WITH (fillfactor = 10);

CREATE TABLE muc_order (
    order_id     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    service_txt  TEXT COLLATE "C" NOT NULL,
    kind_txt     TEXT NOT NULL,
    by_txt       TEXT NOT NULL,
    given_ms     BIGINT NOT NULL,
    node_txt     TEXT,
    taken_ms     BIGINT,
    ended_ms     BIGINT,
    outcome_txt  TEXT,
    why_txt      TEXT
);
CREATE INDEX muc_order_open ON muc_order (service_txt, ended_ms);

CREATE TABLE muc_passed_on (
    service_txt  TEXT COLLATE "C" NOT NULL,
    epoch        BIGINT NOT NULL,
    nth          BIGINT NOT NULL,
    stanza_xml   TEXT,
    is_last      SMALLINT NOT NULL,
    PRIMARY KEY (service_txt, epoch, nth)
);

CREATE TABLE muc_ha_event (
    event_id     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at_ms        BIGINT NOT NULL,
    node_txt     TEXT NOT NULL,
    service_txt  TEXT COLLATE "C" NOT NULL,
    from_txt     TEXT,
    to_txt       TEXT NOT NULL,
    reason_txt   TEXT NOT NULL,
    why_txt      TEXT,
    epoch        BIGINT NOT NULL,
    detect_ms    BIGINT,
    gap_ms       BIGINT,
    repeated_no  BIGINT,
    replayed_no  BIGINT,
    bounced_no   BIGINT,
    operator_txt TEXT
);
CREATE INDEX muc_ha_event_service ON muc_ha_event (service_txt, at_ms);
CREATE INDEX muc_ha_event_at ON muc_ha_event (at_ms);
