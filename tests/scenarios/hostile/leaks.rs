//! Who learns whose real JID, looked for in every byte a room says.
//!
//! In a semi-anonymous room the real JIDs of its people are for moderators, admins and themselves. Not the room's to
//! hide is what people say in their own words: the texts they type (a moderator's reason that names somebody is the
//! moderator's word) and extensions of their messages, presences and requests that pass as they came. What a server
//! adds on somebody's way to the room - errors, delays, ids - is nobody's own word.

use std::collections::BTreeSet;

use tandem_muc_core::muc::{Role, Whois};
use tandem_muc_core::name::{BareJid, Jid};
use tandem_muc_core::ns;
use tandem_muc_core::record::RoomImage;
use tandem_muc_core::stanza::Inbound;

use super::views::affiliation_of;
use super::{SESSIONS, TYPED};
use crate::cast;
use crate::stage::Stage;
use crate::tree::{Branch, Tree};

/// Looks for real JIDs where they may not be.
pub(super) struct Leaks {
    people: BTreeSet<BareJid>,
    /// Extensions somebody sent, as XML.
    own_words: BTreeSet<String>,
}

impl Leaks {
    pub(super) fn new() -> Leaks {
        let people = SESSIONS.iter().map(|(who, _)| cast::session(who).expect("of the cast").to_bare());
        Leaks { people: people.collect(), own_words: BTreeSet::new() }
    }

    /// Remembers what somebody says in its own words.
    pub(super) fn note(&mut self, said: &Tree) {
        let is_error = said.attr("type") == Some("error");
        let own = said.trees().filter(|child| is_own_word(child) && !(is_error && child.name == "error"));
        self.own_words.extend(own.map(Tree::to_xml));
    }

    /// Whether nobody learned from what `asked` brought about what it may not.
    pub(super) fn check(
        &self,
        before: &RoomImage,
        after: &RoomImage,
        stage: &Stage,
        asked: Option<&Inbound>,
    ) -> Result<(), String> {
        if [before, after].iter().any(|image| image.config.whois == Whois::Anyone) {
            return Ok(());
        }
        let is_outside =
            asked.is_none_or(|asked| !before.occupants.iter().any(|s| s.who.is_same_bare(&asked.stanza.from)));
        for (hearer, said) in stage.heard() {
            if may_see(before, stage, hearer) || may_see(after, stage, hearer) {
                continue;
            }
            let mut said = said.clone();
            said.attrs.remove("to");
            self.leave_out_own_words(&mut said);
            if is_outside {
                // Who is not inside has no other name to decline an invitation with.
                without_decliner(&mut said);
            }
            let text = said.to_xml().replace(TYPED, "");
            for person in self.people.iter().filter(|person| !hearer.is_same_bare(person.as_jid())) {
                if text.contains(person.as_str()) {
                    return Err(format!("{hearer} learns of {person}: {text}"));
                }
            }
        }
        Ok(())
    }

    fn leave_out_own_words(&self, tree: &mut Tree) {
        tree.children.retain(|child| !matches!(child, Branch::Tree(child) if self.own_words.contains(&child.to_xml())));
        tree.subtrees().for_each(|child| self.leave_out_own_words(child));
    }
}

fn is_own_word(child: &Tree) -> bool {
    let is_of_the_room = child.ns == ns::MUC_USER;
    let is_of_a_server = matches!(child.name.as_str(), "delay" | "stanza-id") || child.ns == ns::LEGACY_DELAY;
    !is_of_the_room && !is_of_a_server
}

fn without_decliner(tree: &mut Tree) {
    if tree.name == "decline" && tree.ns == ns::MUC_USER {
        tree.attrs.remove("from");
    }
    tree.subtrees().for_each(without_decliner);
}

fn may_see(image: &RoomImage, stage: &Stage, who: &Jid) -> bool {
    let mut sessions = image.occupants.iter().filter(|session| session.who.is_same_bare(who));
    sessions.any(|session| session.role == Role::Moderator)
        || affiliation_of(image, stage, who) >= tandem_muc_core::muc::Affiliation::Admin
}
