//! What each session believes of who is inside, added up from all it heard and held against who is.

use std::collections::{BTreeMap, BTreeSet};

use tandem_muc_core::muc::Affiliation;
use tandem_muc_core::name::Jid;
use tandem_muc_core::ns;
use tandem_muc_core::record::RoomImage;

use crate::stage::Stage;
use crate::tree::Tree;

/// What each session knows of who is inside, from what it heard.
#[derive(Default)]
pub(super) struct Views(BTreeMap<Jid, BTreeMap<String, (String, String)>>);

impl Views {
    pub(super) fn hear(&mut self, stage: &mut Stage) -> Result<(), String> {
        let shows_absent = stage.room.image().config.shows_absent;
        for (hearer, said) in stage.drain() {
            self.hear_one(hearer, &said, shows_absent)
                .map_err(|why| format!("{why}: {}", said.to_script(ns::CLIENT)))?;
        }
        Ok(())
    }

    /// `shows_absent`: the room also tells of members who are not inside.
    fn hear_one(&mut self, hearer: Jid, said: &Tree, shows_absent: bool) -> Result<(), String> {
        let from = said.attr("from").unwrap_or_default();
        let Some((_, nick)) = from.split_once('/') else { return Ok(()) };
        if said.name != "presence" || said.attr("type") == Some("error") {
            return Ok(());
        }
        let x = said.trees().find(|child| child.ns == ns::MUC_USER).ok_or("a presence without <x/>")?;
        let item = x.trees().find(|child| child.name == "item").ok_or("a presence without <item/>")?;
        let has = |code| x.trees().any(|child| child.name == "status" && child.attr("code") == Some(code));
        let word = |name| item.attr(name).unwrap_or_default().to_owned();
        let view = self.0.entry(hearer).or_default();
        if said.attr("type") != Some("unavailable") {
            view.insert(nick.to_owned(), (word("affiliation"), word("role")));
        } else if has("110") && !has("303") {
            view.clear();
        } else if view.remove(nick).is_none() && !has("303") && !shows_absent {
            return Err("somebody leaves who was not there".to_owned());
        }
        Ok(())
    }

    /// Every session inside knows exactly who is inside, as what; whoever is not inside knows nothing.
    pub(super) fn are_true(&self, stage: &Stage) -> Result<(), String> {
        let image = stage.room.image();
        let config = &image.config;
        let mut inside = BTreeSet::new();
        for session in &image.occupants {
            inside.insert(&session.who);
            let mut wanted = BTreeMap::new();
            for other in &image.occupants {
                if other.nick != session.nick && !config.broadcasts(other.role) {
                    continue;
                }
                let affiliation = affiliation_of(&image, stage, &other.who).as_str().to_owned();
                wanted.insert(other.nick.as_str().to_owned(), (affiliation, other.role.as_str().to_owned()));
            }
            let empty = BTreeMap::new();
            let known = self.0.get(&session.who).unwrap_or(&empty);
            if *known != wanted {
                return Err(format!("{} believes {known:?}\n  but inside are {wanted:?}", session.who));
            }
        }
        match self.0.iter().find(|(who, view)| !inside.contains(who) && !view.is_empty()) {
            Some((who, view)) => Err(format!("{who} is not inside and believes {view:?}")),
            None => Ok(()),
        }
    }
}

/// What somebody is in a room, by its lists and the service's.
pub(super) fn affiliation_of(image: &RoomImage, stage: &Stage, who: &Jid) -> Affiliation {
    let bare = who.to_bare();
    if stage.rules.admins.contains(&bare) {
        return Affiliation::Owner;
    }
    let entry = |name: &str| image.affiliations.iter().find(|entry| entry.who.as_str() == name);
    let own = entry(bare.as_str()).filter(|entry| entry.affiliation != Affiliation::None);
    own.or_else(|| entry(bare.domain())).map_or(Affiliation::None, |entry| entry.affiliation)
}
