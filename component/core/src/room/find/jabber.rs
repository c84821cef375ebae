//! Jabber search (XEP-0055 v1.3) for rooms, by form alone: name, description, language.

use minidom::Element;

use super::{FoundRoom, RoomSearch};
use crate::ns;
use crate::protocol::form::{Form, FormType, Submitted};
use crate::stanza::element::{Build, el};
use crate::stanza::{Condition, StanzaError};

/// The form.
pub fn form() -> Element {
    const HOW: &str = "Fill in what to look for; all of it has to be there. Without anything, all rooms are found.";
    let form = Form::new(FormType::Form, ns::SEARCH)
        .titled("Rooms")
        .instructed(HOW)
        .field("text-single", "name", "Name or address", &[])
        .field("text-single", "description", "Description", &[])
        .field("text-single", "language", "Language", &[]);
    el("query", ns::SEARCH).with_text_child("instructions", HOW).with_child(form.into_element())
}

/// Reads what is looked for.
/// # Errors
/// `bad-request` where there is no form of this kind.
pub fn read(query: &Element) -> Result<RoomSearch, StanzaError> {
    let form = query.get_child("x", ns::DATA).and_then(Submitted::read);
    let form = form.filter(|form| form.type_ == FormType::Submit && form.form_type() == Some(ns::SEARCH));
    let form = form.ok_or_else(|| StanzaError::new(Condition::BadRequest, "Searches are made with the form."))?;
    let mut search = RoomSearch::default();
    search.look_for(form.first("name").unwrap_or_default(), true, true, false);
    search.look_for(form.first("description").unwrap_or_default(), false, false, true);
    let language = form.first("language").map(|lang| lang.trim().to_lowercase());
    search.language = language.filter(|lang| !lang.is_empty());
    Ok(search)
}

/// What was found, and which part of it this is.
pub fn result(rooms: &[FoundRoom], set: Element) -> Element {
    let columns = [
        ("jid", "jid-single", "Address"),
        ("name", "text-single", "Name"),
        ("description", "text-single", "Description"),
        ("language", "text-single", "Language"),
        ("occupants", "text-single", "Occupants"),
    ];
    let table = Form::new(FormType::Result, ns::SEARCH).reported(&columns);
    let table = rooms.iter().fold(table, |table, room| {
        table.row(&[
            ("jid", room.jid.as_str()),
            ("name", room.name()),
            ("description", &room.config.description),
            ("language", &room.config.lang),
            ("occupants", &room.occupants.to_string()),
        ])
    });
    el("query", ns::SEARCH).with_child(table.into_element()).with_child(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::RoomConfig;
    use crate::stanza::element::parse;

    #[test]
    fn each_field_looks_where_it_says() {
        let query = parse(
            "<query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>jabber:iq:search</value></field>\
             <field var='name'><value>Gard</value></field><field var='description'><value>tea</value></field><field var='language'><value>EN</value></field></x></query>",
        );
        let search = read(&query.expect("an element")).expect("a search");
        let config = |description: &str, lang: &str| RoomConfig {
            description: description.into(),
            lang: lang.into(),
            ..RoomConfig::default()
        };
        assert!(search.fits("garden", &config("Tea", "en")));
        assert!(!search.fits("garden", &config("Tea", "de")) && !search.fits("hall", &config("Tea garden", "en")));
        assert!(read(&el("query", ns::SEARCH)).is_err());
        assert_eq!(form().get_child("x", ns::DATA).map(|x| x.children().count()), Some(6));
    }
}
