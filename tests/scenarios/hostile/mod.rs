//! Strangers and occupants throw well-formed nonsense at a room: random stanzas of all kinds made of fragments
//! the room knows, half knows and does not know. Seeded, so that what fails once fails again.
//!
//! Whatever comes, the promises hold (see `promises`), a room restored from its image answers every input as the one
//! that lived, what each session has heard adds up to who is inside, no real JID reaches somebody who may not see it,
//! and what the room tells of itself is its configuration.

mod dice;
mod leaks;
mod pieces;
mod told;
mod views;
mod words;

use std::sync::Arc;

use tandem_muc_core::muc::{AllowPm, RoleName, RoomConfig, Whois};
use tandem_muc_core::record::Seq;
use tandem_muc_core::room::{Creators, Input, ServiceRules};

use self::dice::Dice;
use self::leaks::Leaks;
use self::pieces::TYPED;
use self::views::Views;
use self::words::{Known, Offer};
use crate::cast;
use crate::stage::{Stage, generous, inbound};
use crate::tree::{self, Tree};

const SEEDS: u64 = 12;
const STEPS: u32 = 400;
/// Requests to clients that somebody may still answer.
const RELAYED_MAX: usize = 4;
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

/// One room and all that is known of it.
struct Siege {
    stage: Stage,
    dice: Dice,
    views: Views,
    leaks: Leaks,
    known: Known,
    /// Who got which request from whom.
    relayed: Vec<(String, String, String)>,
}

#[test]
fn nonsense_breaks_no_promise() {
    for seed in from()..from() + seeds() {
        let mut siege = Siege::lay(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        for step in 0..STEPS {
            if let Err(why) = siege.throw() {
                panic!("seed {seed}, step {step}: {why}\n(again: HOSTILE_FROM={seed} HOSTILE_SEEDS=1)");
            }
        }
    }
}

/// `HOSTILE_SEEDS=1000` looks longer.
fn seeds() -> u64 {
    number("HOSTILE_SEEDS").unwrap_or(SEEDS)
}

/// `HOSTILE_FROM=7` begins with the seventh.
fn from() -> u64 {
    number("HOSTILE_FROM").unwrap_or(1)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|count| count.parse().ok())
}

impl Siege {
    fn lay(seed: u64) -> Result<Siege, String> {
        let mut dice = Dice { seed, thrown: 0 };
        let rules = Arc::new(rules(&mut dice));
        let mut stage = Stage::empty(&rules);
        if !dice.one_in(4) {
            let config = config(&mut dice);
            stage.open(config, cast::affiliations(""));
        }
        let known = Known { offers: offers(&rules)?, ids: Vec::new() };
        Ok(Siege { stage, dice, views: Views::default(), leaks: Leaks::new(), known, relayed: Vec::new() })
    }

    fn throw(&mut self) -> Result<(), String> {
        self.let_time_pass()?;
        let (who, text) = self.choose();
        let text = text.replace("SENDER", &cast::expand(&who));
        let told = |why: String| format!("{why}\n  after {who} > {text}");
        let session =
            cast::session(&who).or_else(|_| tandem_muc_core::name::Jid::parse(&who).map_err(|why| why.to_string()));
        let said = tree::read(&text).map_err(told)?;
        let asked = inbound(&session?, &said).map_err(told)?;
        self.leaks.note(&said);
        let before = self.stage.room.image();
        self.stage.hand_in(Input::Stanza(&asked)).map_err(told)?;
        let after = self.stage.room.image();
        self.leaks.check(&before, &after, &self.stage, Some(&asked)).map_err(told)?;
        self.learn();
        self.views.hear(&mut self.stage).map_err(told)?;
        self.views.are_true(&self.stage).map_err(told)?;
        if self.dice.one_in(10) {
            told::discovery_is_the_configuration(&mut self.stage).map_err(told)?;
        }
        if self.dice.one_in(10) {
            told::the_form_is_the_configuration(&mut self.stage).map_err(told)?;
        }
        Ok(())
    }

    fn let_time_pass(&mut self) -> Result<(), String> {
        let before = self.stage.room.image();
        match self.dice.below(16) {
            0 => self.stage.reload()?,
            1 => self.stage.pass(self.dice.below(6_000)),
            2 if self.dice.one_in(4) => self.stage.wait(self.dice.below(12_000), false)?,
            3 => self.stage.repeat_last(),
            4 if self.dice.one_in(4) => {
                let upto = Seq(self.dice.below(40).cast_signed());
                self.stage.hand_in(Input::Expire(upto))?;
            }
            _ => {}
        }
        let after = self.stage.room.image();
        self.leaks.check(&before, &after, &self.stage, None)?;
        self.views.hear(&mut self.stage)
    }

    /// Who says what. Half of it comes from people who may do something.
    fn choose(&mut self) -> (String, String) {
        if !self.relayed.is_empty() && self.dice.one_in(6) {
            let (who, to, id) = self.relayed.remove(self.dice.index(self.relayed.len()));
            let text = words::answer(&mut self.dice, &to, &id, &who);
            return (who, text);
        }
        let among = if self.dice.one_in(2) { 3 } else { SESSIONS.len() };
        let (who, nick) = SESSIONS[self.dice.index(among)];
        (who.to_owned(), words::stanza(&mut self.dice, nick, &self.known))
    }

    /// Ids heard, to be named later, and requests to be answered.
    fn learn(&mut self) {
        let heard: Vec<(String, Tree)> =
            self.stage.heard().map(|(who, said)| (who.to_string(), said.clone())).collect();
        for (who, said) in heard {
            let is_from_occupant = said.attr("from").is_some_and(|from| from.contains('/'));
            match (said.name.as_str(), said.attr("type"), said.attr("id")) {
                ("iq", Some("get" | "set"), Some(id)) if is_from_occupant => {
                    let to = said.attr("from").unwrap_or_default().to_owned();
                    self.relayed.push((who, to, id.to_owned()));
                    if self.relayed.len() > RELAYED_MAX {
                        self.relayed.remove(0);
                    }
                }
                ("message", Some("groupchat"), _) => {
                    let id = said.trees().find(|child| child.name == "stanza-id").and_then(|id| id.attr("id"));
                    self.known.ids.extend(id.map(str::to_owned));
                }
                _ => {}
            }
        }
        let surplus = self.known.ids.len().saturating_sub(8);
        self.known.ids.drain(..surplus);
    }
}

/// The fields of the form of a room under these rules. Slow mode is left out: who spoke last is in part remembered only
/// as long as the room is in memory, so that a restored one may let somebody speak sooner.
fn offers(rules: &Arc<ServiceRules>) -> Result<Vec<Offer>, String> {
    let mut stage = Stage::empty(rules);
    stage.open(RoomConfig::default(), Vec::new());
    let form = told::form(&mut stage)?;
    let fields = told::fields_of(&form)?;
    let is_offered = |field: &told::Field<'_>| {
        !matches!(field.type_, "hidden" | "fixed") && field.var != "muc#roomconfig_slow_mode_duration"
    };
    let fields = fields.into_iter().filter(is_offered);
    let offer = |field: told::Field<'_>| Offer {
        var: field.var.to_owned(),
        type_: field.type_.to_owned(),
        words: field.options,
    };
    Ok(fields.map(offer).collect())
}

/// Nobody waits before asking for voice again, for who asked when is remembered only in memory.
fn rules(dice: &mut Dice) -> ServiceRules {
    ServiceRules {
        creation: if dice.one_in(3) { Creators::Local } else { Creators::Anyone },
        defaults: config(dice),
        locks_new_rooms: dice.one_in(3),
        occupants_max: 6,
        sessions_max: 2,
        history_max: 8,
        fixed: if dice.one_in(4) { vec!["public", "whois"] } else { Vec::new() },
        archive_days_max: 0,
        affiliations_max: 9,
        body_bytes_max: 64,
        nick_chars_max: 8,
        voice_request_ms: 0,
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
        history_default: 5,
        archive_days: u32::from(dice.one_in(3)),
        ..RoomConfig::default()
    }
}
