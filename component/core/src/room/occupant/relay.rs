//! Requests between occupants (XEP-0045 §17.5): passed to one session under occupant JIDs, answers passed back.
//! Nothing is remembered: the id that goes out says, to this room only, whose session asked.

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::view::Face;
use super::super::{Room, Turn};
use crate::name::{Jid, Nick};
use crate::ns;
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};

/// Characters of the mark that says whose session asked.
const MARK_CHARS: usize = 16;

impl Room {
    /// Passes a request of `own` to the session of `to` that is shown; what belongs to the account (vCard, PEP)
    /// to the account.
    pub(in super::super) fn relay_request(
        &self,
        ask: &Inbound,
        own: &Face,
        to: &Nick,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let target = self.roster.named(to).ok_or(Refusal::NoSuchOccupant)?;
        let id = ask.stanza.id.as_deref().ok_or(Refusal::Malformed("An iq has an id."))?;
        if ask.stanza.type_ == Type::Set {
            self.may_speak_privately(own.role)?;
        }
        let asks_account = ask.stanza.payload.iter().any(belongs_to_account);
        let address = if asks_account { target.bare.as_jid().clone() } else { target.shown().who.clone() };
        let mut stanza = Stanza::new(Kind::Iq, ask.stanza.type_.clone(), own.jid.clone());
        stanza.id = Some(format!("{}{id}", self.session_mark(&ask.stanza.from)));
        stanza.payload.clone_from(&ask.stanza.payload);
        turn.say(stanza, Audience::One(address));
        Ok(())
    }

    /// Passes an answer back to the session of `to` that asked; an answer to nobody's question is dropped.
    pub(in super::super) fn relay_answer(&self, ask: &Inbound, to: &Nick, turn: &mut Turn<'_>) {
        let Some(asker) = self.roster.named(to) else { return };
        let Some((mark, id)) = ask.stanza.id.as_deref().and_then(|id| id.split_at_checked(MARK_CHARS)) else { return };
        let Some(session) = asker.sessions.iter().find(|session| self.session_mark(&session.who) == mark) else {
            return;
        };
        let from = &ask.stanza.from;
        let bare = from.to_bare();
        let Some(answerer) = self.roster.of(from).or_else(|| self.roster.of_user(&bare).next()) else { return };
        let mut stanza = Stanza::new(Kind::Iq, ask.stanza.type_.clone(), answerer.jid.clone());
        stanza.id = Some(id.to_owned());
        stanza.payload = ask.stanza.payload.iter().map(without_by).collect();
        turn.say(stanza, Audience::One(session.who.clone()));
    }

    fn session_mark(&self, who: &Jid) -> String {
        let mut mark = self.keyed_text(who.as_str());
        mark.truncate(MARK_CHARS);
        mark
    }
}

fn belongs_to_account(child: &Element) -> bool {
    child.has_ns(ns::VCARD) || child.is("pubsub", ns::PUBSUB)
}

/// An error's `by` is the real JID of who made it.
fn without_by(child: &Element) -> Element {
    let mut child = child.clone();
    if child.is("error", ns::CLIENT) {
        child.attrs_mut().remove(&minidom::rxml::Namespace::NONE, "by");
    }
    child
}
