//! The configuration form (XEP-0045 §15.5.3), written for owners: the room's options as `muc/option` has them, then
//! the people with a say. What the operator fixed is shown to owners, not asked of them.

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::{Room, Turn};
use crate::muc::Affiliation;
use crate::muc::option::{self, RoomOption};
use crate::name::BareJid;
use crate::ns;
use crate::protocol::form::{Form, FormType};
use crate::stanza::Inbound;
use crate::stanza::element::{Build, el};

impl Room {
    /// Answers an owner with the form as it stands (§10.2).
    pub(in super::super) fn tell_form(&self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_own(ask)?;
        let query = el("query", ns::MUC_OWNER).with_child(self.write_form(ask));
        turn.answer(ask.result(Some(query)));
        Ok(())
    }

    fn write_form(&self, ask: &Inbound) -> Element {
        let listed = |affiliation| -> Vec<&str> {
            let entries = self.affiliations.values().filter(move |entry| entry.affiliation == affiliation);
            entries.map(|entry| entry.who.as_str()).collect()
        };
        let bounds = self.rules.bounds();
        let form = Form::new(FormType::Form, ns::MUC_ROOMCONFIG).titled(&format!("Configuration of {}", self.jid));
        let fixed = self.fixed_for(&ask.stanza.from.to_bare());
        let write = |form, option: &RoomOption| {
            if fixed.contains(&option.key) {
                option.write_fixed(form, &self.config, &bounds)
            } else {
                option.write(form, &self.config, &bounds)
            }
        };
        option::ALL
            .iter()
            .fold(form, write)
            .field("jid-multi", "muc#roomconfig_roomadmins", "Admins", &listed(Affiliation::Admin))
            .field("jid-multi", "muc#roomconfig_roomowners", "Owners", &listed(Affiliation::Owner))
            .into_element()
    }

    /// Keys of the options that `who` cannot change: for admins of the service there are none.
    pub(super) fn fixed_for(&self, who: &BareJid) -> &[&'static str] {
        if self.rules.admins.contains(who) { &[] } else { &self.rules.fixed }
    }
}
