//! A request read (XEP-0050 v1.3 §3), and every way it can be wrong (§3.4).

use minidom::Element;

use super::super::form::Submitted;
use crate::ns;
use crate::stanza::element::el;
use crate::stanza::{Condition, StanzaError};

/// What somebody asks of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Which command.
    pub node: String,
    /// In which session; none begins one.
    pub session: Option<String>,
    /// What to do.
    pub action: Action,
    /// What is filled in.
    pub form: Option<Submitted>,
}

/// What to do with a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Begin, or go on as the form suggests.
    Execute,
    /// On to the next form.
    Next,
    /// Back to the form before.
    Prev,
    /// Do it.
    Complete,
    /// Put it away.
    Cancel,
}

/// What is wrong with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// No such action exists.
    MalformedAction,
    /// Not here, not now.
    BadAction,
    /// What is filled in cannot be; the sentence says what.
    BadPayload(String),
    /// No session of that name, or not theirs.
    BadSession,
    /// It took too long.
    SessionExpired,
}

impl Request {
    /// Reads a `<command/>`.
    /// # Errors
    /// `MalformedAction`, `BadPayload` where it names no node.
    pub fn read(command: &Element) -> Result<Request, Fault> {
        let node = command.attr("node").filter(|node| !node.is_empty());
        let node = node.ok_or_else(|| Fault::BadPayload("The command has no node.".to_owned()))?.to_owned();
        let action = match command.attr("action") {
            None | Some("" | "execute") => Action::Execute,
            Some("next") => Action::Next,
            Some("prev") => Action::Prev,
            Some("complete") => Action::Complete,
            Some("cancel") => Action::Cancel,
            Some(_) => return Err(Fault::MalformedAction),
        };
        let session = command.attr("sessionid").filter(|session| !session.is_empty()).map(str::to_owned);
        let form = command.get_child("x", ns::DATA).and_then(Submitted::read);
        Ok(Request { node, session, action, form })
    }
}

impl Fault {
    /// The stanza error that says it.
    pub fn to_error(&self) -> StanzaError {
        let (condition, word, sentence) = match self {
            Fault::MalformedAction => (Condition::BadRequest, "malformed-action", "There is no such action."),
            Fault::BadAction => (Condition::BadRequest, "bad-action", "This action is not offered now."),
            Fault::BadPayload(what) => (Condition::BadRequest, "bad-payload", what.as_str()),
            Fault::BadSession => (Condition::BadRequest, "bad-sessionid", "There is no such session."),
            Fault::SessionExpired => {
                (Condition::NotAllowed, "session-expired", "The session has expired; please begin again.")
            }
        };
        StanzaError::new(condition, sentence).with_detail(el(word, ns::COMMANDS))
    }
}
