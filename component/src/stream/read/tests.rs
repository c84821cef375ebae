//! What is heard of stanzas good and bad.

use super::super::framer::{Framer, Limits};
use super::*;

const DOMAIN: &str = "muc.example.org";

fn heard(xml: &str) -> Heard {
    let mut framer = Framer::new(Limits::default(), xml.as_bytes());
    let frame = framer.frame().expect("nothing forbidden").expect("a whole stanza");
    hear(frame, DOMAIN)
}

fn inbound(xml: &str) -> Inbound {
    match heard(xml) {
        Heard::Stanza(inbound) => *inbound,
        other => panic!("no stanza: {other:?}"),
    }
}

fn refusal(xml: &str) -> (Outbound, String) {
    match heard(xml) {
        Heard::Refuse(answer) => {
            let xml = answer.stanza.to_xml();
            (*answer, xml)
        }
        other => panic!("no refusal: {other:?}"),
    }
}

#[test]
fn the_envelope_is_decoded_and_prepared() {
    let inbound = inbound(
        "<message from='Olga@Example.org/&lt;1&gt;' to='HALL@muc.example.org/x&#x1F600;' type='groupchat' id='a&amp;b' xml:lang='de'/>",
    );
    assert_eq!(inbound.stanza.from.as_str(), "olga@example.org/<1>");
    assert_eq!(inbound.to.as_str(), "hall@muc.example.org/x😀");
    assert_eq!(inbound.stanza.type_, Type::Groupchat);
    assert_eq!(inbound.stanza.id.as_deref(), Some("a&b"));
    assert_eq!(inbound.stanza.lang.as_deref(), Some("de"));
}

#[test]
fn children_are_in_the_client_namespace_and_know_the_prefixes_of_the_root() {
    let inbound = inbound(
        "<message xmlns='jabber:component:accept' xmlns:p='urn:p' from='a@b' to='hall@muc.example.org'>no<body>hi</body><p:x/><y xmlns='urn:y'/></message>",
    );
    let seen: Vec<_> = inbound.stanza.payload.iter().map(|e| (e.name().to_owned(), e.ns())).collect();
    let expected = [("body", ns::CLIENT), ("x", "urn:p"), ("y", "urn:y")];
    assert_eq!(seen, expected.map(|(name, ns)| (name.to_owned(), ns.to_owned())));
}

#[test]
fn a_child_that_does_not_parse_is_left_out_alone() {
    let inbound = inbound(
        "<message from='a@b' to='hall@muc.example.org'><c:caps c:v='1'/><x a='&bad;'/><y>\u{1}</y><z></w><body>hi</body></message>",
    );
    assert_eq!(inbound.stanza.payload.len(), 1);
    assert_eq!(inbound.stanza.payload[0].name(), "body");
}

#[test]
fn strange_types_nicks_and_repeated_children_are_heard() {
    let inbound = inbound(
        "<presence type='foo' from='a@b/🦀' to='hall@muc.example.org/🎉'><show>online</show><show>x</show><thread/><thread/></presence>",
    );
    assert_eq!(inbound.stanza.type_, Type::Other("foo".into()));
    assert_eq!(inbound.stanza.payload.len(), 4);
}

#[test]
fn a_stanza_over_a_limit_is_answered_with_policy_violation() {
    let long = "x".repeat(20_000);
    let (answer, xml) =
        refusal(&format!("<iq type='get' id='q' from='a@b/1' to='hall@muc.example.org'><q a='{long}'/></iq>"));
    assert_eq!(answer.to.as_slice()[0].as_str(), "a@b/1");
    assert!(xml.starts_with("<iq from='hall@muc.example.org' id='q' type='error'>"), "{xml}");
    assert!(xml.contains("<policy-violation ") && xml.contains("an attribute is too long"), "{xml}");
}

#[test]
fn who_leaves_with_too_many_words_has_left() {
    let long = "x".repeat(600_000);
    let left = inbound(&format!(
        "<presence type='unavailable' from='a@b/1' to='hall@muc.example.org/a'><status>{long}</status></presence>"
    ));
    assert!(left.stanza.payload.is_empty());
}

#[test]
fn an_error_is_never_answered() {
    let xml = "<message type='error' from='a@b/1' to='hall@muc.example.org/\u{200e}'/>";
    assert!(matches!(heard(xml), Heard::Ignored(_)));
}

#[test]
fn a_bad_addressee_is_answered_by_the_nearest_good_one() {
    let (answer, xml) = refusal("<presence from='a@b/1' to='hall@muc.example.org/\u{200e}'/>");
    assert_eq!(answer.stanza.from.as_str(), "hall@muc.example.org");
    assert!(xml.contains("<jid-malformed "), "{xml}");
}

#[test]
fn what_cannot_be_answered_is_ignored() {
    for xml in [
        "<message to='hall@muc.example.org'/>",
        "<message from='a@b'/>",
        "<message from='@' to='hall@muc.example.org'/>",
        "<message from='a@b' to='hall@elsewhere.example.org'/>",
        "<message from='a@b' to='hall@muc.example.org' id='&nbsp;'/>",
        "<message xmlns='urn:x' from='a@b' to='hall@muc.example.org'/>",
        "<route from='a@b' to='hall@muc.example.org'/>",
    ] {
        assert!(matches!(heard(xml), Heard::Ignored(_)), "{xml}");
    }
}

#[test]
fn marks_are_told_from_messages() {
    let back = |xml| match heard(xml) {
        Heard::Mark(mark) => Some(mark),
        _ => None,
    };
    let mark = Some(Mark { epoch: 3, seq: 71 });
    assert_eq!(back("<message from='muc.example.org' to='muc.example.org/mark' id='3:71'/>"), mark);
    assert_eq!(back("<message type='error' from='muc.example.org/mark' to='muc.example.org' id='3:71'/>"), mark);
    assert_eq!(back("<message from='a@muc.example.org' to='muc.example.org/mark' id='3:71'/>"), None);
    assert_eq!(back("<message from='a@b' to='muc.example.org/mark' id='3:71'/>"), None);
    assert_eq!(back("<message from='muc.example.org' to='muc.example.org/mark' id='x'/>"), None);
}

#[test]
fn a_mark_reads_as_it_was_written() {
    let mark = Mark { epoch: 12, seq: i64::MAX };
    let mut out = Vec::new();
    mark.write_to(DOMAIN, &mut out);
    let xml = String::from_utf8(out).expect("text");
    assert!(matches!(heard(&xml), Heard::Mark(back) if back == mark));
}

#[test]
fn a_stream_error_says_condition_and_text() {
    let xml = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Twice.</text></stream:error>";
    let Heard::Error(condition) = heard(xml) else { panic!("no stream error") };
    assert_eq!(condition, StreamCondition { name: "conflict".into(), text: Some("Twice.".into()) });
}
