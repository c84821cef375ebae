-- What is to be heard of a group beside its archived messages, until it is known to be heard: see ../README.md.

CREATE TABLE muc_echo (
    service_txt  TEXT NOT NULL,
    grp_seq      INTEGER NOT NULL,
    nth          INTEGER NOT NULL,
    name_txt     TEXT NOT NULL,
    after_seq    INTEGER NOT NULL,
    to_txt       TEXT,
    stanza_xml   TEXT NOT NULL,
    PRIMARY KEY (service_txt, grp_seq, nth)
) STRICT;
