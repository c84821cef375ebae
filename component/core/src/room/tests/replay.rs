//! Any sequence of inputs: a restored room equals the one that lived, records alone rebuild it, and nobody
//! learns a real JID who may not.

use proptest::prelude::*;

use super::*;
use crate::muc::{Role, Whois};

const PEOPLE: [&str; 5] = ["olga", "adam", "mia", "nils", "oskar"];

/// What strangers send.
const NONSENSE: [&str; 20] = [
    "<presence to='hall'/>",
    "<presence to='hall/ '><x xmlns='#muc'/></presence>",
    "<presence type='foo' to='hall/NICK'/>",
    "<presence type='probe' to='hall/NICK'/>",
    "<presence to='hall/NICK'><x xmlns='#muc'><history since='x' maxchars='-1' seconds='99999999999' maxstanzas='4294967295'/></x></presence>",
    "<presence to='hall/NICK'><x xmlns='#muc'><history maxchars='300'/></x></presence>",
    "<message to='hall'/>",
    "<message type='groupchat' to='hall'/>",
    "<message type='groupchat' to='hall/NICK'><body/></message>",
    "<message type='error' to='hall/NICK'/>",
    "<message to='hall'><x xmlns='#user'><invite/><decline/></x></message>",
    "<message to='hall'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field></x></message>",
    "<iq type='get' to='hall'/>",
    "<iq type='result' id='x' to='hall/NICK'/>",
    "<iq type='set' to='hall/NICK'><x xmlns='urn:x'/></iq>",
    "<iq type='get' to='hall'><query xmlns='http://jabber.org/protocol/disco#items'><set xmlns='http://jabber.org/protocol/rsm'><max>99999999999999999999</max><index>7</index></set></query></iq>",
    "<iq type='set' to='hall'><query xmlns='#admin'><item/></query></iq>",
    "<iq type='set' to='hall'><query xmlns='#admin'><item jid='@' role='x' affiliation='y'/></query></iq>",
    "<iq type='set' to='hall'><query xmlns='#owner'><x xmlns='jabber:x:data' type='cancel'/></query></iq>",
    "<iq type='set' to='hall'><query xmlns='#owner'><destroy jid='@'/></query></iq>",
];

/// What owners set beside what has a kind of its own.
const OPTIONS: [(&str, &str); 16] = [
    ("roomname", "Hall"),
    ("roomdesc", "For all"),
    ("lang", "de"),
    ("publicroom", "0"),
    ("moderatedroom", "1"),
    ("roomsecret", "p"),
    ("passwordprotectedroom", "0"),
    ("changesubject", "1"),
    ("allowinvites", "0"),
    ("allowpm", "moderators"),
    ("maxusers", "2"),
    ("enablearchiving", "0"),
    ("archive_days", "3"),
    ("defaulthistorymessages", "1"),
    ("allowvisitorstatus", "0"),
    ("allowvisitornickchange", "0"),
];

/// One input, by small numbers, so that a failing sequence shrinks to a short one.
#[derive(Clone, Copy, Debug)]
struct Step {
    who: usize,
    session: u8,
    what: u8,
    whom: usize,
    how: u8,
}

fn step() -> impl Strategy<Value = Step> {
    (0..PEOPLE.len(), 1..=2u8, 0..34u8, 0..PEOPLE.len(), 0..6u8).prop_map(|(who, session, what, whom, how)| Step {
        who,
        session,
        what,
        whom,
        how,
    })
}

/// A hat is made, put on, taken off, destroyed.
fn hat(how: usize, whom: &str) -> String {
    let (node, user) = match how {
        0 | 1 => ("create", String::new()),
        2 | 3 => ("assign", format!("<field var='hats#jid'><value>{whom}@users.example</value></field>")),
        4 => ("unassign", format!("<field var='hats#jid'><value>{whom}@users.example</value></field>")),
        _ => ("destroy", String::new()),
    };
    format!(
        "<iq type='set' id='h' to='hall'><command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:hats:commands:{node}'>\
         <x xmlns='jabber:x:data' type='submit'>{user}<field var='hats#title'><value>t{how}</value></field>\
         <field var='hats#uri'><value>urn:x:hat</value></field></x></command></iq>"
    )
}

impl Step {
    fn from(&self) -> String {
        let who = if self.is_privileged() { self.who / 2 } else { self.who };
        format!("{}@users.example/{}", PEOPLE[who], self.session)
    }

    /// What mostly owners and admins may do is mostly done by the first two, of whom one creates the room.
    fn is_privileged(&self) -> bool {
        matches!(self.what, 14..=21 | 23 | 25 | 31)
    }

    fn xml(&self) -> String {
        let (nick, whom) = (PEOPLE[self.who], PEOPLE[self.whom]);
        let how = usize::from(self.how);
        let affiliation = ["none", "outcast", "member", "admin", "owner", "none"][how];
        let role = ["none", "visitor", "participant", "moderator", "none", "participant"][how];
        let bit = self.how % 2;
        let admin = |item: String| {
            format!(
                "<iq type='set' id='i' to='hall'><query xmlns='#admin'><item {item}><reason>r</reason></item></query></iq>"
            )
        };
        let field = |name: &str, value: &str| {
            format!(
                "<iq type='set' id='i' to='hall'><query xmlns='#owner'><x xmlns='jabber:x:data' type='submit'>\
                 <field var='muc#roomconfig_{name}'><value>{value}</value></field></x></query></iq>"
            )
        };
        match self.what {
            0..=5 => format!("<presence id='e' to='hall/{nick}'><x xmlns='#muc'><password>p</password></x></presence>"),
            6 => format!("<presence to='hall/{whom}'><x xmlns='#muc'/></presence>"),
            7 => format!("<presence to='hall/{nick}'><show>away</show><status>{how}</status></presence>"),
            8 => format!("<presence to='hall/{nick}{how}'/>"),
            9 => format!("<presence type='unavailable' to='hall/{nick}'><status>bye</status></presence>"),
            10 | 11 => format!("<message type='groupchat' id='m{how}' to='hall'><body>b{how}</body></message>"),
            12 => format!("<message type='groupchat' to='hall'><subject>s{how}</subject></message>"),
            13 => format!("<message type='chat' id='p' to='hall/{whom}'><body>psst</body></message>"),
            14 => admin(format!("nick='{whom}' role='{role}'")),
            15 | 16 => admin(format!("jid='{whom}@users.example' affiliation='{affiliation}' nick='{whom}'")),
            17 if self.how < 2 => admin(format!("jid='users.example' affiliation='{affiliation}'")),
            17 => field("presencebroadcast", ["moderator", "participant", "visitor"][how % 3]),
            18 => field("membersonly", &bit.to_string()),
            19 => field("historylength", &self.how.to_string()),
            20 => field("persistentroom", &bit.to_string()),
            21 => field("roomadmins", &format!("{whom}@users.example")),
            22 => format!("<message type='error' to='hall/{nick}'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"),
            23 if self.how == 0 => {
                "<iq type='set' id='d' to='hall'><query xmlns='#owner'><destroy><reason>r</reason></destroy></query></iq>".into()
            }
            23 => format!("<iq type='get' id='l' to='hall'><query xmlns='#admin'><item affiliation='{affiliation}'/></query></iq>"),
            24 => format!("<message to='hall'><x xmlns='#user'><invite to='guest{how}@else.example'/></x></message>"),
            28 => format!("<message type='groupchat' id='t{how}' to='hall'><retract xmlns='urn:xmpp:message-retract:1' id='m{how}'/></message>"),
            29 if self.how == 0 => "<iq type='set' id='g' to='hall'><query xmlns='jabber:iq:register'><remove/></query></iq>".into(),
            29 => format!("<iq type='set' id='g' to='hall'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>{whom}{bit}</value></field></x></query></iq>"),
            30 => format!("<message to='hall'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_jid'><value>{whom}@users.example</value></field><field var='muc#register_roomnick'><value>{whom}</value></field><field var='muc#register_allow'><value>{bit}</value></field></x></message>"),
            31 => {
                let (name, value) = OPTIONS[(how + self.whom * 6) % OPTIONS.len()];
                field(name, value)
            }
            32 => "<message to='hall'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#role'><value>participant</value></field></x></message>".into(),
            33 => format!("<message to='hall'><x xmlns='#user'><decline to='hall/{whom}'/></x></message>"),
            25 => hat(how, whom),
            26 | 27 => NONSENSE[(how + self.whom * 6) % NONSENSE.len()].replace("NICK", nick),
            _ => format!("<iq type='get' id='q' to='hall/{whom}'><query xmlns='jabber:iq:version'/></iq>"),
        }
    }
}

/// Bare JIDs, and full ones, of those who may see every real JID.
fn who_may_see(room: &Room) -> Vec<String> {
    let moderators = room.roster.iter().filter(|occupant| occupant.role == Role::Moderator);
    let mut bare: Vec<String> = moderators.map(|occupant| occupant.bare.as_str().to_owned()).collect();
    let lists = room.affiliations.values().filter(|entry| entry.affiliation >= crate::muc::Affiliation::Admin);
    bare.extend(lists.map(|entry| entry.who.as_str().to_owned()));
    bare
}

fn assert_no_leak(out: &Outcome, may_see: &[String]) -> Result<(), TestCaseError> {
    for outbound in &out.outbound {
        let xml = render(&outbound.stanza);
        let xml = format!("{}{}", xml.head, xml.tail);
        for to in outbound.to.as_slice() {
            let is_outside = to.domain() != "users.example";
            prop_assert!(
                is_outside || may_see.iter().any(|who| who == to.bare_str()) || !xml.contains("@users.example"),
                "{to} hears {xml}"
            );
        }
    }
    Ok(())
}

fn live(steps: &[Step], config: RoomConfig, is_locked: bool) -> Result<(), TestCaseError> {
    let is_hiding = config.whois == Whois::Moderators;
    let mut rules = Arc::unwrap_or_clone(rules(config));
    rules.locks_new_rooms = is_locked;
    // Who asked when is remembered only as long as the room is in memory.
    rules.voice_request_ms = 0;
    let rules = Arc::new(rules);
    let mut lived = vacant(rules.clone());
    let mut replayed = vacant(rules.clone());
    let first = Step { who: 0, session: 1, what: 0, whom: 0, how: 0 };
    for (n, step) in std::iter::once(&first).chain(steps).enumerate() {
        let mut restored =
            if lived.is_vacant() { vacant(rules.clone()) } else { Room::restore(hall(), rules.clone(), lived.image()) };
        let mut may_see = who_may_see(&lived);
        let at = n as u64 * 2_000;
        let out = say(&mut lived, at, &step.from(), &step.xml());
        let again = say(&mut restored, at, &step.from(), &step.xml());
        prop_assert_eq!(&out.records, &again.records);
        prop_assert_eq!(heard(&out), heard(&again));
        prop_assert_eq!(lived.image(), restored.image());
        for record in &out.records {
            replayed.apply(record);
        }
        prop_assert_eq!(lived.image(), replayed.image());
        if is_hiding {
            may_see.extend(who_may_see(&lived));
            assert_no_leak(&out, &may_see)?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 350, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reloaded_room_equals_the_room_that_lived(
        steps in prop::collection::vec(step(), 1..80),
        is_moderated: bool,
        is_persistent: bool,
        is_locked in prop::bool::weighted(0.1),
    ) {
        let config = RoomConfig { is_persistent, is_moderated, shows_absent: true, ..RoomConfig::default() };
        live(&steps, config, is_locked)?;
    }

    #[test]
    fn nobody_learns_a_real_jid_who_may_not(
        steps in prop::collection::vec(step(), 1..80),
        is_moderated: bool,
    ) {
        let whois = Whois::Moderators;
        live(&steps, RoomConfig { is_moderated, whois, shows_absent: true, ..RoomConfig::default() }, false)?;
    }
}
