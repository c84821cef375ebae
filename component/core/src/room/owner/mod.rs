//! What owners do (XEP-0045 §10): create, configure, destroy; the room's vCard (XEP-0486).

mod configure;
mod create;
mod destroy;
mod form;
mod vcard;

use minidom::Element;

use super::refusal::Refusal;
use super::{Room, Turn};
use crate::muc::Affiliation;
use crate::ns;
use crate::protocol::form::{FormType, Submitted};
use crate::stanza::Inbound;

impl Room {
    /// An owner's request: a form submitted or put away, or the room's end.
    pub(super) fn change_room(&mut self, ask: &Inbound, query: &Element, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_own(ask)?;
        if let Some(destroy) = query.get_child("destroy", ns::MUC_OWNER) {
            return self.destroy(ask, destroy, turn);
        }
        let form = query.get_child("x", ns::DATA).and_then(Submitted::read);
        let form = form.ok_or(Refusal::Malformed("The request has neither a form nor destroy."))?;
        match form.type_ {
            FormType::Cancel => {
                turn.answer(ask.result(None));
                if self.is_locked {
                    self.give_up(turn);
                }
                Ok(())
            }
            FormType::Submit => self.configure(ask, &form, turn),
            FormType::Form | FormType::Result => {
                Err(Refusal::Malformed("The form is neither submitted nor cancelled."))
            }
        }
    }

    fn must_own(&self, ask: &Inbound) -> Result<(), Refusal> {
        if self.affiliation(&ask.stanza.from.to_bare()) == Affiliation::Owner {
            Ok(())
        } else {
            Err(Refusal::Forbidden("Only owners may do that."))
        }
    }
}
