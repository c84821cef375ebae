//! A query read (XEP-0313 v0.8 §4): the form's fields, the page (XEP-0059), the text to search for (XEP-0431).

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::{Room, Turn};
use super::answer::Purpose;
use super::{Lookup, PageSearch, Search, Sender};
use crate::name::{Jid, Nick};
use crate::ns;
use crate::protocol::form::{Form, FormType, Submitted};
use crate::protocol::paging::PageRequest;
use crate::stanza::Inbound;
use crate::stanza::element::{Build, el};
use crate::time::Utc;

/// The most messages of one page.
const PAGE_MAX: usize = 100;
/// Messages of a page where nobody says how many.
const PAGE_DEFAULT: usize = 50;
/// The most bytes of one page: what waits for a slow server stays small beside what is said meanwhile.
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// The most ids in one query.
const IDS_MAX: usize = PAGE_MAX;
/// The most words looked for at once.
const WORDS_MAX: usize = 16;

/// The field of XEP-0431.
const FULLTEXT_FIELD: &str = "{urn:xmpp:fulltext:0}fulltext";
/// COMPAT(ejabberd's clients, 2026): the name from before XEP-0431; remove when they use that.
const WITHTEXT_FIELD: &str = "withtext";

impl Room {
    /// Tells which fields a query may have (§4.1.5).
    pub(in super::super) fn tell_query_form(&self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_read(ask)?;
        let form = Form::new(FormType::Form, ns::MAM)
            .field("jid-single", "with", "Said by", &[])
            .field("text-single", "start", "Said at this time or later", &[])
            .field("text-single", "end", "Said at this time or earlier", &[])
            .field("text-single", "before-id", "Said before the message of this id", &[])
            .field("text-single", "after-id", "Said after the message of this id", &[])
            .open_list("ids", "The messages of these ids")
            .field("text-single", FULLTEXT_FIELD, "Words in the text", &[]);
        turn.answer(ask.result(Some(el("query", ns::MAM).with_child(form.into_element()))));
        Ok(())
    }

    /// Asks for what the query wants; it is answered when it is found.
    pub(in super::super) fn query_archive(
        &self,
        ask: &Inbound,
        query: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        self.must_read(ask)?;
        if query.attr("node").is_some_and(|node| !node.is_empty()) {
            return Err(Refusal::NoSuchNode);
        }
        let mut search = PageSearch { max: PAGE_DEFAULT, bytes_max: PAGE_BYTES_MAX, ..PageSearch::default() };
        if let Some(x) = query.get_child("x", ns::DATA) {
            self.read_form(x, &mut search)?;
        }
        if search.sender.as_ref().is_some_and(names_somebody) && !self.may_know_senders(ask) {
            return Err(Refusal::Forbidden("You may not know who said what in this room; ask by nick."));
        }
        read_page(query, &mut search)?;
        let purpose = Purpose::Page {
            query_id: query.attr("queryid").map(str::to_owned),
            is_flipped: query.has_child("flip-page", ns::MAM),
        };
        turn.out.lookup = Some(Lookup { room: self.id, search: Search::Page(Box::new(search)), purpose });
        Ok(())
    }

    /// Asks for the first and the last message (§5 metadata).
    pub(in super::super) fn ask_for_ends(&self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_read(ask)?;
        turn.out.lookup = Some(Lookup { room: self.id, search: Search::Ends, purpose: Purpose::Ends });
        Ok(())
    }

    fn read_form(&self, x: &Element, search: &mut PageSearch) -> Result<(), Refusal> {
        let form = Submitted::read(x).filter(|form| form.type_ == FormType::Submit);
        let form = form.ok_or(Refusal::Malformed("The form is not a submitted one."))?;
        if form.form_type() != Some(ns::MAM) {
            return Err(Refusal::Malformed("The form is not of type urn:xmpp:mam:2."));
        }
        for (var, values) in form.fields() {
            let value = values.first().map(|value| value.trim()).filter(|value| !value.is_empty());
            match (var, value) {
                ("ids", _) => {
                    search.ids = values.iter().filter(|id| !id.is_empty()).cloned().collect();
                    if search.ids.len() > IDS_MAX {
                        return Err(Refusal::TooMuch("A query may name 100 ids at most."));
                    }
                }
                ("FORM_TYPE", _)
                | ("with" | "start" | "end" | "before-id" | "after-id" | FULLTEXT_FIELD | WITHTEXT_FIELD, None) => {}
                ("with", Some(jid)) => search.sender = self.sender_of(jid)?,
                ("start", Some(time)) => search.from = Some(read_time(time)?),
                ("end", Some(time)) => search.until = Some(read_time(time)?),
                ("before-id", Some(id)) => search.before.push(id.to_owned()),
                ("after-id", Some(id)) => search.after.push(id.to_owned()),
                (FULLTEXT_FIELD | WITHTEXT_FIELD, Some(text)) => {
                    search.words = text.split_whitespace().take(WORDS_MAX).map(str::to_lowercase).collect();
                }
                (other, _) => return Err(Refusal::NotOffered(format!("Queries have no field {other:?} here."))),
            }
        }
        Ok(())
    }

    /// Whom `with` means: a user, a session, somebody of that nick; the room itself says everything.
    fn sender_of(&self, jid: &str) -> Result<Option<Sender>, Refusal> {
        let jid = Jid::parse(jid).map_err(|_| Refusal::Malformed("The field with takes a JID."))?;
        if jid.is_same_bare(self.jid.as_jid()) {
            let nick = jid.resource().map(Nick::parse).transpose();
            let nick = nick.map_err(|_| Refusal::Malformed("The field with names a nick that cannot be one."))?;
            return Ok(nick.map(Sender::Nick));
        }
        Ok(Some(if jid.resource().is_some() { Sender::Session(jid) } else { Sender::User(jid.to_bare()) }))
    }
}

/// Whether it tells a real JID to find something of it.
fn names_somebody(sender: &Sender) -> bool {
    match sender {
        Sender::User(_) | Sender::Session(_) => true,
        Sender::Nick(_) => false,
    }
}

fn read_time(text: &str) -> Result<Utc, Refusal> {
    text.parse().map_err(|()| Refusal::Malformed("The fields start and end take times as XEP-0082 has them."))
}

fn read_page(query: &Element, search: &mut PageSearch) -> Result<(), Refusal> {
    let Some(page) = PageRequest::read(query) else { return Ok(()) };
    if page.index.is_some() {
        return Err(Refusal::NotOffered("Pages are found by id, not by number.".to_owned()));
    }
    search.max = page.max.map_or(PAGE_DEFAULT, |max| max.min(PAGE_MAX));
    search.is_last_page = page.before.is_some() && page.after.is_none();
    search.after.extend(page.after.filter(|id| !id.is_empty()));
    search.before.extend(page.before.filter(|id| !id.is_empty()));
    Ok(())
}
