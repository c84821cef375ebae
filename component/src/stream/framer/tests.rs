//! The framer by hand-written cases, and held against rxml on seeded mutations of real stanzas: where rxml reads a
//! stanza, both cut it at the same byte, and however the bytes are divided the frames are the same.

use rxml::{Event, Parse, Parser};

use super::*;

/// A frame that outlives the framer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Stanza { raw: Vec<u8>, children: Vec<Vec<u8>>, attributes: Vec<(Vec<u8>, Vec<u8>)> },
    Skipped { name: Vec<u8>, attributes: Vec<(Vec<u8>, Vec<u8>)>, excess: Excess },
    End,
    Malformed(Malformed),
}

fn attributes(raw: &Raw<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    raw.attributes().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn drain(framer: &mut Framer, seen: &mut Vec<Seen>) {
    loop {
        seen.push(match framer.frame() {
            Ok(None) => return,
            Ok(Some(Frame::Stanza(raw))) => Seen::Stanza {
                raw: raw.bytes().to_vec(),
                children: raw.children().map(<[u8]>::to_vec).collect(),
                attributes: attributes(&raw),
            },
            Ok(Some(Frame::Skipped(raw, excess))) => {
                Seen::Skipped { name: raw.name().to_vec(), attributes: attributes(&raw), excess }
            }
            Ok(Some(Frame::End)) => {
                seen.push(Seen::End);
                return;
            }
            Err(malformed) => {
                seen.push(Seen::Malformed(malformed));
                return;
            }
        });
    }
}

fn cut(limits: Limits, chunks: &[&[u8]]) -> Vec<Seen> {
    let mut framer = Framer::new(limits, b"");
    let mut seen = Vec::new();
    for chunk in chunks {
        framer.space().extend_from_slice(chunk);
        drain(&mut framer, &mut seen);
        if matches!(seen.last(), Some(Seen::End | Seen::Malformed(_))) {
            break;
        }
    }
    seen
}

fn cut_whole(text: &str) -> Vec<Seen> {
    cut(Limits::default(), &[text.as_bytes()])
}

fn small() -> Limits {
    Limits { stanza_bytes: 120, depth: 4, elements: 6, attribute_bytes: 20, attributes: 3 }
}

fn only_excess(text: &str) -> Excess {
    let seen = cut(small(), &[text.as_bytes(), b"<next/>"]);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(matches!(&seen[1], Seen::Stanza { raw, .. } if raw == b"<next/>"));
    match &seen[0] {
        Seen::Skipped { excess, .. } => *excess,
        other => panic!("not skipped: {other:?}"),
    }
}

#[test]
fn stanzas_children_and_attributes_are_cut_as_written() {
    let seen =
        cut_whole(" \n<message to='a@b' id=\"x'y\"><body>1 > 0</body> text <x a='>'/><![CDATA[<no>]]></message> <iq/>");
    let Seen::Stanza { children, attributes, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!(children, &[b"<body>1 > 0</body>".to_vec(), b"<x a='>'/>".to_vec()]);
    assert_eq!(attributes, &[(b"to".to_vec(), b"a@b".to_vec()), (b"id".to_vec(), b"x'y".to_vec())]);
    assert!(matches!(&seen[1], Seen::Stanza { raw, .. } if raw == b"<iq/>"));
}

#[test]
fn the_end_of_the_stream_is_told_from_the_end_of_a_stanza() {
    assert_eq!(cut_whole("<a></a></stream:stream>")[1..], [Seen::End]);
}

#[test]
fn what_xmpp_forbids_ends_the_stream() {
    assert_eq!(cut_whole("<a><!-- c --></a>"), [Seen::Malformed(Malformed::Comment)]);
    assert_eq!(cut_whole("<?xml-model x?>"), [Seen::Malformed(Malformed::Instruction)]);
    assert_eq!(cut_whole("<!DOCTYPE a>"), [Seen::Malformed(Malformed::Declaration)]);
}

#[test]
fn each_limit_skips_its_stanza_and_nothing_else() {
    assert_eq!(only_excess(&format!("<m><b>{}</b></m>", "y".repeat(200))), Excess::Bytes);
    assert_eq!(only_excess("<m><a><a><a><a/></a></a></a></m>"), Excess::Depth);
    assert_eq!(only_excess("<m><a/><a/><a/><a/><a/><a/></m>"), Excess::Elements);
    assert_eq!(only_excess("<m><a b='123456789012345678901'/></m>"), Excess::AttributeBytes);
    assert_eq!(only_excess("<m><a b='' c='' d='' e=''/></m>"), Excess::Attributes);
}

#[test]
fn a_stanza_exactly_at_the_limits_is_kept() {
    let limits = small();
    let body = "y".repeat(limits.stanza_bytes - "<m a='12345678901234567890'><b/><b/><b/></m>".len());
    let text = format!("<m a='12345678901234567890'>{body}<b/><b/><b/></m>");
    assert_eq!(text.len(), limits.stanza_bytes);
    assert!(matches!(cut(limits, &[text.as_bytes()])[..], [Seen::Stanza { .. }]));
}

#[test]
fn twenty_thousand_nested_elements_keep_the_root_attributes_and_no_memory() {
    let text = format!("<message from='a@b' to='c@d'>{}{}</message><iq/>", "<x>".repeat(20_000), "</x>".repeat(20_000));
    let mut framer = Framer::new(Limits::default(), b"");
    let mut seen = Vec::new();
    for chunk in text.as_bytes().chunks(1000) {
        framer.space().extend_from_slice(chunk);
        drain(&mut framer, &mut seen);
        assert!(framer.buffer.len() <= 4000);
    }
    assert_eq!(
        seen[0],
        Seen::Skipped {
            name: b"message".to_vec(),
            attributes: vec![(b"from".to_vec(), b"a@b".to_vec()), (b"to".to_vec(), b"c@d".to_vec())],
            excess: Excess::Depth
        }
    );
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_start_tag_without_end_is_not_collected() {
    let mut framer = Framer::new(small(), b"<m to='a' x='");
    for _ in 0..1000 {
        framer.space().extend_from_slice(&[b'y'; 100]);
        assert_eq!(framer.frame(), Ok(None));
        assert!(framer.buffer.len() <= 300);
    }
    framer.space().extend_from_slice(b"'/>");
    let Ok(Some(Frame::Skipped(raw, Excess::Bytes))) = framer.frame() else { panic!("not skipped") };
    assert_eq!(raw.attributes().collect::<Vec<_>>(), [(&b"to"[..], &b"a"[..])]);
}

#[test]
fn endless_text_between_stanzas_is_not_collected() {
    let mut framer = Framer::new(small(), b"");
    for _ in 0..1000 {
        framer.space().extend_from_slice(&[b' '; 100]);
        assert_eq!(framer.frame(), Ok(None));
        assert!(framer.buffer.is_empty());
    }
}

/// A seeded generator (xorshift): the same mutations in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("below a usize")
    }
}

const CORPUS: &[&str] = &[
    "<message from='olga@example.org/1' to='hall@muc.example.org' type='groupchat' id='m1'><body>x &lt; y &amp; z</body><origin-id xmlns='urn:xmpp:sid:0' id='o1'/></message>",
    "<presence from='nils@example.org/é' to='hall@muc.example.org/Nils'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas=\"20\"/></x><c:c xmlns:c='caps' c:v='1'/></presence>",
    "<iq type='set' id='q1' from='a@b' to='c@d'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='f'><value>1</value><value/></field></x></query></iq>",
    "<message xmlns:p='urn:p' to='a' from='b'> text <p:a><p:b><![CDATA[ <raw> ]] ]]></p:b></p:a>tail<body xml:lang='de'>&#x1F600;</body></message>",
    "<presence/><iq/>\n<message></message>",
    "<message><a><b><c><d><e/></d></c></b></a></message>",
];

const PIECES: &[&str] = &[
    "<",
    ">",
    "/",
    "'",
    "\"",
    "=",
    " ",
    "&",
    ";",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?",
    "</message>",
    "</",
    "/>",
    "<a>",
    "</a>",
    "<b/>",
    " x='1'",
    "&amp;",
    "é",
    "\u{1}",
    "xmlns:",
    ":",
    "&#0;",
    "</stream:stream>",
];

fn mutated(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=dice.roll(2) {
        bytes.extend_from_slice(CORPUS[dice.roll(CORPUS.len())].as_bytes());
    }
    for _ in 0..dice.roll(4) {
        let at = dice.roll(bytes.len());
        match dice.roll(5) {
            0 => bytes[at] = u8::try_from(dice.roll(256)).expect("a byte"),
            1 => drop(bytes.drain(at..(at + 1 + dice.roll(12)).min(bytes.len()))),
            2 => bytes.truncate(at),
            3 => {
                let piece = bytes[at..(at + 1 + dice.roll(40)).min(bytes.len())].to_vec();
                let to = dice.roll(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let piece = PIECES[dice.roll(PIECES.len())].as_bytes();
                bytes.splice(at..at, piece.iter().copied());
            }
        }
        if bytes.is_empty() {
            bytes.push(b'<');
        }
    }
    bytes
}

/// A stanza and its children as they were written.
type Cut = (Vec<u8>, Vec<Vec<u8>>);

/// What rxml reads: spans of stanzas with those of their children, and whether it accepted everything.
fn by_rxml(bytes: &[u8]) -> (Vec<Cut>, bool) {
    const HEAD: &[u8] =
        b"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>";
    let document = [HEAD, bytes].concat();
    let mut parser = Parser::new();
    let mut rest = &document[..];
    let (mut at, mut depth) = (0, 0);
    let (mut stanza_at, mut child_at) = (0, 0);
    let (mut stanzas, mut children) = (Vec::new(), Vec::new());
    loop {
        let event = match parser.parse(&mut rest, false) {
            Ok(Some(event)) => event,
            Ok(None) | Err(rxml::error::EndOrError::NeedMoreData) => return (stanzas, true),
            Err(rxml::error::EndOrError::Error(_)) => return (stanzas, false),
        };
        let from = at;
        at += event.metrics().len();
        match event {
            Event::StartElement(..) => {
                depth += 1;
                match depth {
                    2 => stanza_at = from,
                    3 => child_at = from,
                    _ => {}
                }
            }
            Event::EndElement(..) => {
                depth -= 1;
                match depth {
                    1 => stanzas.push((document[stanza_at..at].to_vec(), std::mem::take(&mut children))),
                    2 => children.push(document[child_at..at].to_vec()),
                    _ => {}
                }
            }
            Event::Text(..) | Event::XmlDeclaration(..) => {}
        }
    }
}

#[test]
fn the_framer_cuts_where_rxml_cuts() {
    let mut dice = Dice(0x7461_6e64_656d);
    let (mut accepted, mut stanzas) = (0, 0);
    for round in 0..20_000 {
        let bytes = mutated(&mut dice);
        let (theirs, is_accepted) = by_rxml(&bytes);
        let ours: Vec<_> = cut(Limits::default(), &[&bytes])
            .into_iter()
            .filter_map(|seen| match seen {
                Seen::Stanza { raw, children, .. } => Some((raw, children)),
                _ => None,
            })
            .collect();
        let shown = String::from_utf8_lossy(&bytes);
        assert!(ours.starts_with(&theirs), "round {round}: {shown}\nours {ours:?}\nrxml {theirs:?}");
        if is_accepted {
            accepted += 1;
            stanzas += theirs.len();
            assert_eq!(ours, theirs, "round {round}: {shown}");
        }
    }
    assert!(accepted > 4_000 && stanzas > 4_000, "only {accepted} of 20,000 documents were fit to compare");
}

#[test]
fn the_division_into_reads_does_not_matter() {
    let mut dice = Dice(0x0064_756f);
    for round in 0..4_000 {
        let bytes = mutated(&mut dice);
        let limits = if round % 2 == 0 { Limits::default() } else { small() };
        let whole = cut(limits, &[&bytes]);
        let step = 1 + dice.roll(9);
        let pieces: Vec<_> = bytes.chunks(step).collect();
        assert_eq!(whole, cut(limits, &pieces), "round {round}, {step} at a time: {}", String::from_utf8_lossy(&bytes));
    }
}
