//! Plays a script on a real room: says what it says, keeps what each hearer heard, compares.
//!
//! Beside the room runs a shadow that is only told the records: it must end as the same image after every
//! input. A script is played twice, the second time with a reload from the image before every input.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use tandem_muc_core::muc::{Affiliation, Blocked, Role, RoomConfig, option};
use tandem_muc_core::name::{BareJid, Jid};
use tandem_muc_core::ns;
use tandem_muc_core::protocol::vcard::Vcard;
use tandem_muc_core::record::{AffiliationEntry, Creation, Message, OccupantEntry, Record, RoomId};
use tandem_muc_core::room::{Creators, Found, Identity, Input, Outcome, Room, Search, ServiceRules};
use tandem_muc_core::stanza::{Inbound, Kind, Stanza, Type, element, render};
use tandem_muc_core::time::{Moment, Now, Utc};
use tandem_muc_tests::archive;

use crate::cast;
use crate::promises::Promises;
use crate::script::{self, Inside, Script, Step};
use crate::tree::{Branch, Names, Tree};

const START: Utc = Utc(1_767_268_800_000); // 2026-01-01T12:00:00Z

/// A room with its audience.
pub(crate) struct Stage {
    pub(crate) room: Room,
    pub(crate) shadow: Room,
    pub(crate) rules: Arc<ServiceRules>,
    /// What the database would have of what was said.
    archive: Vec<Arc<Message>>,
    /// And of its vCard.
    card: Option<Arc<Vcard>>,
    heard: BTreeMap<Jid, VecDeque<Tree>>,
    promises: Promises,
    names: Names,
    utc: i64,
    moment: u64,
    draws: u64,
    wake: Option<Moment>,
}

/// Plays the script at `path` as it is and with reloads; the error is the report.
pub(crate) fn play(path: &Path) -> Result<(), String> {
    let script = script::read(path)?;
    for reloads in [false, true] {
        let told = if reloads { ", reloaded before every input" } else { "" };
        let mut stage = Stage::set(&script).map_err(|why| format!("{}: {why}", path.display()))?;
        for (line, step) in &script.steps {
            stage.take(step, reloads).map_err(|why| format!("{}:{line}{told}: {why}", path.display()))?;
        }
    }
    Ok(())
}

impl Stage {
    /// The room as the script's setting wants it.
    pub(crate) fn set(script: &Script) -> Result<Stage, String> {
        let config: RoomConfig = with_settings(RoomConfig::default(), &script.room)?;
        let rules = Arc::new(rules(&script.service)?);
        let mut stage = Stage::empty(&rules);
        if !script.is_vacant {
            stage.open(config, cast::affiliations(&script.text));
        }
        for inside in &script.inside {
            stage.let_in(inside);
        }
        Ok(stage)
    }

    /// No room yet.
    pub(crate) fn empty(rules: &Arc<ServiceRules>) -> Stage {
        let vacant = || Room::vacant(RoomId(1), cast::hall(), rules.clone());
        Stage {
            room: vacant(),
            shadow: vacant(),
            rules: rules.clone(),
            archive: Vec::new(),
            card: None,
            heard: BTreeMap::new(),
            promises: Promises::default(),
            names: Names::new(),
            utc: START.0,
            moment: 1_000_000,
            draws: 0,
            wake: None,
        }
    }

    /// An open room with this configuration and these people on its lists.
    pub(crate) fn open(&mut self, config: RoomConfig, people: Vec<(BareJid, Affiliation)>) {
        let by = BareJid::parse("olga@example.org").expect("a constant");
        self.apply(&Record::Created(Box::new(Creation {
            by: by.clone(),
            at: START,
            config,
            is_locked: false,
            occupant_id_salt: "0123456789abcdef0123456789abcdef".to_owned(),
        })));
        for (who, affiliation) in people {
            let entry = AffiliationEntry { who, affiliation, nick: None, reason: None, by: by.clone(), at: START };
            self.apply(&Record::Affiliated(Box::new(entry)));
        }
    }

    fn let_in(&mut self, inside: &Inside) {
        let image = self.room.image();
        let affiliation = image.affiliations.iter().find(|entry| entry.who == inside.who.to_bare());
        let role = inside.role.unwrap_or(match affiliation.map_or(Affiliation::None, |entry| entry.affiliation) {
            Affiliation::Owner | Affiliation::Admin => Role::Moderator,
            Affiliation::None | Affiliation::Outcast if image.config.is_moderated => Role::Visitor,
            Affiliation::Member | Affiliation::None | Affiliation::Outcast => Role::Participant,
        });
        self.apply(&Record::Entered(Box::new(OccupantEntry {
            who: inside.who.clone(),
            nick: inside.nick.clone(),
            role,
            presence_xml: "".into(),
            at: START,
        })));
    }

    fn apply(&mut self, record: &Record) {
        self.room.apply(record);
        self.shadow.apply(record);
    }

    fn take(&mut self, step: &Step, reloads: bool) -> Result<(), String> {
        match step {
            Step::Says(who, tree) => {
                if reloads {
                    self.reload()?;
                }
                let inbound = inbound(who, &tree.with_names(&self.names)?)?;
                self.hand_in(Input::Stanza(&inbound))
            }
            Step::Hear(who, tree) => who.iter().try_for_each(|who| self.expect(who, tree)),
            Step::Passed(who) => {
                self.heard.retain(|hearer, _| !who.contains(hearer));
                Ok(())
            }
            Step::AllPassed => {
                self.heard.clear();
                Ok(())
            }
            Step::Wait(millis) => self.wait(*millis, reloads),
            Step::Reload => self.reload(),
            Step::Silence if self.heard.values().all(VecDeque::is_empty) => Ok(()),
            Step::Silence => Err(format!("there is no silence{}", self.leftovers(None))),
        }
    }

    /// Gives the room something and spreads what it says.
    pub(crate) fn hand_in(&mut self, input: Input<'_>) -> Result<(), String> {
        let mut outcome = Outcome::default();
        let now = self.now();
        let restored = self.handled_by_restored(now, input);
        self.room.handle(now, input, &mut outcome);
        if let Some((room, answered)) = restored {
            same_answer(&answered, &outcome)?;
            if room.image() != self.room.image() {
                return Err("a room restored before this would be another after it".to_owned());
            }
        }
        for record in &outcome.records {
            self.shadow.apply(record);
            self.keep(record);
        }
        let (room, shadow) = (self.room.image(), self.shadow.image());
        if room != shadow {
            return Err(format!(
                "the records do not tell what changed\n  room:    {room:?}\n  shadow:  {shadow:?}\n  records: {:?}",
                outcome.records
            ));
        }
        self.wake = outcome.wake;
        self.promises.check(input, &outcome)?;
        for outbound in &outcome.outbound {
            let rendered = render(&outbound.stanza);
            for to in outbound.to.as_slice() {
                let mut bytes = Vec::new();
                rendered.write_to(to, &mut bytes);
                let xml = String::from_utf8(bytes).map_err(|why| why.to_string())?;
                let element = element::parse(&xml).ok_or_else(|| format!("rendered as no XML: {xml}"))?;
                self.heard.entry(to.clone()).or_default().push_back(Tree::of(&element));
            }
        }
        match (outcome.lookup, input) {
            (Some(lookup), Input::Stanza(asked)) => {
                let found = match &lookup.search {
                    Search::Vcard => Found::Vcard(self.card.as_ref().map(|card| card.xml.to_string())),
                    search => archive::look(&self.archive, search),
                };
                self.hand_in(Input::Found { asked, lookup: &lookup, found: &found })
            }
            (Some(lookup), _) => Err(format!("nobody asked for {lookup:?}")),
            (None, _) => Ok(()),
        }
    }

    /// What a room that was just restored makes of the input.
    fn handled_by_restored(&self, now: Now, input: Input<'_>) -> Option<(Room, Outcome)> {
        if self.room.is_vacant() {
            return None;
        }
        let mut room = Room::restore(cast::hall(), self.rules.clone(), self.room.image());
        let mut outcome = Outcome::default();
        room.handle(now, input, &mut outcome);
        Some((room, outcome))
    }

    /// The last message once more, as after a takeover.
    pub(crate) fn repeat_last(&mut self) {
        let Some(repeated) = self.archive.last().and_then(|message| self.room.repeat(message)) else { return };
        let said = element::parse(&repeated.stanza.to_xml()).expect("what was said is XML");
        for to in repeated.to.as_slice() {
            self.heard.entry(to.clone()).or_default().push_back(Tree::of(&said));
        }
    }

    fn keep(&mut self, record: &Record) {
        match record {
            Record::Spoken(message) if message.is_archived => self.archive.push(message.clone()),
            Record::Retracted(retraction) => {
                for message in self.archive.iter_mut().filter(|message| retraction.concerns(message)) {
                    *message = Arc::new(retraction.applied_to(message));
                }
            }
            Record::Expired { upto, before } => {
                self.archive.retain(|message| message.seq > *upto || message.at >= *before);
            }
            Record::VcardSet(card) => self.card.clone_from(card),
            Record::Created(_) | Record::Destroyed(_) | Record::Vanished => {
                self.archive.clear();
                self.card = None;
            }
            _ => {}
        }
    }

    /// The room begins anew from what the store would keep of it; nothing may be lost or said.
    pub(crate) fn reload(&mut self) -> Result<(), String> {
        if self.room.is_vacant() {
            return Ok(());
        }
        let image = self.room.image();
        self.room = Room::restore(cast::hall(), self.rules.clone(), image.clone());
        let now = self.now();
        self.wake = self.room.next_wake(now);
        let again = self.room.image();
        if again == image { Ok(()) } else { Err(format!("a reload changed {image:?}\n into {again:?}")) }
    }

    /// Lets time go by; the room is woken when it asked to be.
    pub(crate) fn wait(&mut self, millis: u64, reloads: bool) -> Result<(), String> {
        let until = self.moment + millis;
        while let Some(due) = self.wake.filter(|wake| wake.0 <= until) {
            self.pass(due.0.saturating_sub(self.moment));
            self.wake = None;
            if reloads {
                self.reload()?;
            }
            self.hand_in(Input::Tick)?;
        }
        self.pass(until - self.moment);
        Ok(())
    }

    /// What was heard and not yet taken.
    pub(crate) fn heard(&self) -> impl Iterator<Item = (&Jid, &Tree)> {
        self.heard.iter().flat_map(|(who, said)| said.iter().map(move |stanza| (who, stanza)))
    }

    /// Everything heard up to here: each hearer's in its order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (Jid, Tree)> {
        let heard = std::mem::take(&mut self.heard);
        heard.into_iter().flat_map(|(who, said)| said.into_iter().map(move |stanza| (who.clone(), stanza)))
    }

    /// Moves the clocks.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.moment += millis;
        self.utc += millis.cast_signed();
    }

    fn now(&mut self) -> Now {
        self.draws += 1;
        let chance = (u128::from(mixed(self.draws)) << 64) | u128::from(mixed(!self.draws));
        Now { utc: Utc(self.utc), moment: Moment(self.moment), chance }
    }

    fn expect(&mut self, who: &Jid, expected: &Tree) -> Result<(), String> {
        let expected = completed(expected);
        let Some(said) = self.heard.get_mut(who).and_then(VecDeque::pop_front) else {
            return Err(format!(
                "{} heard nothing more\n  expected: {}{}",
                cast::contract(who.as_str()),
                expected.to_script(ns::CLIENT),
                self.leftovers(None)
            ));
        };
        let heard = reduced(said, &expected);
        if let Some(names) = expected.met_by(&heard, self.names.clone()) {
            self.names = names;
            return Ok(());
        }
        Err(format!(
            "{} heard something else\n{}{}",
            cast::contract(who.as_str()),
            side_by_side(&expected, &heard),
            self.leftovers(Some(&expected))
        ))
    }

    /// What was heard and is not yet told by the script, in its own language.
    fn leftovers(&self, expected: Option<&Tree>) -> String {
        let mut out = String::from("\n  heard and not told by the script:");
        let nothing = completed(&Tree::of(&element::parse("<presence/>").expect("a constant")));
        for (who, stanzas) in self.heard.iter().filter(|(_, stanzas)| !stanzas.is_empty()) {
            for stanza in stanzas {
                let shown = reduced(stanza.clone(), expected.unwrap_or(&nothing));
                let _ = write!(out, "\n{} < {}", cast::contract(who.as_str()), for_script(shown).to_script(ns::CLIENT));
            }
        }
        out
    }
}

/// A restored room says and records what the one that lived does, the measure of talk aside: of that it knows as much as
/// its history reaches back.
fn same_answer(restored: &Outcome, lived: &Outcome) -> Result<(), String> {
    let words = |outcome: &Outcome| -> Vec<String> {
        let said = outcome.outbound.iter();
        said.map(|outbound| format!("{:?} < {}", outbound.to.as_slice(), unmeasured(outbound.stanza.to_xml())))
            .collect()
    };
    let is_same = restored.records == lived.records
        && restored.lookup == lived.lookup
        && restored.wake == lived.wake
        && words(restored) == words(lived);
    if is_same {
        return Ok(());
    }
    Err(format!(
        "a restored room answers otherwise\n  restored: {:?} {:?}\n  lived:    {:?} {:?}",
        words(restored),
        restored.records,
        words(lived),
        lived.records
    ))
}

fn unmeasured(xml: String) -> String {
    let Some((head, rest)) = xml.split_once(ns::MESSAGE_ACTIVITY) else { return xml };
    let (_, tail) = rest.split_once("</field>").unwrap_or_default();
    let (head, _) = head.rsplit_once("<field").unwrap_or_default();
    format!("{head}{tail}")
}

/// Well-spread bits of a counter (splitmix64).
pub(crate) fn mixed(counter: u64) -> u64 {
    let a = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

/// Where an expectation is silent about them, an error is the room's and has a plain sentence.
fn completed(expected: &Tree) -> Tree {
    let mut expected = expected.clone();
    for error in expected.subtrees().filter(|child| child.name == "error" && child.ns == ns::CLIENT) {
        let is_open = error.children.contains(&Branch::More) || error.attrs.contains_key("and-more");
        if is_open {
            continue;
        }
        error.attrs.entry("by".to_owned()).or_insert_with(|| cast::HALL.to_owned());
        if !error.has("text", ns::STANZAS) {
            let text = Tree {
                name: "text".to_owned(),
                ns: ns::STANZAS.to_owned(),
                attrs: BTreeMap::new(),
                children: vec![Branch::Text("*".to_owned())],
            };
            error.children.push(Branch::Tree(text));
        }
    }
    expected
}

/// What was heard, less the address, the versions of the lists and the ids that promises watch over where the script does not name them.
fn reduced(mut heard: Tree, expected: &Tree) -> Tree {
    if expected.attr("to").is_none() {
        heard.attrs.remove("to");
    }
    for (name, ns) in [("occupant-id", ns::OCCUPANT_ID), ("stanza-id", ns::SID)] {
        if !expected.has(name, ns) {
            heard.without(name, ns);
        }
    }
    let names_versions = |tree: &Tree| tree.trees().any(|x| x.ns == ns::MUC_USER && x.has("mav", ns::MAV));
    if !names_versions(expected) {
        for x in heard.subtrees().filter(|child| child.ns == ns::MUC_USER) {
            x.without("mav", ns::MAV);
        }
    }
    heard
}

/// The same as a script says it: what [`completed`] adds is left out.
fn for_script(mut heard: Tree) -> Tree {
    for error in heard.subtrees().filter(|child| child.name == "error") {
        if error.attr("by") == Some(cast::HALL) {
            error.attrs.remove("by");
            error.without("text", ns::STANZAS);
        }
    }
    heard
}

/// Expected over heard, one child a line, the lines that differ marked.
fn side_by_side(expected: &Tree, heard: &Tree) -> String {
    let (wanted, said) = (lines(expected), lines(heard));
    let fits = |wanted: &Line, said: &Line| wanted.text == said.text || wanted.head.is_met_by(&said.head);
    let mut out = String::from("  expected:\n");
    for line in &wanted {
        let is_fine = line.text.trim() == "…" || said.iter().any(|said| fits(line, said));
        let _ = writeln!(out, "   {} {}", if is_fine { ' ' } else { '!' }, line.text);
    }
    out.push_str("  heard:\n");
    for line in &said {
        let is_fine = wanted.iter().any(|wanted| fits(wanted, line));
        let _ = writeln!(out, "   {} {}", if is_fine { ' ' } else { '!' }, line.text);
    }
    out.pop();
    out
}

/// One line of a report, and what it shows: an element without its child elements.
struct Line {
    text: String,
    head: Tree,
}

fn lines(tree: &Tree) -> Vec<Line> {
    fn walk(tree: &Tree, around: &str, depth: usize, out: &mut Vec<Line>) {
        let indent = "  ".repeat(depth);
        if tree.trees().next().is_none() {
            out.push(Line { text: format!("{indent}{}", tree.to_script(around)), head: tree.clone() });
            return;
        }
        let mut head = tree.clone();
        head.children.clear();
        let text = format!("{indent}{}", head.to_script(around).replace("/>", ">"));
        out.push(Line { text, head: head.clone() });
        for child in &tree.children {
            let text = match child {
                Branch::Tree(child) => {
                    walk(child, &tree.ns, depth + 1, out);
                    continue;
                }
                Branch::Text(text) => text,
                Branch::More => "…",
            };
            out.push(Line { text: format!("{indent}  {text}"), head: head.clone() });
        }
    }
    let mut out = Vec::new();
    walk(tree, ns::CLIENT, 0, &mut out);
    out
}

/// A stanza of a script as the room gets it.
pub(crate) fn inbound(who: &Jid, tree: &Tree) -> Result<Inbound, String> {
    let kind = match tree.name.as_str() {
        "message" => Kind::Message,
        "presence" => Kind::Presence,
        "iq" => Kind::Iq,
        other => return Err(format!("<{other}/> is no stanza")),
    };
    let to = tree.attr("to").ok_or("it is addressed to nobody")?;
    let to = Jid::parse(to).map_err(|why| format!("`{to}` is no address: {why}"))?;
    let xml = tree.to_xml();
    let element = element::parse(&xml).ok_or_else(|| format!("no XML: {xml}"))?;
    let stanza = Stanza {
        kind,
        type_: Type::parse(tree.attr("type")),
        from: who.clone(),
        id: tree.attr("id").map(str::to_owned),
        lang: tree.attr("xml:lang").map(str::to_owned),
        payload: element.children().cloned().collect(),
    };
    Ok(Inbound { stanza, to })
}

fn with_settings(config: RoomConfig, settings: &[(String, String)]) -> Result<RoomConfig, String> {
    let mut known = match serde_json::to_value(config) {
        Ok(Value::Object(known)) => known,
        other => return Err(format!("a configuration is no object: {other:?}")),
    };
    for (key, value) in settings {
        let slot = known.get_mut(key).ok_or_else(|| format!("room hall: no key `{key}`"))?;
        *slot = serde_json::from_str(value).map_err(|why| format!("room hall: {key} = {value}: {why}"))?;
    }
    serde_json::from_value(Value::Object(known)).map_err(|why| format!("room hall: {why}"))
}

/// The rules of a generous service.
pub(crate) fn generous() -> ServiceRules {
    ServiceRules {
        domain: BareJid::parse(cast::SERVICE).expect("a constant"),
        admins: vec![cast::sven()],
        blocked: Blocked::default(),
        creation: Creators::Anyone,
        defaults: RoomConfig::default(),
        fixed: Vec::new(),
        locks_new_rooms: true,
        takes_groupchat_1: false,
        voice_request_ms: 0,
        occupants_max: 100,
        sessions_max: 5,
        history_max: 100,
        archive_days_max: 0,
        slow_mode_max: 86_400,
        mentions_per_hour: 20,
        affiliations_max: 100,
        body_bytes_max: 4_096,
        nick_chars_max: 32,
        tombstone_ms: 86_400_000,
        lock_ms: 600_000,
        identity: Identity::default(),
    }
}

fn rules(settings: &[(String, String)]) -> Result<ServiceRules, String> {
    let mut rules = generous();
    let mut defaults = Map::new();
    for (key, value) in settings {
        let json: Value = serde_json::from_str(value).map_err(|why| format!("service: {key} = {value}: {why}"))?;
        let number = || json.as_u64().ok_or_else(|| format!("service: {key} = {value}: a number is wanted"));
        match key.as_str() {
            "creation" => {
                rules.creation = match json.as_str() {
                    Some("anyone") => Creators::Anyone,
                    Some("local") => Creators::Local,
                    Some("admins") => Creators::Admins,
                    _ => return Err(format!("service: creation = {value}: anyone, local or admins")),
                }
            }
            "fixed" => {
                let keys: Vec<String> = serde_json::from_value(json).map_err(|why| format!("service: fixed: {why}"))?;
                let known = |key: &String| option::of_key(key).ok_or_else(|| format!("service: no option `{key}`"));
                rules.fixed = keys.iter().map(|key| known(key).map(|option| option.key)).collect::<Result<_, _>>()?;
            }
            "blocked" => {
                let entries = json.as_array().ok_or("service: blocked takes a list")?;
                rules.blocked = Blocked::parse(entries.iter().filter_map(Value::as_str))?;
            }
            "locks_new_rooms" => rules.locks_new_rooms = json.as_bool().ok_or("service: true or false")?,
            "takes_groupchat_1" => rules.takes_groupchat_1 = json.as_bool().ok_or("service: true or false")?,
            "voice_request_ms" => rules.voice_request_ms = number()?.cast_signed(),
            "occupants_max" => rules.occupants_max = small(number()?)?,
            "sessions_max" => rules.sessions_max = small(number()?)?,
            "archive_days_max" => rules.archive_days_max = small(number()?)?,
            "slow_mode_max" => rules.slow_mode_max = small(number()?)?,
            "mentions_per_hour" => rules.mentions_per_hour = small(number()?)?,
            "history_max" => rules.history_max = small(number()?)?,
            "affiliations_max" => rules.affiliations_max = small(number()?)?,
            "body_bytes_max" => rules.body_bytes_max = small(number()?)? as usize,
            "nick_chars_max" => rules.nick_chars_max = small(number()?)? as usize,
            "tombstone_ms" => rules.tombstone_ms = number()?.cast_signed(),
            "vcard_bytes_max" => rules.identity.vcard_bytes_max = small(number()?)? as usize,
            "is_cisco" => rules.identity.is_cisco = json.as_bool().ok_or("service: true or false")?,
            "webchat_url" => rules.identity.webchat_url = json.as_str().map(str::to_owned),
            "hats_max" => rules.identity.hats_max = small(number()?)?,
            "lock_ms" => rules.lock_ms = number()?,
            other => {
                defaults.insert(other.to_owned(), json);
            }
        }
    }
    let defaults: Vec<(String, String)> = defaults.into_iter().map(|(key, json)| (key, json.to_string())).collect();
    rules.defaults = with_settings(rules.defaults, &defaults)?;
    Ok(rules)
}

fn small(number: u64) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("service: {number} is too large"))
}
