//! Searching the service's public rooms: channel search (XEP-0433) and Jabber search (XEP-0055), page by page
//! (XEP-0059). A page goes through so many rooms at most, and two searches of a domain run at once.

use minidom::Element;
use tandem_muc_core::ns;
use tandem_muc_core::protocol::paging::PageRequest;
use tandem_muc_core::room::find::{FoundRoom, RoomSearch, channel, jabber};
use tandem_muc_core::stanza::element::{Build, el};
use tandem_muc_core::stanza::{Condition, Inbound, Kind, Outbound, StanzaError, Type};

use super::lobby::Lobby;
use crate::journal::please_wait;

/// Rooms of one page, with descriptions of some length still under what servers let through.
const ROOMS_PER_PAGE: usize = 50;

/// Whether something is looked for, and not only the form asked for.
pub(super) fn is_search(inbound: &Inbound) -> bool {
    let stanza = &inbound.stanza;
    stanza.kind == Kind::Iq
        && match stanza.type_ {
            Type::Get => stanza.child("search", ns::CHANNEL_SEARCH).is_some(),
            Type::Set => stanza.child("query", ns::SEARCH).is_some(),
            _ => false,
        }
}

impl Lobby {
    /// Answers a search.
    pub(super) async fn search(&self, inbound: &Inbound) -> Option<Outbound> {
        let answer = match inbound.stanza.child("search", ns::CHANNEL_SEARCH) {
            Some(asked) => self.search_channels(asked).await,
            None => self.search_rooms(inbound.stanza.child("query", ns::SEARCH)?).await,
        };
        match answer {
            Ok(answer) => Some(inbound.result(Some(answer))),
            Err(why) => inbound.error(&why),
        }
    }

    async fn search_channels(&self, asked: &Element) -> Result<Element, StanzaError> {
        match channel::read(asked)? {
            channel::Asked::Form => Ok(channel::form()),
            channel::Asked::Rooms { search: None, .. } => Ok(channel::result(&[], el("set", ns::RSM))),
            channel::Asked::Rooms { search: Some(search), is_by_occupants, page } => {
                let (rooms, set) = self.page(&search, is_by_occupants, &page).await?;
                Ok(channel::result(&rooms, set))
            }
        }
    }

    async fn search_rooms(&self, query: &Element) -> Result<Element, StanzaError> {
        let page = PageRequest::read(query).unwrap_or_default();
        let (rooms, set) = self.page(&jabber::read(query)?, false, &page).await?;
        Ok(jabber::result(&rooms, set))
    }

    /// The rooms of a page, and which page it is.
    async fn page(
        &self,
        search: &RoomSearch,
        is_by_occupants: bool,
        page: &PageRequest,
    ) -> Result<(Vec<FoundRoom>, Element), StanzaError> {
        if page.before.is_some() || page.index.is_some() {
            let what = "What is found is read from its beginning on, page after page.";
            return Err(StanzaError::new(Condition::FeatureNotImplemented, what));
        }
        let max = page.max.unwrap_or(ROOMS_PER_PAGE).min(ROOMS_PER_PAGE);
        let after = page.after.as_deref().filter(|_| !is_by_occupants);
        let wanted = if is_by_occupants { usize::MAX } else { max };
        let found = self.store().search_rooms(self.domain(), search, after, wanted).await;
        let mut rooms = found.map_err(|why| {
            tracing::warn!(%why, "store: no search; who asked is told to wait");
            please_wait()
        })?;
        if !is_by_occupants {
            let set = ends(&rooms, None);
            return Ok((rooms, set));
        }
        rooms.sort_by(|one, other| other.occupants.cmp(&one.occupants).then_with(|| one.jid.cmp(&other.jid)));
        let position = |id: &str| rooms.iter().position(|room| room.jid.as_str() == id);
        let cut = page.cut(rooms.len(), max, position);
        let cut = cut.map_err(|_| StanzaError::new(Condition::ItemNotFound, "There is no such room to go on from."))?;
        let shown = rooms[cut.from..cut.to].to_vec();
        let set = ends(&shown, Some(cut.count));
        Ok((shown, set))
    }
}

fn ends(rooms: &[FoundRoom], count: Option<usize>) -> Element {
    let mut set = el("set", ns::RSM);
    if let (Some(first), Some(last)) = (rooms.first(), rooms.last()) {
        set = set.with_text_child("first", first.jid.as_str()).with_text_child("last", last.jid.as_str());
    }
    match count {
        Some(count) => set.with_text_child("count", &count.to_string()),
        None => set,
    }
}
