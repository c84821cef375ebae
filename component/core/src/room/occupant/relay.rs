//! Requests between occupants (XEP-0045 §17.5): passed to one session under occupant JIDs, answers passed back.
//! Nothing is remembered: the id that goes out says, to this room only, whose session asked.

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::view::{Face, honest};
use super::super::{Room, Turn};
use crate::name::{BareJid, Jid, Nick};
use crate::ns;
use crate::stanza::element::{Build, el};
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
        if honest(&ask.stanza, &self.jid).next().is_none() {
            return Err(Refusal::Unknown);
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
        stanza.payload = honest(&ask.stanza, &self.jid).map(|child| nameless(child, &answerer.bare)).collect();
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

/// An error without the real JID of whose it is: not `by` it, no new address of it, nothing else that names it. Servers on
/// the way make errors, too, and know nothing of rooms.
fn nameless(child: &Element, whose: &BareJid) -> Element {
    if !child.is("error", ns::CLIENT) {
        return child.clone();
    }
    let mut error = el("error", ns::CLIENT).with_attr_opt("type", child.attr("type"));
    for part in child.children() {
        if part.has_ns(ns::STANZAS) && part.name() != "text" {
            error.append_child(el(part.name(), ns::STANZAS));
        } else if !names(part, whose) {
            error.append_child(part.clone());
        }
    }
    error
}

fn names(part: &Element, whose: &BareJid) -> bool {
    let whose_name = whose.as_str();
    part.attrs().iter().any(|(_, value)| value.contains(whose_name))
        || part.text().contains(whose_name)
        || part.children().any(|child| names(child, whose))
}
