//! The hats of a room and who wears them, as they are kept and as they are seen.

use std::collections::{BTreeMap, BTreeSet};

use minidom::Element;

use crate::name::BareJid;
use crate::ns;
use crate::record::{Hat, HatChange};
use crate::stanza::element::{Build, el};

/// The hats of a room, by URI, and who wears which.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in super::super) struct Hats {
    made: BTreeMap<String, Hat>,
    worn: BTreeMap<BareJid, BTreeSet<String>>,
}

impl Hats {
    /// As they were kept.
    pub(in super::super) fn restored(hats: Vec<Hat>, wearers: Vec<(BareJid, String)>) -> Hats {
        let mut restored = Hats::default();
        for hat in hats {
            restored.apply(&HatChange::Made(hat));
        }
        for (who, uri) in wearers {
            restored.apply(&HatChange::PutOn { who, uri });
        }
        restored
    }

    pub(in super::super) fn apply(&mut self, change: &HatChange) {
        match change {
            HatChange::Made(hat) => {
                self.made.insert(hat.uri.clone(), hat.clone());
            }
            HatChange::Destroyed { uri } => {
                self.made.remove(uri);
                self.worn.retain(|_, worn| {
                    worn.remove(uri);
                    !worn.is_empty()
                });
            }
            HatChange::PutOn { who, uri } => {
                self.worn.entry(who.clone()).or_default().insert(uri.clone());
            }
            HatChange::TakenOff { who, uri } => {
                let is_bare = self.worn.get_mut(who).is_some_and(|worn| {
                    worn.remove(uri);
                    worn.is_empty()
                });
                if is_bare {
                    self.worn.remove(who);
                }
            }
        }
    }

    /// All hats, by URI.
    pub(in super::super) fn made(&self) -> impl Iterator<Item = &Hat> {
        self.made.values()
    }

    pub(super) fn named(&self, uri: &str) -> Option<&Hat> {
        self.made.get(uri)
    }

    pub(super) fn count(&self) -> usize {
        self.made.len()
    }

    /// Who wears what, by user and URI.
    pub(in super::super) fn wearers(&self) -> impl Iterator<Item = (&BareJid, &str)> {
        self.worn.iter().flat_map(|(who, worn)| worn.iter().map(move |uri| (who, uri.as_str())))
    }

    pub(super) fn wears(&self, who: &BareJid, uri: &str) -> bool {
        self.worn.get(who).is_some_and(|worn| worn.contains(uri))
    }

    /// Everybody who wears that hat.
    pub(super) fn wearers_of(&self, uri: &str) -> Vec<BareJid> {
        let wears = |(who, worn): (&BareJid, &BTreeSet<String>)| worn.contains(uri).then(|| who.clone());
        self.worn.iter().filter_map(wears).collect()
    }

    /// The hats there are to choose from.
    pub(in super::super) fn choices(&self) -> Vec<(String, String)> {
        self.made().map(|hat| (hat.uri.clone(), hat.title.clone())).collect()
    }

    /// What presence tells of somebody's hats (§3.1).
    pub(in super::super) fn seen_on(&self, who: &BareJid) -> Option<Element> {
        let worn = self.worn.get(who)?;
        let hats = worn.iter().filter_map(|uri| self.made.get(uri));
        Some(hats.fold(el("hats", ns::HATS), |hats, hat| {
            let seen = el("hat", ns::HATS)
                .with_attr("title", hat.title.as_str())
                .with_attr("uri", hat.uri.as_str())
                .with_attr_opt("hue", hat.hue.as_deref());
            hats.with_child(match &hat.lang {
                Some(lang) => seen.with_lang(lang.clone()),
                None => seen,
            })
        }))
    }
}
