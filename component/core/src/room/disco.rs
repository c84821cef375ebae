//! What the room tells about itself (XEP-0045 §6.4-§6.6): information, occupants, version; exactly as configured.

use minidom::Element;

use super::refusal::Refusal;
use super::{Room, Turn};
use crate::muc::{Affiliation, Whois, option};
use crate::ns;
use crate::protocol::disco::{Info, item};
use crate::protocol::form::{Form, FormType};
use crate::protocol::paging::PageRequest;
use crate::stanza::Inbound;
use crate::stanza::element::{Build, el};
use crate::time::Utc;

/// The most items of one answer; servers close the stream on a stanza that is too long.
const ITEMS_MAX: usize = 500;

impl Room {
    pub(super) fn tell_info(&self, ask: &Inbound, query: &Element, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let node = query.attr("node");
        let info = match node {
            Some(ns::X_ROOMUSER_ITEM) => self.reserved_nick_info(ask),
            // Nothing is taken out of what people send, so there is nothing to list (§17.1.1).
            Some(ns::MUC_TRAFFIC) => return Err(Refusal::Unknown),
            Some(node) if !self.is_no_node(node) => self.command_node_info(node).ok_or(Refusal::NoSuchNode)?,
            Some(_) | None => self.info(node, turn.now.utc),
        };
        turn.answer(ask.result(Some(info.into_element())));
        Ok(())
    }

    /// COMPAT(Cisco Jabber, 2026): it asks with `node` = the service domain and means none; remove with its support.
    fn is_no_node(&self, node: &str) -> bool {
        node.is_empty() || node == self.rules.domain.as_str()
    }

    /// The nick reserved for the one who asks (§6.6).
    fn reserved_nick_info(&self, ask: &Inbound) -> Info {
        let info = Info::new(Some(ns::X_ROOMUSER_ITEM));
        match self.registered_nick(&ask.stanza.from.to_bare()) {
            Some(nick) => info.identity("conference", "text", nick.as_str()),
            None => info,
        }
    }

    fn info(&self, node: Option<&str>, now: Utc) -> Info {
        let config = &self.config;
        let local = self.jid.local().unwrap_or_default();
        let title = if config.title.is_empty() { local } else { &config.title };
        let mut features = vec![
            ns::MUC,
            ns::MUC_STABLE_ID,
            ns::MUC_SELF_PING,
            ns::MUC_REGISTER,
            ns::MUC_ROOMCONFIG,
            ns::MUC_ROOMINFO,
            ns::DISCO_INFO,
            ns::DISCO_ITEMS,
            ns::RSM,
            ns::PING,
            ns::VERSION,
            ns::OCCUPANT_ID,
            ns::REGISTER,
            ns::SID,
            ns::MAV,
            ns::VCARD,
            ns::COMMANDS,
            ns::HATS,
        ];
        features.extend(option::ALL.iter().flat_map(|option| (option.features)(config)));
        features.extend([ns::MODERATE, ns::MODERATE_0]);
        if self.rules.identity.is_cisco {
            // COMPAT(Cisco Jabber, 2026): it takes a room without these for none it can use.
            features.extend([ns::SEARCH, ns::CISCO_HISTORY]);
            features.extend(config.is_persistent.then_some(ns::CISCO_PERSISTENT));
        }
        let info = Info::new(node).identity("conference", "text", title);
        features.into_iter().fold(info, Info::feature).extended(self.info_form(now))
    }

    fn info_form(&self, now: Utc) -> Element {
        let config = &self.config;
        let subject = self.subject.as_ref().and_then(|message| message.body.as_deref()).unwrap_or_default();
        let occupants = self.roster.len().to_string();
        let form = Form::new(FormType::Result, ns::MUC_ROOMINFO)
            .field("text-single", "muc#roominfo_subject", "Subject", &[subject])
            .field("text-single", "muc#roominfo_occupants", "Number of occupants", &[&occupants]);
        let bounds = self.rules.bounds();
        let mut form = option::ALL.iter().fold(form, |form, option| option.inform(form, config, &bounds));
        if config.whois == Whois::Anyone {
            let owners = self.affiliations.values().filter(|entry| entry.affiliation == Affiliation::Owner);
            let owners: Vec<&str> = owners.map(|entry| entry.who.as_str()).collect();
            form = form.field("jid-multi", "muc#roominfo_contactjid", "People to turn to", &owners);
        }
        if let Some(activity) = self.told_activity(now) {
            form = form.field("text-single", ns::MESSAGE_ACTIVITY, "Messages per hour", &[&activity]);
        }
        if let Some(url) = self.rules.identity.webchat_of(self.jid.local().unwrap_or_default()) {
            form = form.field("text-single", "muc#roominfo_webchat_url", "To be entered with a browser", &[&url]);
        }
        if !self.avatars.is_empty() {
            let hashes: Vec<&str> = self.avatars.iter().map(String::as_str).collect();
            form = form.field("text-multi", "muc#roominfo_avatarhash", "Hash of the room's picture", &hashes);
        }
        form.into_element()
    }

    /// Who is inside, for those inside and, where the room is open to all, for everyone (§6.5).
    pub(super) fn tell_items(&self, ask: &Inbound, query: &Element, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let node = query.attr("node");
        match node {
            Some(ns::COMMANDS) => {
                self.tell_commands(ask, turn);
                return Ok(());
            }
            Some(node) if !self.is_no_node(node) => return Err(Refusal::NoSuchNode),
            Some(_) | None => {}
        }
        let is_inside = self.roster.of(&ask.stanza.from).is_some();
        let is_open = self.config.is_public && !self.config.is_members_only && self.config.password.is_none();
        let occupants: Vec<&str> = if is_inside || is_open {
            let heard = self.roster.iter().filter(|occupant| self.config.broadcasts(occupant.role));
            heard.map(|occupant| occupant.jid.as_str()).collect()
        } else {
            Vec::new()
        };
        let asked = PageRequest::read(query);
        let position = |id: &str| occupants.iter().position(|jid| *jid == id);
        let page = asked.clone().unwrap_or_default().cut(occupants.len(), ITEMS_MAX, position);
        let page = page.map_err(|_| Refusal::NoSuchPage)?;
        let shown = &occupants[page.from..page.to];
        let mut answer = el("query", ns::DISCO_ITEMS).with_attr_opt("node", node);
        for jid in shown {
            answer.append_child(item(jid, jid.split_once('/').map(|(_, nick)| nick)));
        }
        if asked.is_some() || shown.len() < occupants.len() {
            answer.append_child(page.to_element(shown.first().copied(), shown.last().copied()));
        }
        turn.answer(ask.result(Some(answer)));
        Ok(())
    }

    /// Which program this is (XEP-0092).
    pub(super) fn tell_version(ask: &Inbound, turn: &mut Turn<'_>) {
        let query = el("query", ns::VERSION)
            .with_text_child("name", "Tandem MUC")
            .with_text_child("version", env!("CARGO_PKG_VERSION"));
        turn.answer(ask.result(Some(query)));
    }
}
