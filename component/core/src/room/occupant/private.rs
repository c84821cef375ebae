//! Private messages (XEP-0045 §7.5): to one occupant, all its sessions; never recorded.

use super::super::refusal::Refusal;
use super::super::view::{honest, occupant_id};
use super::super::{Room, Turn};
use crate::name::Nick;
use crate::ns;
use crate::stanza::element::el;
use crate::stanza::{Inbound, Stanza};

impl Room {
    /// Passes the sender's message on to the occupant `to`.
    pub(in super::super) fn speak_privately(
        &self,
        ask: &Inbound,
        to: &Nick,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let speaker = self.roster.of(&ask.stanza.from).ok_or(Refusal::NotInside)?;
        let hearer = self.roster.named(to).ok_or(Refusal::NoSuchOccupant)?;
        self.may_speak_privately(speaker.role)?;
        let mut said = Stanza::new(ask.stanza.kind, ask.stanza.type_.clone(), speaker.jid.clone());
        said.id.clone_from(&ask.stanza.id);
        said.lang.clone_from(&ask.stanza.lang);
        said.payload.extend(honest(&ask.stanza, &self.jid).cloned());
        said.payload.push(occupant_id(&speaker.stable_id));
        said.payload.push(el("x", ns::MUC_USER));
        turn.say(said, super::audience(&hearer.session_jids()));
        Ok(())
    }
}
