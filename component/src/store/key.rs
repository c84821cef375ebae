//! Keys: SHA-256 of prepared names, 32 bytes in every database, so that no collation and no length limit
//! decides who is the same.

use sha2::{Digest, Sha256};
use tandem_muc_core::name::{BareJid, Jid, Nick};

pub(super) fn of_text(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

pub(super) fn of_bare(jid: &BareJid) -> [u8; 32] {
    of_text(jid.as_str())
}

pub(super) fn of_jid(jid: &Jid) -> [u8; 32] {
    of_text(jid.as_str())
}

/// Of the nick as it is compared, not as it is shown.
pub(super) fn of_nick(nick: &Nick) -> [u8; 32] {
    of_text(nick.key())
}
