//! The lists (XEP-0045 §8.5, §9.2, §9.5, §9.8, §10.5, §10.8): who has which affiliation, who which role.

use std::collections::VecDeque;

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::roster::Occupant;
use super::super::view::Item;
use super::super::{Room, Turn};
use crate::muc::{Affiliation, Role};
use crate::name::Nick;
use crate::ns;
use crate::protocol::paging::PageRequest;
use crate::record::AffiliationEntry;
use crate::stanza::Inbound;
use crate::stanza::element::{Build, el};

/// The most bytes of one answer: a quarter of a megabyte passes every server on its way.
const BYTES_MAX: usize = 250_000;

impl Room {
    /// Answers with the list that the one item names, by affiliation or by role.
    pub(in super::super) fn tell_list(
        &self,
        ask: &Inbound,
        query: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let item = query.get_child("item", ns::MUC_ADMIN);
        let item = item.ok_or(Refusal::Malformed("The request has no item."))?;
        let actor = self.actor(&ask.stanza.from);
        let mut answer = el("query", ns::MUC_ADMIN);
        match (item.attr("affiliation"), item.attr("role")) {
            (Some(word), _) => {
                let affiliation =
                    Affiliation::parse(word).ok_or(Refusal::Malformed("There is no such affiliation."))?;
                self.may_read_list(&actor, affiliation)?;
                let is_listed = affiliation != Affiliation::None;
                let entries = self.affiliations.values();
                let entries: Vec<_> = entries.filter(|e| is_listed && e.affiliation == affiliation).collect();
                page(&mut answer, query, &entries, |entry| entry.who.as_str(), |entry| entry_item(entry))?;
            }
            (None, Some(word)) => {
                let role = Role::parse(word).ok_or(Refusal::Malformed("There is no such role."))?;
                if actor.role != Role::Moderator && actor.affiliation < Affiliation::Admin {
                    return Err(Refusal::Forbidden("Only moderators may read this list."));
                }
                let occupants: Vec<_> = self.roster.iter().filter(|occupant| occupant.role == role).collect();
                let item = |occupant: &&Occupant| self.occupant_item(occupant);
                page(&mut answer, query, &occupants, |occupant| occupant.nick.as_str(), item)?;
            }
            (None, None) => return Err(Refusal::Malformed("The item names no list.")),
        }
        turn.answer(ask.result(Some(answer)));
        Ok(())
    }

    fn occupant_item(&self, occupant: &Occupant) -> Element {
        let item = Item {
            affiliation: self.affiliation(&occupant.bare),
            role: occupant.role,
            jid: Some(occupant.shown().who.as_str()),
            nick: Some(&occupant.nick),
            ..Item::default()
        };
        item.to_element(ns::MUC_ADMIN)
    }
}

fn entry_item(entry: &AffiliationEntry) -> Element {
    let item = el("item", ns::MUC_ADMIN)
        .with_attr("affiliation", entry.affiliation.as_str())
        .with_attr("jid", entry.who.as_str())
        .with_attr_opt("nick", entry.nick.as_ref().map(Nick::as_str));
    match &entry.reason {
        Some(reason) => item.with_text_child("reason", reason),
        None => item,
    }
}

/// Puts into `answer` what `query` asks for of a list: all of it, or the page it names (XEP-0059). No page is longer than
/// one stanza may be; whoever did not ask for pages is told to.
fn page<T>(
    answer: &mut Element,
    query: &Element,
    all: &[T],
    id: impl Fn(&T) -> &str,
    item: impl Fn(&T) -> Element,
) -> Result<(), Refusal> {
    let asked = PageRequest::read(query);
    let position = |wanted: &str| all.iter().position(|one| id(one) == wanted);
    let page = asked.clone().unwrap_or_default().cut(all.len(), all.len(), position);
    let mut page = page.map_err(|_| Refusal::NoSuchPage)?;
    let is_backward = asked.as_ref().is_some_and(|asked| asked.before.is_some());
    let mut items = VecDeque::new();
    let mut bytes = 0;
    while items.len() < page.to - page.from {
        let next = if is_backward { page.to - items.len() - 1 } else { page.from + items.len() };
        let item = item(&all[next]);
        bytes += String::from(&item).len();
        if bytes > BYTES_MAX && !items.is_empty() {
            break;
        }
        if is_backward { items.push_front(item) } else { items.push_back(item) }
    }
    if items.len() < page.to - page.from && asked.is_none() {
        return Err(Refusal::ListTooLong);
    }
    if is_backward {
        page.from = page.to - items.len();
    } else {
        page.to = page.from + items.len();
    }
    for item in items {
        answer.append_child(item);
    }
    if asked.is_some() {
        let shown = &all[page.from..page.to];
        answer.append_child(page.to_element(shown.first().map(&id), shown.last().map(&id)));
    }
    Ok(())
}
