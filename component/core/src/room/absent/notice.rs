//! A word to those who are not inside that something was said (`muc#roomconfig_notify_absent`), for clients that ask for
//! nothing: one message to the account, which its server keeps or pushes like any other, and no second one before the
//! member has been inside again. It says where, not what and not by whom.

use super::super::refusal::xmpp_uri;
use super::super::{Room, Turn};
use crate::muc::Affiliation;
use crate::name::{BareJid, Jid};
use crate::ns;
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Kind, Stanza, Type};

/// Characters of a room's name in such a word.
const NAME_CHARS: usize = 100;

impl Room {
    /// Tells the members among `told`, where the room does that.
    pub(super) fn tell_of_words(&self, told: &[BareJid], turn: &mut Turn<'_>) {
        if !self.config.notifies_absent {
            return;
        }
        let members = told.iter().filter(|who| self.affiliation(who) >= Affiliation::Member);
        let to: Vec<Jid> = members.map(|who| who.as_jid().clone()).collect();
        let title =
            if self.config.title.is_empty() { self.jid.local().unwrap_or_default() } else { &self.config.title };
        let name: String = title.chars().take(NAME_CHARS).collect();
        let text = format!("There are new messages in {name}: {}", xmpp_uri(&self.jid));
        let stanza = Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone())
            .with_id(Some(turn.id()))
            .with(el("body", ns::CLIENT).with_text(&text))
            .with(el("rai", ns::RAI).with_text_child("activity", self.jid.as_str()));
        turn.say(stanza, Audience::Many(to.into()));
    }
}
