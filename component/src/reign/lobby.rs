//! What the service itself answers: discovery of the service and its public rooms (XEP-0030, XEP-0045 §6.2-§6.3),
//! names for new rooms (XEP-0307), ping (XEP-0199), version (XEP-0092), its vCard (XEP-0054). Everything about one room is that room's own.

use std::sync::Arc;

use minidom::Element;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::ns;
use tandem_muc_core::protocol::disco::{self, Info};
use tandem_muc_core::protocol::paging::{Page, PageRequest};
use tandem_muc_core::protocol::vcard::Vcard;
use tandem_muc_core::room::ServiceRules;
use tandem_muc_core::room::find::{channel, jabber};
use tandem_muc_core::stanza::element::{Build, el};
use tandem_muc_core::stanza::{Condition, Inbound, Kind, Outbound, StanzaError, Type};
use tokio::sync::Semaphore;

use super::activity::Activity;
use super::search::is_search;
use crate::journal::{Entry, Journal, please_wait};
use crate::store::{self, RoomPage, SqlStore};
use crate::stream::Ticket;

/// The most rooms in one answer: with names as long as they may be, still under what servers let through.
const ROOMS_PER_PAGE: u32 = 100;
/// Room lists asked for at once; more wait, for a list costs the database more than anything a room does.
const LISTS_AT_ONCE: usize = 2;

/// Room lists that may wait; beyond it who asks is told to try again.
const LISTS_WAITING_MAX: usize = 64;

/// The service's own voice.
#[derive(Clone, Debug)]
pub(super) struct Lobby {
    rules: Arc<ServiceRules>,
    store: SqlStore,
    journal: Journal,
    activity: Activity,
    lists: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Lobby {
    pub(super) fn new(rules: Arc<ServiceRules>, store: SqlStore, journal: Journal, activity: Activity) -> Lobby {
        let (lists, waiting) = (Semaphore::new(LISTS_AT_ONCE), Semaphore::new(LISTS_WAITING_MAX));
        Lobby { rules, store, journal, activity, lists: Arc::new(lists), waiting: Arc::new(waiting) }
    }

    pub(super) fn store(&self) -> &SqlStore {
        &self.store
    }

    pub(super) fn domain(&self) -> &str {
        self.rules.domain.as_str()
    }

    /// Takes new rules over.
    pub(super) fn obey(&mut self, rules: Arc<ServiceRules>) {
        self.rules = rules;
    }

    /// Answers a stanza to the service's own JID; a list of rooms is fetched beside what comes next.
    pub(super) async fn answer(&self, inbound: &Inbound, ticket: Option<Ticket>) {
        let Err(ticket) = self.activity.hear(inbound, ticket) else { return };
        let is_search = is_search(inbound);
        if !is_search && !is_items_request(inbound) {
            return self.say(self.at_once(inbound), ticket).await;
        }
        let Ok(place) = self.waiting.clone().try_acquire_owned() else {
            if is_search {
                return self.say(inbound.error(&channel::busy()), ticket).await;
            }
            let busy = no(Condition::ResourceConstraint, "Too many ask for the list of rooms; please try again soon.");
            return self.say(inbound.error(&busy), ticket).await;
        };
        let (lobby, inbound) = (self.clone(), inbound.clone());
        tokio::spawn(async move {
            let permit = lobby.lists.acquire().await;
            let answer = if is_search { lobby.search(&inbound).await } else { lobby.items(&inbound).await };
            drop(permit);
            lobby.say(answer, ticket).await;
            drop(place);
        });
    }

    /// Waits until no list is being fetched any more and who listens is noted.
    pub(super) async fn finish(&self) {
        let all = u32::try_from(LISTS_WAITING_MAX).unwrap_or(u32::MAX);
        let _ = self.waiting.acquire_many(all).await;
        self.activity.finish().await;
    }

    async fn say(&self, word: Option<Outbound>, ticket: Option<Ticket>) {
        if word.is_some() || ticket.is_some() {
            self.journal.submit(Entry::Lobby { word, ticket }).await;
        }
    }

    fn at_once(&self, inbound: &Inbound) -> Option<Outbound> {
        let stanza = &inbound.stanza;
        let is_get = stanza.kind == Kind::Iq && stanza.type_ == Type::Get;
        if stanza.kind == Kind::Presence {
            return None;
        }
        if !is_get && stanza.child("vCard", ns::VCARD).is_some() {
            return inbound.error(&no(Condition::Forbidden, "The vCard of the service is its operator's to set."));
        }
        if !is_get {
            return inbound
                .error(&no(Condition::ServiceUnavailable, "The service itself takes no such thing; rooms do."));
        }
        if let Some(query) = stanza.child("query", ns::DISCO_INFO) {
            return match node_of(query, &self.rules) {
                Node::None(echoed) => Some(inbound.result(Some(self.info(echoed)))),
                Node::Unknown => inbound.error(&no(Condition::ItemNotFound, "There is no such node here.")),
            };
        }
        if stanza.child("ping", ns::PING).is_some() {
            return Some(inbound.result(None));
        }
        if stanza.child("query", ns::VERSION).is_some() {
            let version = el("query", ns::VERSION)
                .with_text_child("name", "Tandem MUC")
                .with_text_child("version", env!("CARGO_PKG_VERSION"));
            return Some(inbound.result(Some(version)));
        }
        if stanza.child("query", ns::SEARCH).is_some() {
            return Some(inbound.result(Some(jabber::form())));
        }
        if stanza.child("unique", ns::MUC_UNIQUE).is_some() {
            let name = uuid::Uuid::new_v4().to_string();
            return Some(inbound.result(Some(el("unique", ns::MUC_UNIQUE).with_text(&name))));
        }
        if stanza.child("vCard", ns::VCARD).is_some() {
            return Some(inbound.result(Some(Vcard::element_of(self.rules.identity.vcard_xml.as_deref()))));
        }
        inbound.error(&no(Condition::ServiceUnavailable, "The service does not know this request."))
    }

    fn info(&self, echoed: Option<&str>) -> Element {
        let identity = &self.rules.identity;
        let of_cisco = if identity.is_cisco { &[ns::CISCO_HISTORY, ns::CISCO_PERSISTENT][..] } else { &[] };
        let info = [
            ns::CHANNEL_SEARCH,
            ns::DISCO_INFO,
            ns::DISCO_ITEMS,
            ns::MUC,
            ns::MUC_UNIQUE,
            ns::OCCUPANT_ID,
            ns::PING,
            ns::RAI,
            ns::RSM,
            ns::SEARCH,
            ns::VCARD,
            ns::VERSION,
        ]
        .iter()
        .chain(of_cisco)
        .fold(Info::new(echoed).identity("conference", "text", &identity.name), |info, feature| info.feature(feature));
        identity.contact_form().into_iter().fold(info, Info::extended).into_element()
    }

    async fn items(&self, inbound: &Inbound) -> Option<Outbound> {
        let query = inbound.stanza.child("query", ns::DISCO_ITEMS)?;
        let Node::None(echoed) = node_of(query, &self.rules) else {
            return inbound.error(&no(Condition::ItemNotFound, "There is no such node here."));
        };
        let asked = PageRequest::read(query);
        let is_paged = asked.is_some();
        let asked = asked.unwrap_or_default();
        if asked.index.is_some() {
            return inbound.error(&no(Condition::FeatureNotImplemented, "Pages are found by room, not by number."));
        }
        let max = asked.max.and_then(|max| u32::try_from(max).ok()).unwrap_or(ROOMS_PER_PAGE).min(ROOMS_PER_PAGE);
        match self.store.public_rooms(self.rules.domain.as_str(), wanted(&asked), max).await {
            Ok(found) => Some(inbound.result(Some(list(&found, echoed, is_paged)))),
            Err(why) => {
                tracing::warn!(%why, "store: no list of rooms; who asked is told to wait");
                inbound.error(&please_wait())
            }
        }
    }
}

fn wanted(asked: &PageRequest) -> store::Page<'_> {
    match (asked.after.as_deref(), asked.before.as_deref()) {
        (Some(after), _) => store::Page::After(after),
        (None, Some("")) => store::Page::Last,
        (None, Some(before)) => store::Page::Before(before),
        (None, None) => store::Page::First,
    }
}

/// The rooms of one page; whoever did not ask for pages learns only where there is more than one.
fn list(found: &RoomPage, echoed: Option<&str>, is_paged: bool) -> Element {
    let mut answer = el("query", ns::DISCO_ITEMS).with_attr_opt("node", echoed);
    for (jid, title) in &found.rooms {
        answer.append_child(disco::item(jid.as_str(), Some(title.as_str()).filter(|title| !title.is_empty())));
    }
    let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let (from, count) = (place(found.first_index.unwrap_or(0)), place(found.total));
    if is_paged || found.rooms.len() < count {
        let page = Page { from, to: from + found.rooms.len(), count };
        let end = |room: Option<&(BareJid, String)>| room.map(|(jid, _)| jid.as_str().to_owned());
        let (first, last) = (end(found.rooms.first()), end(found.rooms.last()));
        answer.append_child(page.to_element(first.as_deref(), last.as_deref()));
    }
    answer
}

enum Node<'a> {
    /// None, or one that means none: COMPAT(Cisco Jabber, 2026) asks with the domain as node and wants it echoed.
    None(Option<&'a str>),
    Unknown,
}

fn node_of<'a>(query: &'a Element, rules: &ServiceRules) -> Node<'a> {
    match query.attr("node") {
        None | Some("") => Node::None(None),
        Some(node) if node == rules.domain.as_str() => Node::None(Some(node)),
        Some(_) => Node::Unknown,
    }
}

fn is_items_request(inbound: &Inbound) -> bool {
    let stanza = &inbound.stanza;
    stanza.kind == Kind::Iq && stanza.type_ == Type::Get && stanza.child("query", ns::DISCO_ITEMS).is_some()
}

fn no(condition: Condition, text: &'static str) -> StanzaError {
    StanzaError::new(condition, text)
}
