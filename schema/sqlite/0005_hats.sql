-- The hats of rooms and who wears them (XEP-0317): see ../README.md.

CREATE TABLE muc_hat (
    room_id      INTEGER NOT NULL,
    uri_hash     BLOB NOT NULL,
    uri_txt      TEXT NOT NULL,
    title_txt    TEXT NOT NULL,
    hue_txt      TEXT,
    lang_txt     TEXT,
    PRIMARY KEY (room_id, uri_hash)
);

CREATE TABLE muc_hat_worn (
    room_id      INTEGER NOT NULL,
    user_hash    BLOB NOT NULL,
    uri_hash     BLOB NOT NULL,
    user_txt     TEXT NOT NULL,
    uri_txt      TEXT NOT NULL,
    PRIMARY KEY (room_id, user_hash, uri_hash)
);
CREATE INDEX muc_hat_worn_user ON muc_hat_worn (user_hash);
