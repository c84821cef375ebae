//! Names: [`Jid`], [`BareJid`], [`Nick`], prepared and bounded at the door (RFC 6122, RFC 7622), so that
//! below it no name is ever a bare string.

mod jid;
mod nick;
pub mod prep;

pub use jid::{BareJid, Jid, JidError};
pub use nick::{Nick, NickError};
