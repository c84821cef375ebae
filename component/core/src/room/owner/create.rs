//! Creating a room by entering it (XEP-0045 §10.1): instant, or locked until its owner configured it.

use minidom::Element;
use sha2::{Digest, Sha256};

use super::super::refusal::Refusal;
use super::super::{Creators, Room, Turn};
use crate::muc::{Affiliation, Status};
use crate::name::{BareJid, Nick};
use crate::ns;
use crate::record::{AffiliationEntry, Creation, Record};
use crate::stanza::Inbound;

impl Room {
    /// The first to enter creates the room and owns it.
    pub(in super::super) fn create_by_entering(
        &mut self,
        ask: &Inbound,
        nick: Nick,
        x: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let by = ask.stanza.from.to_bare();
        self.must_be_fit(&nick)?;
        self.may_create(&by)?;
        let mut config = self.rules.defaults.clone();
        config.history_max = config.history_max.min(self.rules.history_max);
        let creation = Creation {
            by: by.clone(),
            at: turn.now.utc,
            config,
            // Who enters as in groupchat 1.0 knows of no form: the room is an instant one (§7.2.1).
            is_locked: self.rules.locks_new_rooms && ask.stanza.child("x", ns::MUC).is_some(),
            occupant_id_salt: self.fresh_salt(turn.now.chance),
        };
        self.commit(Record::Created(Box::new(creation)), turn);
        let owner = AffiliationEntry {
            who: by.clone(),
            affiliation: Affiliation::Owner,
            nick: None,
            reason: None,
            by,
            at: turn.now.utc,
        };
        self.commit(Record::Affiliated(Box::new(owner)), turn);
        self.let_in(ask, nick, x, &[Status::Created], turn);
        Ok(())
    }

    fn may_create(&self, who: &BareJid) -> Result<(), Refusal> {
        let parent = self.rules.domain.domain().split_once('.').map(|(_, parent)| parent);
        let is_allowed = self.rules.admins.contains(who)
            || match self.rules.creation {
                Creators::Anyone => true,
                Creators::Local => parent == Some(who.domain()),
                Creators::Admins => false,
            };
        if is_allowed { Ok(()) } else { Err(Refusal::CreationForbidden) }
    }

    /// A secret nobody learns from the ids that the same chance made.
    fn fresh_salt(&self, chance: u128) -> String {
        let mut hash = Sha256::new();
        hash.update(b"occupant-id salt");
        hash.update(chance.to_be_bytes());
        hash.update(self.jid.as_str().as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let (salt, _) = digest.split_at(16);
        format!("{:032x}", salt.iter().fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte)))
    }
}
