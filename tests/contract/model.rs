//! What records mean, said a second time and as plainly as can be: a room as lists in memory. The store must end
//! where this ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_muc_core::muc::Affiliation;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{HatChange, Message, MessageKind, RELISTED_MAX, Record, RoomId, RoomImage, Seq};

/// The rooms there are, by JID, and all that was ever archived in them.
#[derive(Clone, Default)]
pub(crate) struct Model {
    rooms: BTreeMap<BareJid, (RoomImage, Vec<Arc<Message>>)>,
}

impl Model {
    pub(crate) fn image(&self, jid: &BareJid) -> Option<RoomImage> {
        let (image, said) = self.rooms.get(jid)?;
        let mut image = image.clone();
        image.affiliations.sort_by(|one, other| one.who.cmp(&other.who));
        let speech = said.iter().filter(|message| message.kind == MessageKind::Speech);
        let speech: Vec<_> = speech.cloned().collect();
        let kept = usize::try_from(image.config.history_max).expect("fits");
        image.history = speech[speech.len().saturating_sub(kept)..].to_vec();
        Some(image)
    }

    /// All that was ever archived and still is.
    pub(crate) fn said(&self, jid: &BareJid) -> &[Arc<Message>] {
        self.rooms.get(jid).map_or(&[], |(_, said)| said)
    }

    pub(crate) fn apply(&mut self, room: RoomId, jid: &BareJid, record: &Record) {
        match record {
            Record::Created(creation) => {
                let image = RoomImage {
                    id: room,
                    created_at: creation.at,
                    config: creation.config.clone(),
                    is_locked: creation.is_locked,
                    occupant_id_salt: creation.occupant_id_salt.clone(),
                    subject: None,
                    last_seq: Seq(0),
                    affiliations: Vec::new(),
                    seen: Vec::new(),
                    relisted: Vec::new(),
                    occupants: Vec::new(),
                    history: Vec::new(),
                    avatars: Arc::new([]),
                    hats: Vec::new(),
                    hat_wearers: Vec::new(),
                    tombstone: None,
                };
                self.rooms.insert(jid.clone(), (image, Vec::new()));
            }
            Record::Vanished => {
                self.rooms.remove(jid);
            }
            other => {
                let (image, said) = self.rooms.get_mut(jid).expect("created before");
                change(image, said, other);
            }
        }
    }
}

fn change(image: &mut RoomImage, said: &mut Vec<Arc<Message>>, record: &Record) {
    match record {
        Record::Created(_) | Record::Vanished => unreachable!("done by the caller"),
        Record::Configured(config) => image.config = (**config).clone(),
        Record::Unlocked => image.is_locked = false,
        Record::Affiliated(entry) => {
            image.affiliations.retain(|known| known.who != entry.who);
            if entry.affiliation != Affiliation::None || entry.nick.is_some() {
                image.affiliations.push((**entry).clone());
            } else {
                image.seen.retain(|(who, _)| *who != entry.who);
            }
        }
        Record::Entered(entry) => {
            let known = image.occupants.iter_mut().find(|known| known.who == entry.who && known.nick == entry.nick);
            match known {
                Some(known) => *known = (**entry).clone(),
                None => image.occupants.push((**entry).clone()),
            }
        }
        Record::Present { who, nick, presence_xml } => {
            for known in image.occupants.iter_mut().filter(|known| known.who == *who && known.nick == *nick) {
                known.presence_xml = presence_xml.clone();
            }
        }
        Record::Renamed { from, to } => {
            for known in image.occupants.iter_mut().filter(|known| known.nick == *from) {
                known.nick = to.clone();
            }
        }
        Record::RoleSet { nick, role } => {
            for known in image.occupants.iter_mut().filter(|known| known.nick == *nick) {
                known.role = *role;
            }
        }
        Record::Left { who, nick, why: _ } => {
            image.occupants.retain(|known| known.who != *who || known.nick != *nick);
        }
        Record::Spoken(message) => {
            image.last_seq = image.last_seq.max(message.seq);
            if message.kind == MessageKind::Subject {
                image.subject = Some(message.clone());
            }
            if message.is_archived {
                said.push(message.clone());
            }
        }
        Record::Retracted(retraction) => {
            for message in said.iter_mut().filter(|message| retraction.concerns(message)) {
                *message = Arc::new(retraction.applied_to(message));
            }
        }
        Record::Expired { upto, before } => {
            said.retain(|message| message.seq > *upto || message.at >= *before);
        }
        Record::VcardSet(card) => {
            image.avatars = card.as_ref().map_or_else(|| Arc::new([]) as Arc<[String]>, |card| card.avatars.clone());
        }
        Record::Hat(HatChange::Made(hat)) => {
            image.hats.retain(|known| known.uri != hat.uri);
            image.hats.push(hat.clone());
            image.hats.sort_by(|one, other| one.uri.cmp(&other.uri));
        }
        Record::Hat(HatChange::Destroyed { uri }) => {
            image.hats.retain(|known| known.uri != *uri);
            image.hat_wearers.retain(|(_, worn)| worn != uri);
        }
        Record::Hat(HatChange::PutOn { who, uri }) => {
            image.hat_wearers.retain(|known| *known != (who.clone(), uri.clone()));
            image.hat_wearers.push((who.clone(), uri.clone()));
            image.hat_wearers.sort();
        }
        Record::Hat(HatChange::TakenOff { who, uri }) => {
            image.hat_wearers.retain(|known| *known != (who.clone(), uri.clone()));
        }
        Record::Seen { who, upto } => {
            if image.affiliations.iter().any(|entry| entry.who == *who) {
                image.seen.retain(|(known, _)| known != who);
                image.seen.push((who.clone(), *upto));
                image.seen.sort();
            }
        }
        Record::Relisted { who, version } => {
            image.relisted.push((*version, who.clone()));
            image.relisted.retain(|(known, _)| *known > version - RELISTED_MAX);
        }
        Record::Destroyed(tombstone) => {
            image.seen.clear();
            image.relisted.clear();
            image.hats.clear();
            image.hat_wearers.clear();
            image.avatars = Arc::new([]);
            image.tombstone = Some(tombstone.clone());
            image.is_locked = false;
            image.affiliations.clear();
            image.occupants.clear();
            image.subject = None;
            said.clear();
        }
    }
}
