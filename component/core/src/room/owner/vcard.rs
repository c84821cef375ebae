//! The room's vCard and the picture in it (XEP-0486 v0.1, XEP-0054, XEP-0153): set by owners, read by everyone who may
//! know the room, announced by its hash. The card lies in the database; the room remembers the hashes alone.

use minidom::Element;

use super::super::archive::Purpose;
use super::super::refusal::Refusal;
use super::super::view::user_x;
use super::super::{Lookup, Room, Search, Turn};
use crate::muc::Status;
use crate::name::Jid;
use crate::protocol::vcard::{self, Vcard, VcardFault};
use crate::record::Record;
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};

impl Room {
    /// Takes a new card, or the one there is away; everyone inside hears that something changed (104).
    pub(in super::super) fn set_vcard(
        &mut self,
        ask: &Inbound,
        card: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        self.must_own(ask)?;
        let bytes_max = self.rules.identity.vcard_bytes_max;
        let card = Vcard::read(card, bytes_max).map_err(|fault| match fault {
            VcardFault::TooLong => Refusal::VcardTooLong(bytes_max),
            VcardFault::TooManyPhotos => Refusal::TooMuch("The vCard has too many pictures."),
            VcardFault::NotBase64 => Refusal::Malformed("The picture is not encoded in base64."),
            VcardFault::NotAPicture => {
                Refusal::BadField("A picture is a PNG, JPEG, GIF, WebP or SVG image, and of the type it says.".into())
            }
        })?;
        let before = self.avatars.clone();
        self.commit(Record::VcardSet(card.map(Into::into)), turn);
        turn.answer(ask.result(None));
        if self.roster.is_empty() {
            return Ok(());
        }
        if self.avatars != before {
            turn.say(self.avatar_presence(), Audience::Many(self.roster.everyone()));
        }
        let changed = Stanza::new(Kind::Message, Type::Groupchat, self.jid.as_jid().clone())
            .with_id(Some(turn.id()))
            .with(user_x([], &[Status::ConfigChanged]));
        turn.say(changed, Audience::Many(self.roster.everyone()));
        Ok(())
    }

    /// Asks for the card; it is told when it is found.
    pub(in super::super) fn ask_for_vcard(&self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_be_open_to(ask)?;
        turn.out.lookup = Some(Lookup { room: self.id, search: Search::Vcard, purpose: Purpose::Vcard });
        Ok(())
    }

    /// Tells the card that was found, an empty one where there is none.
    pub(in super::super) fn tell_vcard(
        &self,
        asked: &Inbound,
        xml: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        self.must_be_open_to(asked)?;
        turn.answer(asked.result(Some(Vcard::element_of(xml))));
        Ok(())
    }

    /// Tells a newcomer which picture the room has, if any (§4.2).
    pub(in super::super) fn tell_avatar(&self, newcomer: &Jid, turn: &mut Turn<'_>) {
        if !self.avatars.is_empty() {
            turn.say(self.avatar_presence(), Audience::One(newcomer.clone()));
        }
    }

    fn avatar_presence(&self) -> Stanza {
        let update = vcard::update(self.avatars.first().map(String::as_str));
        Stanza::new(Kind::Presence, Type::None, self.jid.as_jid().clone()).with(update)
    }
}
