//! Channel search (XEP-0433 v0.1): the form, a search read with every way it can be wrong, and what was found.

use minidom::Element;

use super::{FoundRoom, RoomSearch};
use crate::muc::Whois;
use crate::ns;
use crate::protocol::form::{Form, FormType, Submitted, boolean};
use crate::protocol::paging::PageRequest;
use crate::stanza::element::{Build, el};
use crate::stanza::{Condition, ErrorType, StanzaError};

const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";
const BY_OCCUPANTS: &str = "{urn:xmpp:channel-search:0:order}nusers";
const MUC_ROOMS: &str = "xep-0045";

/// What was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The form.
    Form,
    /// Rooms.
    Rooms {
        /// Which; `None` where none of ours can be meant.
        search: Option<RoomSearch>,
        /// Whether the fullest come first, else in the order of addresses.
        is_by_occupants: bool,
        /// Which part of them.
        page: PageRequest,
    },
}

/// Reads a `<search/>`.
/// # Errors
/// Those of §4.2.2, each with its own condition inside.
pub fn read(element: &Element) -> Result<Asked, StanzaError> {
    let Some(x) = element.get_child("x", ns::DATA) else { return Ok(Asked::Form) };
    let form = Submitted::read(x).filter(|form| form.type_ == FormType::Submit);
    let form = form.filter(|form| form.form_type() == Some(ns::CHANNEL_SEARCH_PARAMS));
    let form = form.ok_or_else(|| StanzaError::new(Condition::BadRequest, "This is not a form for searches."))?;
    let switch = |var: &str, default| form.first(var).and_then(boolean).unwrap_or(default);
    let (words, is_all) = (form.first("q").filter(|_| form.first("q") != Some("")), switch("all", false));
    let is_by_occupants = match form.first("key") {
        None | Some("" | BY_ADDRESS) => false,
        Some(BY_OCCUPANTS) => true,
        Some(_) => {
            let why = StanzaError::new(Condition::FeatureNotImplemented, "Rooms are not sorted by that here.");
            return Err(why.with_type(ErrorType::Modify).with_detail(detail("invalid-sort-key")));
        }
    };
    let mut search = RoomSearch::default();
    match (words, is_all) {
        (Some(_), true) => {
            let why = StanzaError::new(Condition::BadRequest, "Either everything is wanted, or what has these words.");
            let fields = detail("conflicting-fields").with_text_child("var", "all").with_text_child("var", "q");
            return Err(why.with_detail(fields));
        }
        (None, false) => {
            let why = StanzaError::new(Condition::BadRequest, "Nothing is said that could be searched for.");
            return Err(why.with_type(ErrorType::Cancel).with_detail(detail("no-search-conditions")));
        }
        (Some(words), false) => {
            // The form of the XEP calls it sinaddr, its table sinaddress.
            let is_in_address = switch("sinaddress", switch("sinaddr", true));
            search.look_for(words, is_in_address, switch("sinname", true), switch("sindescription", true));
            if search.words.is_empty() {
                let why = StanzaError::new(Condition::BadRequest, "A search takes one word at least.");
                return Err(why.with_detail(detail("invalid-search-terms")));
            }
        }
        (None, true) => {}
    }
    let is_ours = form.values("types").is_none_or(|types| types.iter().any(|type_| type_ == MUC_ROOMS));
    let page = PageRequest::read(element).unwrap_or_default();
    Ok(Asked::Rooms { search: is_ours.then_some(search), is_by_occupants, page })
}

/// The form, with what holds where a field is left out.
pub fn form() -> Element {
    let form = Form::new(FormType::Form, ns::CHANNEL_SEARCH_PARAMS)
        .field("text-single", "q", "Search for", &[])
        .boolean("all", "All rooms", false)
        .boolean("sinname", "Search in names", true)
        .boolean("sindescription", "Search in descriptions", true)
        .boolean("sinaddress", "Search in addresses", true)
        .list("list-multi", "types", "Kinds of rooms", &[(MUC_ROOMS, "Multi-user chat")], &[MUC_ROOMS])
        .list(
            "list-single",
            "key",
            "Sorted by",
            &[(BY_ADDRESS, "Address"), (BY_OCCUPANTS, "Number of occupants")],
            &[BY_ADDRESS],
        );
    el("search", ns::CHANNEL_SEARCH).with_child(form.into_element())
}

/// What was found, and which part of it this is.
pub fn result(rooms: &[FoundRoom], set: Element) -> Element {
    let items = rooms.iter().map(|room| {
        let config = &room.config;
        let mut item = el("item", ns::CHANNEL_SEARCH)
            .with_attr("address", room.jid.as_str())
            .with_text_child("name", room.name())
            .with_text_child("nusers", &room.occupants.to_string())
            .with_text_child("service-type", MUC_ROOMS);
        if !config.description.is_empty() {
            item = item.with_text_child("description", &config.description);
        }
        if !config.lang.is_empty() {
            item = item.with_text_child("language", &config.lang);
        }
        if !config.is_members_only && config.password.is_none() {
            item.append_child(el("is-open", ns::CHANNEL_SEARCH));
        }
        item.with_text_child(
            "anonymity-mode",
            match config.whois {
                Whois::Anyone => "{urn:xmpp:channel-search:0:anonymity}none",
                Whois::Moderators => "muc_semianonymous",
            },
        )
    });
    items.fold(el("result", ns::CHANNEL_SEARCH), Build::with_child).with_child(set)
}

/// That too many search just now.
pub fn busy() -> StanzaError {
    let why = StanzaError::new(Condition::ResourceConstraint, "Too many search just now; please try again soon.");
    why.with_detail(detail("rate-limit").with_attr("retry-after", "5"))
}

fn detail(name: &str) -> Element {
    el(name, ns::CHANNEL_SEARCH_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::RoomConfig;
    use crate::name::BareJid;
    use crate::stanza::element::parse;

    fn asked(fields: &[(&str, &str)]) -> Result<Asked, String> {
        let fields: String =
            fields.iter().map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>")).collect();
        let xml = format!(
            "<search xmlns='urn:xmpp:channel-search:0:search'><set xmlns='http://jabber.org/protocol/rsm'><max>5</max></set>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:channel-search:0:search-params</value></field>{fields}</x></search>"
        );
        read(&parse(&xml).expect("an element")).map_err(|why| {
            let detail = why.detail.as_ref().map(|detail| detail.name().to_owned()).unwrap_or_default();
            format!("{} {} {detail}", why.type_.as_str(), why.condition.as_str())
        })
    }

    #[test]
    fn the_errors_are_those_of_the_xep() {
        let errors = [
            (vec![("q", "x"), ("key", "{urn:x}age")], "modify feature-not-implemented invalid-sort-key"),
            (vec![("q", "  \t")], "modify bad-request invalid-search-terms"),
            (vec![("q", "x"), ("all", "true")], "modify bad-request conflicting-fields"),
            (vec![("sinname", "1")], "cancel bad-request no-search-conditions"),
        ];
        for (fields, error) in errors {
            assert_eq!(asked(&fields), Err(error.to_owned()));
        }
        assert_eq!(read(&el("search", ns::CHANNEL_SEARCH)), Ok(Asked::Form));
        let busy = busy();
        assert_eq!((busy.type_, busy.condition), (ErrorType::Wait, Condition::ResourceConstraint));
    }

    #[test]
    fn a_search_is_read_with_its_page() {
        let Ok(Asked::Rooms { search: Some(search), is_by_occupants, page }) =
            asked(&[("q", "Tea Time"), ("sinaddr", "0"), ("key", BY_OCCUPANTS), ("unknown", "x")])
        else {
            panic!("a search")
        };
        assert!(is_by_occupants && page.max == Some(5) && search.words.len() == 2);
        assert!(search.words.iter().all(|word| !word.is_in_address && word.is_in_name && word.is_in_description));
        let mix = asked(&[("all", "1"), ("types", "xep-0369")]).expect("a search");
        assert!(matches!(mix, Asked::Rooms { search: None, is_by_occupants: false, .. }));
    }

    #[test]
    fn what_was_found_tells_no_secret() {
        let config = RoomConfig { title: "Tea".into(), password: Some("sesame".into()), ..RoomConfig::default() };
        let found = FoundRoom { jid: BareJid::parse("tea@muc").expect("a JID"), config, occupants: 3 };
        let told = result(&[found], el("set", ns::RSM));
        let item = told.children().next().expect("an item");
        assert!(!item.has_child("is-open", ns::CHANNEL_SEARCH));
        let text = String::from(&told);
        assert!(text.contains(">3<") && !text.contains("sesame") && !text.contains("language"), "{text}");
    }
}
