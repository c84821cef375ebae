//! What occupants do (XEP-0045 §7): one use case a file.

mod affiliations;
mod enter;
mod exit;
mod invite;
mod nick;
mod presence;
mod private;
mod register;
mod relay;
mod retract;
mod screen;
mod self_ping;
mod slow_mode;
mod speak;
mod voice_request;

pub(super) use slow_mode::LastWords;

use crate::name::Jid;
use crate::stanza::Audience;

/// These sessions as an audience.
pub(super) fn audience(sessions: &[Jid]) -> Audience {
    match sessions {
        [one] => Audience::One(one.clone()),
        several => Audience::Many(several.into()),
    }
}
