//! Strangers and occupants throw well-formed nonsense at a room: random stanzas of all kinds made of fragments
//! the room knows, half knows and does not know. Seeded, so that what fails once fails again.
//!
//! Whatever comes, the promises hold (see `promises`), what each session has heard adds up to who is inside,
//! no real JID reaches somebody who may not see it, and disco tells the configuration as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use tandem_muc_core::muc::{Affiliation, AllowPm, Role, RoleName, RoomConfig, Whois};
use tandem_muc_core::name::Jid;
use tandem_muc_core::ns;
use tandem_muc_core::record::RoomImage;
use tandem_muc_core::room::{Creators, Input, ServiceRules};
use tandem_muc_core::stanza::{Inbound, Stanza};

use crate::cast;
use crate::stage::{Stage, generous, inbound, mixed};
use crate::tree::{self, Tree};

const SEEDS: u64 = 12;
const STEPS: u32 = 400;
/// Who is there, and the nick each one likes best.
const SESSIONS: [(&str, &str); 10] = [
    ("olga/1", "Olga"),
    ("sven/1", "Sven"),
    ("adam/1", "Adam"),
    ("adam/2", "Adam"),
    ("mia/1", "Mia"),
    ("mia/2", "Mia"),
    ("nils/1", "Nils"),
    ("nils/2", "a/b"),
    ("nora/1", "Nora"),
    ("oskar/1", "Queen"),
];
const NICKS: [&str; 10] = ["Olga", "Adam", "Mia", "Nils", "NILS", "Nora", "a/b", "\u{1f984}", "Queen", "Sven"];
const ROLES: [&str; 6] = ["none", "visitor", "visitor", "participant", "participant", "moderator"];
const AFFILIATIONS: [&str; 6] = ["none", "none", "outcast", "member", "admin", "owner"];

/// Chance out of a seed.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.thrown += 1;
        mixed(self.seed.wrapping_mul(0x1000_0000).wrapping_add(self.thrown)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        let at = self.below(from.len() as u64);
        from[usize::try_from(at).expect("an index")]
    }
}

#[test]
fn nonsense_breaks_no_promise() {
    for seed in 1..=seeds() {
        let mut dice = Dice { seed, thrown: 0 };
        let mut stage = Stage::empty(&Arc::new(rules(&mut dice)));
        if !dice.one_in(4) {
            let config = config(&mut dice);
            stage.open(config, cast::affiliations(""));
        }
        let mut views = Views::default();
        for step in 0..STEPS {
            if let Err(why) = throw(&mut stage, &mut dice, &mut views) {
                panic!("seed {seed}, step {step}: {why}");
            }
        }
    }
}

/// `HOSTILE_SEEDS=1000` looks longer.
fn seeds() -> u64 {
    std::env::var("HOSTILE_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(SEEDS)
}

fn throw(stage: &mut Stage, dice: &mut Dice, views: &mut Views) -> Result<(), String> {
    match dice.below(12) {
        0 => stage.reload()?,
        1 => stage.pass(dice.below(6_000)),
        2 if dice.one_in(4) => {
            stage.wait(dice.below(12_000), false)?;
            views.hear(stage)?;
        }
        _ => {}
    }
    // Half of it comes from people who may do something.
    let among = if dice.one_in(2) { 3 } else { SESSIONS.len() as u64 };
    let (who, nick) = SESSIONS[usize::try_from(dice.below(among)).expect("an index")];
    let who = cast::session(who)?;
    let text = stanza(dice, nick);
    let told = |why: String| format!("{why}\n  after {who} > {text}");
    let asked = inbound(&who, &tree::read(&text).map_err(told)?).map_err(told)?;
    let before = stage.room.image();
    stage.hand_in(Input::Stanza(&asked)).map_err(told)?;
    let after = stage.room.image();
    for (hearer, said) in stage.heard() {
        no_jid_leaks(&before, &after, stage, &asked, hearer, said).map_err(told)?;
    }
    views.hear(stage).map_err(told)?;
    views.are_true(stage).map_err(told)?;
    if dice.one_in(10) {
        disco_tells_the_configuration(stage)?;
    }
    Ok(())
}

/// What each session knows of who is inside, from what it heard.
#[derive(Default)]
struct Views(BTreeMap<Jid, BTreeMap<String, (String, String)>>);

impl Views {
    fn hear(&mut self, stage: &mut Stage) -> Result<(), String> {
        for (hearer, said) in stage.drain() {
            self.hear_one(hearer, &said).map_err(|why| format!("{why}: {}", said.to_script(ns::CLIENT)))?;
        }
        Ok(())
    }

    fn hear_one(&mut self, hearer: Jid, said: &Tree) -> Result<(), String> {
        let from = said.attr("from").unwrap_or_default();
        let Some((_, nick)) = from.split_once('/') else { return Ok(()) };
        if said.name != "presence" || said.attr("type") == Some("error") {
            return Ok(());
        }
        let x = said.trees().find(|child| child.ns == ns::MUC_USER).ok_or("a presence without <x/>")?;
        let item = x.trees().find(|child| child.name == "item").ok_or("a presence without <item/>")?;
        let has = |code| x.trees().any(|child| child.name == "status" && child.attr("code") == Some(code));
        let word = |name| item.attr(name).unwrap_or_default().to_owned();
        let view = self.0.entry(hearer).or_default();
        if said.attr("type") != Some("unavailable") {
            view.insert(nick.to_owned(), (word("affiliation"), word("role")));
        } else if has("110") && !has("303") {
            view.clear();
        } else if view.remove(nick).is_none() && !has("303") {
            return Err("somebody leaves who was not there".to_owned());
        }
        Ok(())
    }

    /// Every session inside knows exactly who is inside, as what; whoever is not inside knows nothing.
    fn are_true(&self, stage: &Stage) -> Result<(), String> {
        let image = stage.room.image();
        let config = &image.config;
        let mut inside = BTreeSet::new();
        for session in &image.occupants {
            inside.insert(&session.who);
            let mut wanted = BTreeMap::new();
            for other in &image.occupants {
                if other.nick != session.nick && !config.broadcasts(other.role) {
                    continue;
                }
                let affiliation = affiliation_of(&image, stage, &other.who).as_str().to_owned();
                wanted.insert(other.nick.as_str().to_owned(), (affiliation, other.role.as_str().to_owned()));
            }
            let empty = BTreeMap::new();
            let known = self.0.get(&session.who).unwrap_or(&empty);
            if *known != wanted {
                return Err(format!("{} believes {known:?}\n  but inside are {wanted:?}", session.who));
            }
        }
        match self.0.iter().find(|(who, view)| !inside.contains(who) && !view.is_empty()) {
            Some((who, view)) => Err(format!("{who} is not inside and believes {view:?}")),
            None => Ok(()),
        }
    }
}

fn affiliation_of(image: &RoomImage, stage: &Stage, who: &Jid) -> Affiliation {
    let bare = who.to_bare();
    if stage.rules.admins.contains(&bare) {
        return Affiliation::Owner;
    }
    let entry = |name: &str| image.affiliations.iter().find(|entry| entry.who.as_str() == name);
    let own = entry(bare.as_str()).filter(|entry| entry.affiliation != Affiliation::None);
    own.or_else(|| entry(bare.domain())).map_or(Affiliation::None, |entry| entry.affiliation)
}

/// In a semi-anonymous room the real JIDs of those inside are for moderators, admins and themselves. What the
/// sender itself names is no leak of the room's.
fn no_jid_leaks(
    before: &RoomImage,
    after: &RoomImage,
    stage: &Stage,
    asked: &Inbound,
    who: &Jid,
    said: &Tree,
) -> Result<(), String> {
    if [before, after].iter().any(|image| image.config.whois == Whois::Anyone) {
        return Ok(());
    }
    let may_see = |image: &RoomImage| {
        let session = image.occupants.iter().find(|session| session.who == *who);
        session.is_some_and(|session| session.role == Role::Moderator)
            || affiliation_of(image, stage, who) >= Affiliation::Admin
    };
    if may_see(before) || may_see(after) {
        return Ok(());
    }
    let mut said = said.clone();
    said.attrs.remove("to");
    let text = said.to_xml();
    let named = Stanza { from: cast::hall().into(), ..asked.stanza.clone() }.to_xml();
    for other in before.occupants.iter().chain(&after.occupants) {
        let real = other.who.bare_str();
        if real != who.bare_str() && text.contains(real) && !named.contains(real) {
            return Err(format!("{who} learns of {}: {text}", other.who));
        }
    }
    Ok(())
}

fn disco_tells_the_configuration(stage: &mut Stage) -> Result<(), String> {
    let image = stage.room.image();
    if stage.room.is_vacant() || image.is_locked || image.tombstone.is_some() {
        return Ok(());
    }
    let who = Jid::parse("stranger@elsewhere.net/1").expect("a constant");
    let ask = tree::read("<iq type='get' id='d' to='hall'><query xmlns='#info'/></iq>")?;
    let ask: Inbound = inbound(&who, &ask)?;
    stage.hand_in(Input::Stanza(&ask))?;
    let answer = stage.drain().next().ok_or("disco has no answer")?.1;
    if stage.room.image().tombstone != image.tombstone || stage.room.is_vacant() {
        return Ok(());
    }
    let query = answer.trees().next().ok_or("disco has no query")?;
    let features: BTreeSet<&str> = query.trees().filter_map(|child| child.attr("var")).collect();
    let config = &image.config;
    for (is, yes, no) in [
        (config.is_public, "muc_public", "muc_hidden"),
        (config.is_members_only, "muc_membersonly", "muc_open"),
        (config.is_moderated, "muc_moderated", "muc_unmoderated"),
        (config.whois == Whois::Anyone, "muc_nonanonymous", "muc_semianonymous"),
        (config.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
        (config.is_persistent, "muc_persistent", "muc_temporary"),
        (config.is_archived, ns::MAM, "-"),
        (config.is_archived, ns::MAM_EXTENDED, "-"),
        (config.is_archived, ns::FULLTEXT, "-"),
    ] {
        if features.contains(yes) != is || (no != "-" && features.contains(no) == is) {
            return Err(format!("disco says {features:?}\n  of {config:?}"));
        }
    }
    Ok(())
}

fn rules(dice: &mut Dice) -> ServiceRules {
    ServiceRules {
        creation: if dice.one_in(3) { Creators::Local } else { Creators::Anyone },
        defaults: config(dice),
        fixed: if dice.one_in(4) { vec!["public", "whois"] } else { Vec::new() },
        locks_new_rooms: dice.one_in(3),
        occupants_max: 6,
        sessions_max: 2,
        history_max: 8,
        archive_days_max: 0,
        slow_mode_max: 86_400,
        affiliations_max: 9,
        body_bytes_max: 64,
        nick_chars_max: 8,
        tombstone_ms: 3_000,
        lock_ms: 5_000,
        ..generous()
    }
}

fn config(dice: &mut Dice) -> RoomConfig {
    RoomConfig {
        is_persistent: dice.one_in(2),
        is_members_only: dice.one_in(4),
        is_moderated: dice.one_in(3),
        whois: if dice.one_in(3) { Whois::Anyone } else { Whois::Moderators },
        password: dice.one_in(6).then(|| "sesame".to_owned()),
        allow_pm: if dice.one_in(4) { AllowPm::Moderators } else { AllowPm::Anyone },
        presence_of: if dice.one_in(4) { vec![RoleName::Moderator] } else { RoleName::ALL.to_vec() },
        history_max: 5,
        ..RoomConfig::default()
    }
}

fn stanza(dice: &mut Dice, nick: &str) -> String {
    let to = match dice.below(8) {
        0..=4 => "hall".to_owned(),
        5 if dice.one_in(4) => "hall/\u{2800}".to_owned(),
        _ => format!("hall/{}", dice.pick(&NICKS)),
    };
    match dice.below(10) {
        0..=3 => presence(dice, nick, &to),
        4..=5 => message(dice, &to),
        _ => iq(dice, &to),
    }
}

fn presence(dice: &mut Dice, nick: &str, to: &str) -> String {
    if dice.one_in(5) {
        let type_ = dice.pick(&["unavailable", "probe", "error", "subscribe", "what"]);
        return format!("<presence id='p' type='{type_}' to='{to}'>{}</presence>", fragments(dice));
    }
    let nick = if dice.one_in(5) { dice.pick(&NICKS) } else { nick };
    let muc = "<x xmlns='#muc'><password>sesame</password><history maxstanzas='3' seconds='x'/></x>";
    let muc = if dice.one_in(3) { "" } else { muc };
    format!("<presence id='p' to='hall/{nick}'>{muc}{}</presence>", fragments(dice))
}

fn message(dice: &mut Dice, to: &str) -> String {
    let type_ = dice.pick(&["groupchat", "groupchat", "groupchat", "chat", "normal", "headline", "error", "foo", ""]);
    let to = if type_ == "groupchat" && !dice.one_in(8) { "hall" } else { to };
    let type_ = if type_.is_empty() { String::new() } else { format!("type='{type_}'") };
    let word = match dice.below(8) {
        0..=4 => "<body>hello</body>".to_owned(),
        5 => "<subject>Tea</subject>".to_owned(),
        6 => format!("<body>{}</body>", "long ".repeat(14)),
        _ => String::new(),
    };
    format!("<message id='m' {type_} to='{to}'>{word}{}</message>", fragments(dice))
}

fn iq(dice: &mut Dice, to: &str) -> String {
    let type_ = if dice.one_in(3) { dice.pick(&["get", "get", "result", "error", "what"]) } else { "set" };
    let to = if type_ == "set" && !dice.one_in(5) { "hall" } else { to };
    let query = match dice.below(16) {
        0..=5 => format!("<query xmlns='#admin'>{}</query>", item(dice)),
        6..=7 => format!("<query xmlns='#admin'>{}{}</query>", item(dice), item(dice)),
        8..=12 => format!("<query xmlns='#owner'>{}</query>", form(dice)),
        13 if dice.one_in(8) => {
            "<query xmlns='#owner'><destroy jid='attic'><reason>so</reason></destroy></query>".into()
        }
        13 => {
            dice.pick(&["<query xmlns='#owner'/>", "<ping xmlns='#ping'/>", "<query xmlns='#info' node='x'/>"]).into()
        }
        14 if !dice.one_in(3) => archive_query(dice),
        14 => "<query xmlns='#items'><set xmlns='#rsm'><max>1</max><before/></set></query>".into(),
        _ => fragments(dice),
    };
    let more = if dice.one_in(12) { fragments(dice) } else { String::new() };
    format!("<iq id='0123456789abcdefq' type='{type_}' to='{to}'>{query}{more}</iq>")
}

fn archive_query(dice: &mut Dice) -> String {
    if dice.one_in(6) {
        return dice.pick(&["<metadata xmlns='#mam'/>", "<query xmlns='#mam'/>"]).to_owned();
    }
    let (name, values): (&str, &[&str]) = match dice.below(8) {
        0 => ("with", &["olga@example.org", "nils@example.org/1", "hall@conference.example.org/Nils", "@", ""]),
        1 => ("start", &["2026-01-01T12:00:03Z", "1", ""]),
        2 => ("end", &["2026-01-01T12:00:03Z", "9999-12-31T23:59:59Z"]),
        3 => ("before-id", &["x", ""]),
        4 => ("ids", &["x"]),
        5 => ("{urn:xmpp:fulltext:0}fulltext", &["hello", "  ", "no"]),
        6 => ("king", &["1"]),
        _ => ("FORM_TYPE", &["urn:xmpp:mam:2"]),
    };
    let value = dice.pick(values);
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
        _ => dice.pick(&["olga", "adam", "mia", "nils/1", "nora", "oskar", "sven"]),
    };
    let nick = dice.pick(&NICKS);
    let affiliation = if dice.one_in(20) { "king" } else { dice.pick(&AFFILIATIONS) };
    let role = if dice.one_in(20) { "king" } else { dice.pick(&ROLES) };
    match dice.below(16) {
        0..=5 => format!("<item nick='{nick}' role='{role}'><reason>so</reason></item>"),
        6..=11 => format!("<item jid='{jid}' affiliation='{affiliation}'/>"),
        12..=13 => format!("<item jid='{jid}' nick='{nick}' affiliation='{affiliation}'/>"),
        14 => format!("<item nick='{nick}' affiliation='{affiliation}'/>"),
        _ => format!("<item affiliation='{affiliation}'/>"),
    }
}

fn form(dice: &mut Dice) -> String {
    let type_ = if dice.one_in(12) { "cancel" } else { "submit" };
    let mut fields = String::new();
    for _ in 0..dice.below(4) {
        let (name, values): (&str, &[&str]) = match dice.below(10) {
            0 => ("whois", &["anyone", "moderators", "moderators", "nobody"]),
            1 => ("membersonly", &["0", "0", "1", "perhaps"]),
            2 => ("moderatedroom", &["true", "false"]),
            3 => ("persistentroom", &["1", "0"]),
            4 => ("roomsecret", &["sesame", ""]),
            5 => ("passwordprotectedroom", &["0", "1"]),
            6 => ("roomowners", &["olga@example.org", "mia@example.org", "", "@"]),
            7 => ("roomadmins", &["nils@example.org", "olga@example.org", "elsewhere.net"]),
            8 if dice.one_in(2) => ("enablearchiving", &["0", "1", "1"]),
            8 => ("presencebroadcast", &["moderator", "participant", "visitor", "king"]),
            _ => ("historylength", &["0", "3", "99"]),
        };
        let value = dice.pick(values);
        let _ = write!(fields, "<field var='muc#roomconfig_{name}'><value>{value}</value></field>");
    }
    format!("<x xmlns='#data' type='{type_}'>{fields}</x>")
}

/// Things the room knows from elsewhere, half knows, or does not know at all.
fn fragments(dice: &mut Dice) -> String {
    const POOL: [&str; 26] = [
        "<show>away</show>",
        "<status>tea</status>",
        "<x xmlns='#user'><item affiliation='owner' role='moderator'/><status code='110'/></x>",
        "<x xmlns='#user'><invite to='nora'><reason>tea</reason></invite></x>",
        "<x xmlns='#user'><invite/></x>",
        "<x xmlns='#user'><decline to='hall/Nils'/></x>",
        "<x xmlns='#muc'/>",
        "<stanza-id xmlns='#sid' by='hall' id='forged'/>",
        "<occupant-id xmlns='#occupant' id='forged'/>",
        "<delay xmlns='#delay' from='hall' stamp='2001-01-01T00:00:00Z'/>",
        "<error type='cancel'><service-unavailable/></error>",
        "<error type='modify'><bad-request/></error>",
        "<error/>",
        "<retract xmlns='#retract' id='m'/>",
        "<retract xmlns='#retract' id=''><moderated xmlns='#moderate' by='hall'/></retract>",
        "<apply-to xmlns='#fasten' id='m'><retract xmlns='#retract0'/></apply-to>",
        "<moderate xmlns='#moderate' id='m'><retract xmlns='#retract'/></moderate>",
        "<retracted xmlns='#retract' id='m'/>",
        "<query xmlns='#register'><x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>Nora</value></field></x></query>",
        "<query xmlns='#register'><remove/></query>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_jid'><value>someone@elsewhere.net</value></field><field var='muc#register_roomnick'><value>NILS</value></field><field var='muc#register_allow'><value>1</value></field></x>",
        "<no-store xmlns='#hints'/>",
        "<composing xmlns='#states'/>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#roomnick'><value>Nils</value></field><field var='muc#request_allow'><value>1</value></field></x>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field></x>",
        "<a xmlns='urn:example:x'><b xmlns=''/>text &amp; more<c xml:lang='de'/></a>",
    ];
    let mut all = String::new();
    for _ in 0..dice.below(3) {
        all.push_str(dice.pick(&POOL));
    }
    all
}
