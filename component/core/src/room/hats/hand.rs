//! Putting a hat on somebody and taking it off (XEP-0317 v0.3 §3.5, §3.6); everyone inside sees it at once.

use super::super::refusal::Refusal;
use super::super::view::News;
use super::super::{Room, Turn};
use super::{OLD_URI, OLD_WHO, URI, WHO};
use crate::name::BareJid;
use crate::protocol::command::{Done, Values};
use crate::record::{HatChange, Record};
use crate::stanza::Inbound;

/// Puts a hat on a user.
pub(super) fn put_on(room: &mut Room, _: &Inbound, values: &Values, turn: &mut Turn<'_>) -> Result<Done, Refusal> {
    let (who, uri) = meant(values)?;
    if room.hats.wears(&who, &uri) {
        return Ok(Done::default());
    }
    if room.hats.wearers().count() >= room.rules.affiliations_max as usize {
        return Err(Refusal::ListFull(room.rules.affiliations_max));
    }
    room.commit(Record::Hat(HatChange::PutOn { who: who.clone(), uri }), turn);
    room.tell_hats(&who, turn);
    Ok(Done::default())
}

/// Takes a hat off a user.
pub(super) fn take_off(room: &mut Room, _: &Inbound, values: &Values, turn: &mut Turn<'_>) -> Result<Done, Refusal> {
    let (who, uri) = meant(values)?;
    if !room.hats.wears(&who, &uri) {
        return Err(Refusal::HatNotWorn);
    }
    room.commit(Record::Hat(HatChange::TakenOff { who: who.clone(), uri }), turn);
    room.tell_hats(&who, turn);
    Ok(Done::default())
}

/// Who and which hat, under the fields' names of now or then.
fn meant(values: &Values) -> Result<(BareJid, String), Refusal> {
    let value = |now, then| values.get(now).or_else(|| values.get(then));
    let who = value(WHO, OLD_WHO).and_then(|who| BareJid::parse(who).ok());
    let who = who.filter(|who| who.local().is_some()).ok_or(Refusal::Malformed("A hat is put on a user."))?;
    Ok((who, value(URI, OLD_URI).cloned().unwrap_or_default()))
}

impl Room {
    /// Everyone inside sees what `who` wears now.
    pub(super) fn tell_hats(&self, who: &BareJid, turn: &mut Turn<'_>) {
        let faces: Vec<_> = self.roster.of_user(who).map(|occupant| self.face(occupant)).collect();
        for face in &faces {
            self.announce(face, false, &News::default(), turn);
        }
    }
}
