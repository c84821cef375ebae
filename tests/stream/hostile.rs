//! Everything a stranger may try to end a stream with.

use tandem_muc_core::ns;
use tandem_muc_core::stanza::element::{Build, el};

use super::*;

/// Each with whether it is heard as a stanza; what is not heard may be answered or ignored.
fn inputs() -> Vec<(&'static str, bool, String)> {
    let deep = format!("{}{}", "<x>".repeat(20_000), "</x>".repeat(20_000));
    let long = "x".repeat(20_000);
    let message = |inner: &str| {
        format!("<message from='a@b/1' to='hall@muc.example.org' type='groupchat' id='h'>{inner}</message>")
    };
    vec![
        ("emoji nick", true, "<presence from='a@b/1' to='hall@muc.example.org/🦀🎉'/>".to_owned()),
        ("emoji resource", true, "<presence from='a@b/🎈' to='hall@muc.example.org/a'/>".to_owned()),
        ("unknown type", true, "<presence type='foo' from='a@b/1' to='hall@muc.example.org/a'/>".to_owned()),
        (
            "unknown show",
            true,
            "<presence from='a@b/1' to='hall@muc.example.org/a'><show>online</show></presence>".to_owned(),
        ),
        (
            "bad priority",
            true,
            "<presence from='a@b/1' to='hall@muc.example.org/a'><priority>many</priority></presence>".to_owned(),
        ),
        ("20,000 nested elements", false, message(&deep)),
        ("attribute of 20 KB", false, message(&format!("<x xmlns='urn:x' a='{long}'/>"))),
        ("id of 20 KB", false, format!("<iq type='get' id='{long}' from='a@b/1' to='hall@muc.example.org'/>")),
        ("resource of 20 KB", false, format!("<presence from='a@b/1' to='hall@muc.example.org/{long}'/>")),
        ("too long", false, message(&format!("<body>{}</body>", "y".repeat(600_000)))),
        (
            "many attributes",
            false,
            message(&format!(
                "<x xmlns='urn:x' {}/>",
                (0..1000).map(|n| format!("a{n}=''")).collect::<Vec<_>>().join(" ")
            )),
        ),
        ("many elements", false, message(&"<x/>".repeat(20_000))),
        ("unbound prefix", true, message("<body>x</body><c:caps c:v='1'/>")),
        ("unbound prefix on an attribute", true, message("<body c:v='1'>x</body>")),
        ("bad date", true, message("<delay xmlns='urn:xmpp:delay' stamp='yesterday, 25:61'/>")),
        (
            "repeated children",
            true,
            message("<body>1</body><body>2</body><thread>1</thread><thread>2</thread><subject/><subject/>"),
        ),
        ("control characters", true, message("<body>a\u{1}\u{8}\u{1f}b</body>")),
        ("control characters by reference", true, message("<body>&#1;&#0;&#xFFFF;</body>")),
        ("unknown entity", true, message("<body>&nbsp;&lol9;</body>")),
        ("bare > in an attribute", true, message("<x xmlns='urn:x' a='1>0'/>")),
        ("section of raw text", true, message("<body><![CDATA[</message><stream:error>]]></body>")),
        ("no sender", false, "<message to='hall@muc.example.org'><body>x</body></message>".to_owned()),
        ("sender that is no JID", false, "<message from='@/' to='hall@muc.example.org'/>".to_owned()),
        ("addressee that is no JID", false, "<message from='a@b/1' to='ha ll@muc.example.org'/>".to_owned()),
        ("another domain", false, "<message from='a@b/1' to='hall@elsewhere.example.org'/>".to_owned()),
        ("no stanza", false, "<route xmlns='urn:x'/><handshake/><message xmlns='urn:x'/>".to_owned()),
        ("text between stanzas", false, " \n some text &amp; more ".to_owned()),
        (
            "error nobody asked for",
            true,
            "<iq type='error' id='zz' from='a@b/1' to='hall@muc.example.org'><error/></iq>".to_owned(),
        ),
        ("mark of a stranger", true, "<message from='a@b/1' to='muc.example.org/mark' id='7:99'/>".to_owned()),
        (
            "mark of another epoch",
            false,
            "<message from='muc.example.org' to='muc.example.org/mark' id='9:99'/>".to_owned(),
        ),
    ]
}

#[tokio::test]
async fn nothing_a_stranger_sends_ends_the_stream() {
    let (server, stream, mut inbound) = attached(pace()).await;
    for (what, is_heard, xml) in inputs() {
        server.inject(xml);
        server.inject("<message from='a@b/1' to='hall@muc.example.org' id='after'><body>still here</body></message>");
        let mut heard = 0;
        while soon(inbound.recv()).await.expect("the stream lives").inbound.stanza.id.as_deref() != Some("after") {
            heard += 1;
        }
        assert_eq!(heard, usize::from(is_heard), "{what}");
        assert_eq!(server.attached(), 1, "{what} ended the stream");
    }
    assert_eq!(stream.marked(), None);
    assert!(matches!(*stream.state().borrow(), StreamState::Attached { .. }));
}

#[tokio::test]
async fn who_says_too_much_is_told_so() {
    let (mut server, _stream, _inbound) = attached(pace()).await;
    server.inject(format!(
        "<iq type='set' id='big' from='a@b/1' to='hall@muc.example.org'>{}{}</iq>",
        "<x>".repeat(20_000),
        "</x>".repeat(20_000)
    ));
    let mut said = String::new();
    while !said.contains("</iq>") {
        said.push_str(&String::from_utf8_lossy(&soon(server.heard()).await));
    }
    assert!(said.starts_with("<iq from='hall@muc.example.org' id='big' type='error' to='a@b/1'><error "), "{said}");
    assert!(said.contains("<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"), "{said}");
}

#[tokio::test]
async fn an_answer_too_long_for_the_server_is_an_error_instead() {
    let (mut server, stream, _inbound) = attached(pace()).await;
    for (kind, type_, id) in [(Kind::Message, Type::Groupchat, "speech"), (Kind::Iq, Type::Result, "list")] {
        let mut list = Stanza::new(kind, type_, jid("hall@muc.example.org")).with_id(Some(id.to_owned()));
        for _ in 0..10 {
            list = list.with(el("reason", ns::MUC_ADMIN).with_text(&"long ".repeat(12_000)));
        }
        stream.say(vec![Outbound { stanza: list, to: Audience::One(jid("olga@example.org/1")) }], 1).await;
    }
    stream.say(vec![word("after")], 1).await;
    let mut said = String::new();
    while !said.contains("'after'") {
        said.push_str(&String::from_utf8_lossy(&soon(server.heard()).await));
    }
    assert!(
        said.starts_with("<iq from='hall@muc.example.org' id='list' type='error' to='olga@example.org/1'>"),
        "{said}"
    );
    assert!(said.contains("<resource-constraint ") && said.len() < 4_096, "{} bytes", said.len());
}
