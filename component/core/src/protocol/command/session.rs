//! The name of a session: which stage, until when, and a seal over both with command and user, so that nobody uses
//! another's session or a stale one.

use super::Fault;
use crate::name::Jid;
use crate::time::Utc;

/// How long a form may lie open, in milliseconds: a call on the phone in between is no reason to begin again.
const OPEN_MS: i64 = 3_600_000;

/// Makes of a text what only we can make of it, the same on every node.
pub type Seal<'a> = &'a dyn Fn(&str) -> String;

/// Where somebody is in a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Session {
    pub(super) stage: usize,
}

impl Session {
    /// Its name, for `who` who is at `stage` of the command `node` now.
    pub(super) fn name(stage: usize, node: &str, who: &Jid, now: Utc, seal: Seal<'_>) -> String {
        let until = now.0.saturating_add(OPEN_MS);
        format!("{stage}.{until}.{}", mark(stage, until, node, who, seal))
    }

    /// The session of that name.
    pub(super) fn open(name: &str, node: &str, who: &Jid, now: Utc, seal: Seal<'_>) -> Result<Session, Fault> {
        let mut parts = name.splitn(3, '.');
        let mut number = || parts.next().and_then(|part| part.parse::<i64>().ok());
        let (Some(stage), Some(until), Some(told)) = (number(), number(), parts.next()) else {
            return Err(Fault::BadSession);
        };
        let stage = usize::try_from(stage).map_err(|_| Fault::BadSession)?;
        if told != mark(stage, until, node, who, seal) {
            return Err(Fault::BadSession);
        }
        if until <= now.0 {
            return Err(Fault::SessionExpired);
        }
        Ok(Session { stage })
    }
}

/// No JID, and no other text that is ever sealed, has a line break in it.
fn mark(stage: usize, until: i64, node: &str, who: &Jid, seal: Seal<'_>) -> String {
    seal(&format!("command\n{node}\n{who}\n{stage}\n{until}"))
}
