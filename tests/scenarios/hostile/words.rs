//! What is thrown at a room: well-formed stanzas of all kinds, made of pieces the room knows, half knows and does not
//! know. Configuration forms have the fields of the room's own form, so that no option is left out.

use std::fmt::Write;

use super::dice::Dice;
use super::pieces::{fragments, note, text};
use crate::tree::escaped;

/// Nicks that are asked for.
pub(super) const NICKS: [&str; 10] =
    ["Olga", "Adam", "Mia", "Nils", "NILS", "Nora", "a/b", "\u{1f984}", "Queen", "Sven"];
const ROLES: [&str; 6] = ["none", "visitor", "visitor", "participant", "participant", "moderator"];
const AFFILIATIONS: [&str; 6] = ["none", "none", "outcast", "member", "admin", "owner"];
const JIDS: [&str; 8] = ["olga", "adam", "mia", "nils", "nils/1", "nora", "oskar", "sven"];
/// What hardly any field of a form takes.
const ABSURD: [&str; 7] = ["", "-1", "4294967296", "99999999999999999999", "perhaps", "\u{1f984}", "x@y@z/"];

/// A field of the room's configuration form, as the room itself writes it.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) var: String,
    pub(super) type_: String,
    /// Values to choose from, where there are any.
    pub(super) words: Vec<String>,
}

/// What a sender knows when it makes something up.
#[derive(Default)]
pub(super) struct Known {
    /// The fields of the configuration form.
    pub(super) offers: Vec<Offer>,
    /// Ids of messages that were heard.
    pub(super) ids: Vec<String>,
}

/// What somebody whose favourite nick is `nick` says next.
pub(super) fn stanza(dice: &mut Dice, nick: &str, known: &Known) -> String {
    let to = match dice.below(8) {
        0..=4 => "hall".to_owned(),
        5 if dice.one_in(4) => "hall/\u{2800}".to_owned(),
        _ => format!("hall/{}", dice.pick(&NICKS)),
    };
    match dice.below(10) {
        0..=3 => presence(dice, nick, &to),
        4..=5 => message(dice, &to, known),
        _ => iq(dice, &to, known),
    }
}

/// What comes back for a request that went to a client: an answer of its own, or what servers on the way make of it.
pub(super) fn answer(dice: &mut Dice, to: &str, id: &str, real: &str) -> String {
    let (to, id, real) = (escaped(to), escaped(id), escaped(real));
    let bare = real.split('/').next().unwrap_or_default();
    match dice.below(6) {
        0 => format!("<iq type='result' id='{id}' to='{to}'/>"),
        1 => format!("<iq type='result' id='{id}' to='{to}'>{}</iq>", fragments(dice)),
        2 => format!("<iq type='error' id='{id}' to='{to}'>{}</iq>", fragments(dice)),
        3 => format!(
            "<iq type='error' id='{id}' to='{to}'><query xmlns='urn:example:x' who='{real}'/>\
             <error type='cancel' by='{bare}'><service-unavailable/><text>{bare} is away.</text></error></iq>"
        ),
        4 => format!(
            "<iq type='error' id='{id}' to='{to}'><error type='modify' by='{real}'><gone>xmpp:{bare}</gone>\
             <moved xmlns='urn:example:x' to='{real}'/></error></iq>"
        ),
        _ => format!(
            "<iq type='error' id='{id}' to='{to}'><error type='cancel'><redirect>xmpp:{real}</redirect>\
             <text>See {real}.</text></error></iq>"
        ),
    }
}

fn presence(dice: &mut Dice, nick: &str, to: &str) -> String {
    if dice.one_in(5) {
        let type_ = dice.pick(&["unavailable", "unavailable", "probe", "error", "subscribe", "what"]);
        return format!("<presence id='p' type='{type_}' to='{to}'>{}</presence>", fragments(dice));
    }
    let nick = if dice.one_in(5) { dice.pick(&NICKS) } else { nick };
    let history = dice.pick(&[
        "<history maxstanzas='3' seconds='x'/>",
        "<history maxchars='-1' since='yesterday'/>",
        "<history maxstanzas='99999999999999999999' seconds='4294967295' maxchars='0'/>",
        "",
    ]);
    let muc = format!("<x xmlns='#muc'><password>sesame</password>{history}</x>");
    let muc = if dice.one_in(3) { "" } else { &muc };
    format!("<presence id='p' to='hall/{nick}'>{muc}{}</presence>", fragments(dice))
}

fn message(dice: &mut Dice, to: &str, known: &Known) -> String {
    if dice.one_in(6) {
        return format!("<message id='n' to='hall'>{}</message>", note(dice));
    }
    let type_ = dice.pick(&["groupchat", "groupchat", "groupchat", "chat", "normal", "headline", "error", "foo", ""]);
    let to = if type_ == "groupchat" && !dice.one_in(8) { "hall" } else { to };
    let type_ = if type_.is_empty() { String::new() } else { format!("type='{type_}'") };
    let word = match dice.below(8) {
        0..=4 => format!("<body>{}</body>", text(dice)),
        5 => format!("<subject>{}</subject>", text(dice)),
        6 => format!("<body>{}</body>", "long ".repeat(14)),
        _ => String::new(),
    };
    let retract = match known.ids.last() {
        Some(id) if dice.one_in(8) => format!("<retract xmlns='#retract' id='{}'/>", escaped(id)),
        Some(_) | None => String::new(),
    };
    let id = dice.below(4);
    format!("<message id='m{id}' {type_} to='{to}'>{word}{retract}{}</message>", fragments(dice))
}

fn iq(dice: &mut Dice, to: &str, known: &Known) -> String {
    let type_ = if dice.one_in(3) { dice.pick(&["get", "get", "result", "error", "what"]) } else { "set" };
    let to = if type_ == "set" && !dice.one_in(5) { "hall" } else { to };
    let query = match dice.below(20) {
        0..=5 => format!("<query xmlns='#admin'>{}</query>", item(dice)),
        6..=7 => format!("<query xmlns='#admin'>{}{}</query>", item(dice), item(dice)),
        8..=12 => format!("<query xmlns='#owner'>{}</query>", form(dice, known)),
        13 if dice.one_in(8) => {
            format!("<query xmlns='#owner'><destroy jid='attic'><reason>{}</reason></destroy></query>", text(dice))
        }
        13 => dice
            .pick(&["<query xmlns='#owner'/>", "<ping xmlns='#ping'/>", "<query xmlns='#info' node='x'/>"])
            .to_owned(),
        14 if !dice.one_in(3) => archive_query(dice, known),
        14 => "<query xmlns='#items'><set xmlns='#rsm'><max>1</max><before/></set></query>".into(),
        15 => moderate(dice, known),
        16 => register(dice),
        17 => "<query xmlns='#register'/>".into(),
        18 => dice
            .pick(&[
                "<vCard xmlns='#vcard'/>",
                "<query xmlns='#version'/>",
                "<pubsub xmlns='http://jabber.org/protocol/pubsub'/>",
            ])
            .to_owned(),
        _ => fragments(dice),
    };
    let more = if dice.one_in(12) { fragments(dice) } else { String::new() };
    format!("<iq id='0123456789abcdefq' type='{type_}' to='{to}'>{query}{more}</iq>")
}

fn moderate(dice: &mut Dice, known: &Known) -> String {
    let id = known.ids.last().map_or("m", String::as_str);
    let (id, reason) = (escaped(id), text(dice));
    if dice.one_in(3) {
        return format!(
            "<apply-to xmlns='#fasten' id='{id}'><moderate xmlns='#moderate0'><retract xmlns='#retract0'/><reason>{reason}</reason></moderate></apply-to>"
        );
    }
    format!("<moderate xmlns='#moderate' id='{id}'><retract xmlns='#retract'/><reason>{reason}</reason></moderate>")
}

fn register(dice: &mut Dice) -> String {
    if dice.one_in(4) {
        return "<query xmlns='#register'><remove/></query>".into();
    }
    let nick = dice.pick(&NICKS);
    format!(
        "<query xmlns='#register'><x xmlns='#data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>\
         <field var='muc#register_roomnick'><value>{nick}</value></field></x></query>"
    )
}

fn archive_query(dice: &mut Dice, known: &Known) -> String {
    if dice.one_in(6) {
        return dice.pick(&["<metadata xmlns='#mam'/>", "<query xmlns='#mam'/>"]).to_owned();
    }
    let heard = known.ids.first().map_or("x", String::as_str);
    let (name, values): (&str, &[&str]) = match dice.below(9) {
        0 => ("with", &["olga@example.org", "nils@example.org/1", "hall@conference.example.org/Nils", "@", ""]),
        1 => ("start", &["2026-01-01T12:00:03Z", "1", ""]),
        2 => ("end", &["2026-01-01T12:00:03Z", "9999-12-31T23:59:59Z"]),
        3 => ("before-id", &["x", "", heard]),
        4 => ("ids", &["x", heard]),
        5 => ("{urn:xmpp:fulltext:0}fulltext", &["hello", "  ", "no"]),
        6 => ("king", &["1"]),
        7 => ("after-id", &[heard]),
        _ => ("FORM_TYPE", &["urn:xmpp:mam:2"]),
    };
    let value = escaped(dice.pick(values));
    let form = format!(
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='{name}'><value>{value}</value></field></x>"
    );
    let set = dice.pick(&[
        "",
        "<set xmlns='#rsm'><max>2</max><before/></set>",
        "<set xmlns='#rsm'><max>x</max><after/></set>",
        "<set xmlns='#rsm'><max>0</max></set><flip-page/>",
        "<set xmlns='#rsm'><index>1</index></set>",
    ]);
    format!("<query xmlns='#mam' queryid='q'>{form}{set}</query>")
}

fn item(dice: &mut Dice) -> String {
    let jid = match dice.below(16) {
        0 => "@",
        1 => "elsewhere.net",
        2 => "example.org",
        _ => dice.pick(&JIDS),
    };
    let nick = dice.pick(&NICKS);
    let affiliation = if dice.one_in(20) { "king" } else { dice.pick(&AFFILIATIONS) };
    let role = if dice.one_in(20) { "king" } else { dice.pick(&ROLES) };
    let reason = if dice.one_in(2) { format!("<reason>{}</reason>", text(dice)) } else { String::new() };
    match dice.below(16) {
        0..=4 => format!("<item nick='{nick}' role='{role}'>{reason}</item>"),
        5 => format!("<item jid='{jid}' role='{role}'>{reason}</item>"),
        6..=11 => format!("<item jid='{jid}' affiliation='{affiliation}'>{reason}</item>"),
        12..=13 => format!("<item jid='{jid}' nick='{nick}' affiliation='{affiliation}'/>"),
        14 => format!("<item nick='{nick}' affiliation='{affiliation}'>{reason}</item>"),
        _ => format!("<item affiliation='{affiliation}'/>"),
    }
}

fn form(dice: &mut Dice, known: &Known) -> String {
    let type_ = if dice.one_in(12) { "cancel" } else { "submit" };
    let mut fields = String::new();
    for _ in 0..dice.below(4) {
        let offer = &known.offers[dice.index(known.offers.len())];
        let _ = write!(fields, "<field var='{}'>", offer.var);
        for value in values(dice, offer) {
            let _ = write!(fields, "<value>{}</value>", escaped(&value));
        }
        fields.push_str("</field>");
    }
    if dice.one_in(12) {
        fields.push_str("<field var='muc#roomconfig_king'><value>1</value></field><field/>");
    }
    format!("<x xmlns='#data' type='{type_}'>{fields}</x>")
}

fn values(dice: &mut Dice, offer: &Offer) -> Vec<String> {
    if dice.one_in(16) {
        return vec![dice.pick(&ABSURD).to_owned()];
    }
    let one = |text: &str| vec![text.to_owned()];
    match (offer.var.as_str(), offer.type_.as_str()) {
        // Mostly as it matters here: who sees what, and somebody who may come in.
        ("muc#roomconfig_whois", _) => one(dice.pick(&["moderators", "moderators", "anyone"])),
        ("muc#roomconfig_membersonly", _) => one(dice.pick(&["0", "0", "1"])),
        ("muc#roomconfig_roomsecret", _) => one(dice.pick(&["sesame", "sesame", ""])),
        (_, "boolean") => one(dice.pick(&["0", "1", "true", "false"])),
        (_, "list-single") => one(&offer.words[dice.index(offer.words.len())]),
        (_, "list-multi") => offer.words.iter().filter(|_| dice.one_in(2)).cloned().collect(),
        (_, "jid-multi" | "jid-single") => (0..dice.below(3)).map(|_| crate::cast::expand(dice.pick(&JIDS))).collect(),
        (_, "text-single" | "text-multi" | "text-private") if dice.one_in(2) => one(text(dice)),
        (_, _) => one(dice.pick(&["0", "1", "3", "8", "9", "none"])),
    }
}
