//! What a room promises whatever happens, checked on every input of every scenario so that scripts need not
//! say it each time.

use std::collections::BTreeMap;

use minidom::Element;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::ns;
use tandem_muc_core::record::Record;
use tandem_muc_core::room::{Input, Outcome};
use tandem_muc_core::stanza::{Inbound, Kind, Outbound, Stanza, Type};

use crate::cast;

/// What was seen of a room so far.
#[derive(Default)]
pub(crate) struct Promises {
    /// The occupant id of each user: one for life, nobody else's (XEP-0421).
    occupant_ids: BTreeMap<BareJid, String>,
    /// The number of the last message.
    last_seq: i64,
    /// The version of the lists.
    version: i64,
}

impl Promises {
    /// Holds one outcome against what is promised.
    pub(crate) fn check(&mut self, input: Input<'_>, outcome: &Outcome) -> Result<(), String> {
        for outbound in &outcome.outbound {
            let told = |why: String| format!("{why}\n  said: {}", outbound.stanza.to_xml());
            sender_is_ours(&outbound.stanza).map_err(told)?;
            ids_are_ours(&outbound.stanza).map_err(told)?;
            statuses_are_in_place(&outbound.stanza).map_err(told)?;
        }
        match input {
            Input::Stanza(inbound) => answers_are_due(inbound, outcome)?,
            Input::Found { asked, .. } => answers_are_due(asked, outcome)?,
            Input::Tick | Input::Expire(_) | Input::Again(_) => {}
        }
        self.numbers_have_no_gap(outcome)?;
        self.occupant_ids_last(outcome)
    }

    fn numbers_have_no_gap(&mut self, outcome: &Outcome) -> Result<(), String> {
        for record in &outcome.records {
            match record {
                // A new room under an old name shares nothing with it.
                Record::Created(_) => *self = Promises::default(),
                Record::Spoken(message) if message.seq.0 == self.last_seq + 1 => self.last_seq += 1,
                Record::Spoken(message) => {
                    return Err(format!("message {} follows message {}", message.seq.0, self.last_seq));
                }
                Record::Relisted { version, .. } if *version == self.version + 1 => self.version += 1,
                Record::Relisted { version, .. } => {
                    return Err(format!("version {version} of the lists follows version {}", self.version));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Self-presence tells whose occupant id it is; it must be the same for the same user and for nobody else.
    fn occupant_ids_last(&mut self, outcome: &Outcome) -> Result<(), String> {
        for Outbound { stanza, to } in &outcome.outbound {
            let (Some(id), [one]) = (occupant_id(stanza), to.as_slice()) else { continue };
            if stanza.kind != Kind::Presence || !has_status(stanza, "110") {
                continue;
            }
            let user = one.to_bare();
            let known = self.occupant_ids.entry(user.clone()).or_insert_with(|| id.to_owned());
            if known != id {
                return Err(format!("{user} was {known} and is {id} now"));
            }
            if self.occupant_ids.iter().any(|(other, theirs)| *other != user && theirs == id) {
                return Err(format!("{user} shares the occupant id {id} with somebody"));
            }
        }
        Ok(())
    }
}

fn sender_is_ours(stanza: &Stanza) -> Result<(), String> {
    if stanza.from.bare_str() == cast::HALL { Ok(()) } else { Err(format!("{} is not our address", stanza.from)) }
}

/// What comes from an occupant has one occupant id, and reflected speech one stanza id, by the room.
fn ids_are_ours(stanza: &Stanza) -> Result<(), String> {
    let is_occupants = stanza.from.resource().is_some();
    let is_reflected = stanza.kind == Kind::Message && stanza.type_ == Type::Groupchat;
    let is_presence = stanza.kind == Kind::Presence && matches!(stanza.type_, Type::None | Type::Unavailable);
    let ids = children(stanza, "occupant-id", ns::OCCUPANT_ID).count();
    if is_occupants && (is_reflected || is_presence) && ids != 1 {
        return Err(format!("{ids} occupant ids"));
    }
    let by_room = children(stanza, "stanza-id", ns::SID).filter(|id| id.attr("by") == Some(cast::HALL)).count();
    let is_kept = children(stanza, "no-store", ns::HINTS).next().is_none();
    let is_said = is_kept && children(stanza, "body", ns::CLIENT).next().is_some();
    let wanted = usize::from(is_occupants && is_reflected && is_said);
    if by_room < wanted || by_room > 1 {
        return Err(format!("{by_room} stanza ids by the room"));
    }
    Ok(())
}

/// Status codes live in `muc#user` and nowhere else.
fn statuses_are_in_place(stanza: &Stanza) -> Result<(), String> {
    // A refusal to enter shows what was asked for, never the password that came with it (§7.2).
    let is_refusal = stanza.kind == Kind::Presence && stanza.type_ == Type::Error;
    let is_astray = |x: &Element| x.is("x", ns::MUC) && !(is_refusal && x.children().next().is_none());
    let is_ours = stanza.kind != Kind::Iq;
    if is_ours && stanza.payload.iter().any(is_astray) {
        Err("says <x/> of the entering side".to_owned())
    } else {
        Ok(())
    }
}

/// Each request has one answer to the one who asked; an error or a result has none (RFC 6120 §8.2.3, §8.3.1).
fn answers_are_due(inbound: &Inbound, outcome: &Outcome) -> Result<(), String> {
    let asked = &inbound.stanza;
    let is_answer = |outbound: &&Outbound| {
        let said = &outbound.stanza;
        said.kind == asked.kind && said.id == asked.id && outbound.to.as_slice().contains(&asked.from) && {
            match asked.kind {
                Kind::Iq => matches!(said.type_, Type::Result | Type::Error),
                Kind::Message | Kind::Presence => said.type_ == Type::Error,
            }
        }
    };
    let answers = outcome.outbound.iter().filter(is_answer).count();
    let (least, most) = match (asked.kind, &asked.type_) {
        (_, Type::Error) | (Kind::Iq, Type::Result) => (0, 0),
        // It comes once it is known.
        (Kind::Iq, Type::Get | Type::Set) if outcome.lookup.is_some() => (0, 0),
        (Kind::Iq, Type::Get | Type::Set) if is_relayed(inbound, outcome) => (0, 0),
        (Kind::Iq, Type::Get | Type::Set) => (1, 1),
        _ => (0, 1),
    };
    if answers < least || answers > most {
        return Err(format!("{answers} answers to {}", asked.to_xml()));
    }
    Ok(())
}

/// A request to an occupant may go on to its client, which answers later.
fn is_relayed(inbound: &Inbound, outcome: &Outcome) -> bool {
    let is_request = |outbound: &Outbound| {
        outbound.stanza.kind == Kind::Iq && matches!(outbound.stanza.type_, Type::Get | Type::Set)
    };
    inbound.to.resource().is_some() && outcome.outbound.iter().any(is_request)
}

fn occupant_id(stanza: &Stanza) -> Option<&str> {
    children(stanza, "occupant-id", ns::OCCUPANT_ID).next()?.attr("id")
}

/// Whether a `muc#user` element of the stanza has this status code.
pub(crate) fn has_status(stanza: &Stanza, code: &str) -> bool {
    children(stanza, "x", ns::MUC_USER)
        .flat_map(Element::children)
        .any(|child| child.is("status", ns::MUC_USER) && child.attr("code") == Some(code))
}

/// The children of this name and namespace.
pub(crate) fn children<'a>(
    stanza: &'a Stanza,
    name: &'static str,
    ns: &'static str,
) -> impl Iterator<Item = &'a Element> {
    stanza.payload.iter().filter(move |child| child.is(name, ns))
}
