-- The vCards of rooms: see ../README.md.

CREATE TABLE muc_vcard (
    room_id      BIGINT NOT NULL PRIMARY KEY,
    vcard_xml    TEXT NOT NULL,
    avatars_txt  TEXT
);
