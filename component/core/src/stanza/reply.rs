//! Answers: a result or an error, to who asked, from what was asked, with the same id.

use minidom::Element;

use super::{Audience, Condition, Inbound, Kind, Outbound, Stanza, StanzaError, Type, error};
use crate::ns;
use crate::stanza::element::el;

impl Inbound {
    /// The result of this iq, with `payload` where there is one.
    pub fn result(&self, payload: Option<Element>) -> Outbound {
        let mut stanza = Stanza::new(Kind::Iq, Type::Result, self.to.clone()).with_id(self.stanza.id.clone());
        stanza.payload.extend(payload);
        Outbound { stanza, to: Audience::One(self.stanza.from.clone()) }
    }

    /// The error that answers this stanza, `by` the room or service; `None` where nothing may be answered:
    /// an error or a result is never answered (RFC 6120 §8.3.1).
    pub fn error(&self, why: &StanzaError) -> Option<Outbound> {
        if matches!(self.stanza.type_, Type::Error | Type::Result) {
            return None;
        }
        let mut stanza = Stanza::new(self.stanza.kind, Type::Error, self.to.clone()).with_id(self.stanza.id.clone());
        // So that a client knows without looking back that it did not get into a room (XEP-0045 §7.2).
        if self.stanza.kind == Kind::Presence && self.stanza.child("x", ns::MUC).is_some() {
            stanza = stanza.with(el("x", ns::MUC));
        }
        let stanza = stanza.with(why.to_element(self.to.bare_str()));
        Some(Outbound { stanza, to: Audience::One(self.stanza.from.clone()) })
    }
}

impl Stanza {
    /// The condition an error stanza carries; undefined where it says none we know.
    pub fn error_condition(&self) -> Option<Condition> {
        if self.type_ != Type::Error {
            return None;
        }
        let error = self.child("error", ns::CLIENT);
        Some(error.and_then(error::condition_of).unwrap_or(Condition::UndefinedCondition))
    }
}
