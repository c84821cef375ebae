//! Who sees what of whom: presences as moderators and as others see them (XEP-0045 §5.1.2, §7.2.4), the
//! `muc#user` extension, and what a sender may not say because only the room may.

use std::sync::Arc;

use minidom::Element;

use super::roster::Occupant;
use super::{Room, Turn};
use crate::muc::{Affiliation, Role, Status, Whois};
use crate::name::{BareJid, Jid, Nick};
use crate::ns;
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Kind, Stanza, Type};

/// An occupant as it is (or, when it just left, was) seen: what its presences are made of.
#[derive(Clone, Debug)]
pub(super) struct Face {
    pub(super) jid: Jid,
    pub(super) nick: Nick,
    pub(super) bare: BareJid,
    pub(super) affiliation: Affiliation,
    pub(super) role: Role,
    real: Jid,
    stable_id: Arc<str>,
    /// What it wears (XEP-0317).
    hats: Option<Element>,
    pub(super) payload: Arc<[Element]>,
    pub(super) sessions: Vec<Jid>,
}

/// What a presence tells beside whose it is.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct News<'a> {
    pub(super) statuses: &'a [Status],
    /// The nick that follows, with 303.
    pub(super) new_nick: Option<&'a Nick>,
    /// Who did it, if it is somebody inside.
    pub(super) actor: Option<&'a Nick>,
    pub(super) reason: Option<&'a str>,
    /// The versions of the lists before and after it (XEP-0463).
    pub(super) mav: Option<&'a Element>,
    /// The `<destroy/>` of a room's end.
    pub(super) destroy: Option<&'a Element>,
}

/// One `<item/>` of `muc#user`.
#[derive(Default)]
pub(super) struct Item<'a> {
    pub(super) affiliation: Affiliation,
    pub(super) role: Role,
    pub(super) jid: Option<&'a str>,
    pub(super) nick: Option<&'a Nick>,
    pub(super) actor: Option<&'a Nick>,
    pub(super) reason: Option<&'a str>,
}

impl Item<'_> {
    pub(super) fn to_element(&self, ns: &str) -> Element {
        let mut item = el("item", ns)
            .with_attr("affiliation", self.affiliation.as_str())
            .with_attr("role", self.role.as_str())
            .with_attr_opt("jid", self.jid)
            .with_attr_opt("nick", self.nick.map(Nick::as_str));
        if let Some(actor) = self.actor {
            item.append_child(el("actor", ns).with_attr("nick", actor.as_str()));
        }
        match self.reason {
            Some(reason) => item.with_text_child("reason", reason),
            None => item,
        }
    }
}

/// The `muc#user` extension: these children, then the codes in ascending order.
pub(super) fn user_x(children: impl IntoIterator<Item = Element>, statuses: &[Status]) -> Element {
    let mut x = el("x", ns::MUC_USER);
    for child in children {
        x.append_child(child);
    }
    let mut codes: Vec<u16> = statuses.iter().map(|status| status.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        x.append_child(el("status", ns::MUC_USER).with_attr("code", code.to_string()));
    }
    x
}

/// The `<occupant-id/>` of XEP-0421.
pub(super) fn occupant_id(id: &str) -> Element {
    el("occupant-id", ns::OCCUPANT_ID).with_attr("id", id)
}

/// The `<stanza-id/>` of XEP-0359.
pub(super) fn stanza_id(id: &str, by: &str) -> Element {
    el("stanza-id", ns::SID).with_attr("id", id).with_attr("by", by)
}

impl Room {
    /// Whether somebody of that role sees real JIDs.
    pub(super) fn sees_jids(&self, role: Role) -> bool {
        self.config.whois == Whois::Anyone || role == Role::Moderator
    }

    /// The occupant as it is seen now.
    pub(super) fn face(&self, occupant: &Occupant) -> Face {
        let shown = occupant.shown();
        Face {
            jid: occupant.jid.clone(),
            nick: occupant.nick.clone(),
            bare: occupant.bare.clone(),
            affiliation: self.affiliation(&occupant.bare),
            role: occupant.role,
            real: shown.who.clone(),
            stable_id: occupant.stable_id.clone(),
            hats: self.hats.seen_on(&occupant.bare),
            payload: shown.presence.clone(),
            sessions: occupant.session_jids(),
        }
    }

    /// Face of the occupant of that nick.
    pub(super) fn face_named(&self, nick: &Nick) -> Option<Face> {
        self.roster.named(nick).map(|occupant| self.face(occupant))
    }

    /// Tells the occupant's own sessions its presence, with 110.
    pub(super) fn tell_self(&self, face: &Face, type_: &Type, news: &News<'_>, turn: &mut Turn<'_>) {
        self.tell_session(face, &face.sessions, None, type_, news, turn);
    }

    /// Tells some of the occupant's own sessions its presence, with 110 and under the `id` they asked with.
    pub(super) fn tell_session(
        &self,
        face: &Face,
        sessions: &[Jid],
        id: Option<&str>,
        type_: &Type,
        news: &News<'_>,
        turn: &mut Turn<'_>,
    ) {
        let mut statuses = news.statuses.to_vec();
        statuses.push(Status::SelfPresence);
        let news = News { statuses: &statuses, ..*news };
        let mut stanza = face.presence(type_.clone(), self.sees_jids(face.role), &news);
        stanza.id = id.map(str::to_owned);
        let to = match sessions {
            [one] => Audience::One(one.clone()),
            several => Audience::Many(several.into()),
        };
        turn.say(stanza, to);
    }

    /// Tells everyone but the occupant itself its presence, in two renderings at most.
    pub(super) fn tell_others(&self, face: &Face, type_: &Type, news: &News<'_>, turn: &mut Turn<'_>) {
        let mut tell = |sees_jid: bool, is_meant: &dyn Fn(&Occupant) -> bool| {
            let to = self.roster.sessions_where(|other| other.nick != face.nick && is_meant(other));
            if !to.is_empty() {
                turn.say(face.presence(type_.clone(), sees_jid, news), Audience::Many(to));
            }
        };
        if self.config.whois == Whois::Anyone {
            tell(true, &|_| true);
        } else {
            tell(true, &|other| other.role == Role::Moderator);
            tell(false, &|other| other.role != Role::Moderator);
        }
    }

    /// Tells everyone a presence that is there, itself first; to others only if its role is heard here, and
    /// as a departure if it was heard before (`presencebroadcast`).
    pub(super) fn announce(&self, face: &Face, was_heard: bool, news: &News<'_>, turn: &mut Turn<'_>) {
        self.tell_self(face, &Type::None, news, turn);
        if self.config.broadcasts(face.role) {
            self.tell_others(face, &Type::None, news, turn);
        } else if was_heard {
            self.tell_others_gone(face, turn);
        }
    }

    /// Tells everyone but the occupant that it is no longer to be seen.
    pub(super) fn tell_others_gone(&self, face: &Face, turn: &mut Turn<'_>) {
        let mut unseen = face.outside();
        unseen.payload = Arc::new([]);
        self.tell_others(&unseen, &Type::Unavailable, &News::default(), turn);
    }
}

impl Face {
    /// The same, no longer inside.
    pub(super) fn outside(&self) -> Face {
        Face { role: Role::None, ..self.clone() }
    }

    /// Its presence for somebody who does or does not see real JIDs.
    pub(super) fn presence(&self, type_: Type, sees_jid: bool, news: &News<'_>) -> Stanza {
        let item = Item {
            affiliation: self.affiliation,
            role: self.role,
            jid: sees_jid.then(|| self.real.as_str()),
            nick: news.new_nick,
            actor: news.actor,
            reason: news.reason,
        };
        let item = item.to_element(ns::MUC_USER);
        let children = news.mav.cloned().into_iter().chain([item]).chain(news.destroy.cloned());
        let x = user_x(children, news.statuses);
        let hats = self.hats.as_ref().filter(|_| type_ == Type::None);
        let mut stanza = Stanza::new(Kind::Presence, type_, self.jid.clone());
        stanza.payload.reserve_exact(self.payload.len() + 2 + usize::from(hats.is_some()));
        stanza.payload.extend(self.payload.iter().cloned());
        stanza.payload.push(occupant_id(&self.stable_id));
        stanza.payload.push(x);
        stanza.payload.extend(hats.cloned());
        stanza
    }
}

/// The sender's own children of a stanza, less those that only the room may say: `muc` and `muc#user`, occupant
/// ids, hats, stanza-ids by the room, delays from it, that something was taken back or moderated. Nor do ids and delays
/// pass that the sender's own server put there, for they tell the real JID.
pub(super) fn honest<'a>(stanza: &'a Stanza, room: &'a BareJid) -> impl Iterator<Item = &'a Element> {
    stanza.payload.iter().filter(move |child| !pretends(child, room, &stanza.from))
}

fn pretends(child: &Element, room: &BareJid, sender: &Jid) -> bool {
    match (child.name(), child.ns().as_str()) {
        ("x", ns::MUC | ns::MUC_USER)
        | ("occupant-id", ns::OCCUPANT_ID)
        | (_, ns::HATS)
        | ("retracted", ns::RETRACT | ns::RETRACT_0)
        | ("moderated", ns::MODERATE | ns::MODERATE_0) => true,
        ("stanza-id", ns::SID) => is_of(child.attr("by"), room, sender),
        ("retract", ns::RETRACT) | ("apply-to", ns::FASTEN) => child.children().any(is_moderated),
        ("delay", ns::DELAY) | ("x", ns::LEGACY_DELAY) => is_of(child.attr("from"), room, sender),
        _ => false,
    }
}

fn is_moderated(child: &Element) -> bool {
    child.name() == "moderated" && matches!(child.ns().as_str(), ns::MODERATE | ns::MODERATE_0)
}

fn is_of(jid: Option<&str>, room: &BareJid, sender: &Jid) -> bool {
    let jid = jid.and_then(|text| Jid::parse(text).ok());
    jid.is_some_and(|jid| jid.is_same_bare(room.as_jid()) || jid.is_same_bare(sender) || jid.as_str() == room.domain())
}
