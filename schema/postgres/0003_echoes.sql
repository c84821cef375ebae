-- What is to be heard of a group beside its archived messages, until it is known to be heard: see ../README.md.

CREATE TABLE muc_echo (
    service_txt  TEXT COLLATE "C" NOT NULL,
    grp_seq      BIGINT NOT NULL,
    nth          BIGINT NOT NULL,
    name_txt     TEXT NOT NULL,
    after_seq    BIGINT NOT NULL,
    to_txt       TEXT,
    stanza_xml   TEXT NOT NULL,
    PRIMARY KEY (service_txt, grp_seq, nth)
);
