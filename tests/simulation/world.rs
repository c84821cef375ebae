//! The world: one queue of what happens when, two nodes, a database, a server, clients. Nothing in it knows chance but
//! by the seed, so that any run can be had again.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_muc_core::pair::Level;
use tandem_muc_core::stanza::{Inbound, Stanza};

use crate::chance::Chance;
use crate::client::Client;
use crate::clock::Clock;
use crate::database::{Answers, Ask, Asker, Database, Said};
use crate::faults::LastStep;
use crate::flaw::Flaw;
use crate::node::{Brain, Deed, NAMES, News, Setting, Up};
use crate::plan::{BUDGET_MS, END_MS, Fault, MENDED_MS, Plan, SILENT_MS, Step};
use crate::server::Server;
use crate::stanzas::ROOMS;
use crate::truth::Truth;
use crate::wire::{Line, Wire};

/// One thing that happens.
#[derive(Debug)]
pub(crate) enum Happening {
    News {
        node: usize,
        life: u32,
        news: News,
    },
    Ask(Asker, Ask),
    Say(Asker, Said),
    Up(Line),
    Down(Line),
    Sent(Arc<Inbound>),
    Heard(usize, Arc<Stanza>),
    Act(usize),
    Fault(Fault),
    Start(usize),
    Resume(usize),
    LifeEnded(usize, u32),
    SessionsEnded(usize),
    DatabaseUp,
    RelayTick,
    RelayUp,
    Mended,
    /// Somebody must serve, or be about to for the third time it is looked.
    InTime(u32),
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) clock: Clock,
    pub(crate) life: u32,
    pub(crate) brain: Option<Brain>,
    pub(crate) is_paused: bool,
    pub(crate) backlog: Vec<News>,
    /// What goes to and from the database is lost, or late, until then; and so with the stream.
    pub(crate) database_cut_until: u64,
    pub(crate) database_late_until: u64,
    pub(crate) stream_late_until: u64,
    pub(crate) answers_lost: u32,
    pub(crate) last_step: Option<LastStep>,
}

/// A run that is over.
pub(crate) struct Run {
    pub(crate) broken: Option<String>,
    pub(crate) seen: Seen,
    /// Only where it was asked for.
    pub(crate) trace: Vec<String>,
}

/// How often things happened: the proof that runs are not empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(pub(crate) BTreeMap<&'static str, u64>);

impl Seen {
    pub(crate) fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    pub(crate) fn union(&mut self, other: &Seen) {
        for (what, count) in &other.0 {
            self.add(what, *count);
        }
    }
}

pub(crate) struct World {
    pub(crate) now: u64,
    happenings: BTreeMap<(u64, u64), Happening>,
    nth: u64,
    pub(crate) chance: Chance,
    pub(crate) plan: Plan,
    pub(crate) setting: Setting,
    pub(crate) database: Database,
    pub(crate) hosts: [Host; 2],
    pub(crate) wires: BTreeMap<Line, Wire>,
    pub(crate) server: Server,
    pub(crate) clients: Vec<Client>,
    pub(crate) truth: Truth,
    pub(crate) is_mended: bool,
    pub(crate) orders: usize,
    trace: Option<Vec<String>>,
    pub(crate) seen: Seen,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, flaw: Flaw, is_traced: bool) -> World {
        let mut chance = Chance::of(seed ^ 0xdead_beef);
        let [a, b, of_database] = plan.drift_ppm;
        let host = |drift: i64, start: u64| Host {
            clock: Clock::new(drift, start, 1_700_000_000_000),
            life: 0,
            brain: None,
            is_paused: false,
            backlog: Vec::new(),
            database_cut_until: 0,
            database_late_until: 0,
            stream_late_until: 0,
            answers_lost: 0,
            last_step: None,
        };
        let hosts = [host(a, 10_000), host(b, 7_777_000)];
        let is_patient = plan.level == Level::Relay && !plan.forgets() && !plan.restarts_relay();
        let truth = Truth::new(plan.ends_leases_early(), plan.forgets());
        let mut world = World {
            now: 0,
            happenings: BTreeMap::new(),
            nth: 0,
            setting: Setting {
                level: plan.level,
                flaw,
                queue_max: plan.queue_max,
                fallback_after_ms: plan.fallback_after_ms,
            },
            database: Database::new(Clock::new(of_database, 0, 1_700_000_100_000), plan.forgets(), flaw),
            hosts,
            wires: BTreeMap::new(),
            server: Server::new(plan.level),
            clients: (0..plan.clients).map(|nth| Client::new(nth, is_patient)).collect(),
            truth,
            is_mended: false,
            orders: 0,
            trace: is_traced.then(Vec::new),
            seen: Seen::default(),
            chance: chance.clone(),
            plan,
        };
        for node in 0..2 {
            world.at(chance.between(1, 400), Happening::Start(node));
        }
        for client in 0..world.clients.len() {
            world.at(1_000 + chance.between(0, 900), Happening::Act(client));
        }
        for (at, fault) in world.plan.faults.clone() {
            world.at(at, Happening::Fault(fault));
        }
        world.at(MENDED_MS, Happening::Mended);
        world.at(MENDED_MS + BUDGET_MS, Happening::InTime(0));
        world.at(END_MS - 2_000, Happening::InTime(0));
        world
    }

    /// Runs until the end, or until something is broken.
    pub(crate) fn run(mut self) -> Run {
        while let Some(((at, _), happening)) = self.happenings.pop_first()
            && at <= END_MS
            && self.truth.broken.is_none()
        {
            self.now = at;
            self.seen.add("steps", 1);
            self.happens(happening);
        }
        if self.truth.broken.is_none() {
            self.check_end();
        }
        Run { broken: self.truth.broken, seen: self.seen, trace: self.trace.unwrap_or_default() }
    }

    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.nth += 1;
        self.happenings.insert((at.max(self.now), self.nth), happening);
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>6} {}", now, what()));
        }
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::News { node, life, news } => self.news(node, life, news),
            Happening::Ask(asker, ask) => self.carry_out(asker, ask),
            Happening::Say(asker, said) => {
                self.news(asker.node, asker.life, News::Said(asker.id, said));
            }
            Happening::Up(line) => self.arrives_up(line),
            Happening::Down(line) => self.arrives_down(line),
            Happening::Sent(inbound) => self.sent(inbound),
            Happening::Heard(client, stanza) => {
                let (now, truth) = (self.now, &mut self.truth);
                self.clients[client].hears(now, &stanza, truth);
            }
            Happening::Act(client) => self.act(client),
            Happening::Fault(fault) => self.fails(&fault),
            Happening::Start(node) => self.start(node),
            Happening::Resume(node) => self.resume(node),
            Happening::LifeEnded(node, life) => {
                let answers = self.database.life_ended(self.now, node, life);
                self.say(answers);
            }
            Happening::SessionsEnded(node) => {
                let answers = self.database.end_sessions(self.now, node);
                self.say(answers);
            }
            Happening::DatabaseUp => self.database.is_up = true,
            Happening::RelayTick => self.relay_tick(),
            Happening::RelayUp => self.relay_up(),
            Happening::Mended => self.mend(),
            Happening::InTime(looked) => self.check_served(looked),
        }
    }

    /// Brings `news` to a node, if it still lives that life; a stopped process finds it later.
    pub(crate) fn news(&mut self, node: usize, life: u32, news: News) {
        let host = &mut self.hosts[node];
        if host.life != life {
            return;
        }
        if host.is_paused {
            return host.backlog.push(news);
        }
        let Some(brain) = &mut host.brain else { return };
        let chance = u128::from(self.chance.bits()) << 64 | u128::from(self.chance.bits());
        let now = host.clock.now(self.now, chance);
        let mut deeds = Vec::new();
        brain.handle(now, news, &mut deeds);
        for deed in deeds {
            self.does(node, life, deed);
        }
    }

    fn does(&mut self, node: usize, life: u32, deed: Deed) {
        let line = |stream| (node, life, stream);
        match deed {
            Deed::Ask(id, ask) => self.ask(node, id, ask),
            Deed::Connect(stream) => {
                self.connect(line(stream));
                self.did(node, Step::Connect);
            }
            Deed::Write(stream, up) => {
                let step = match up {
                    Up::Word(_) => Some(Step::Word),
                    Up::Ack(_) => Some(Step::Ack),
                    _ => None,
                };
                self.write_up(line(stream), up);
                if let Some(step) = step {
                    self.did(node, step);
                }
            }
            Deed::Reset(stream) => self.reset(line(stream)),
            Deed::After(wait, news) => self.at(self.now + wait, Happening::News { node, life, news }),
            Deed::ReportLoss(groups) => {
                self.note(|| format!("{}: the database lost {groups} groups or more", NAMES[node]));
                self.seen.add("losses reported", 1);
                self.truth.reported(node);
            }
            Deed::Handled(inbound) => self.note(|| {
                let Stanza { kind, type_, from, id, .. } = &inbound.stanza;
                format!("{}: handles {kind:?} {type_:?} of {from} {id:?} to {}", NAMES[node], inbound.to)
            }),
            Deed::Exit => {
                self.note(|| format!("{}: exits", NAMES[node]));
                self.process_ends(node, true);
            }
            Deed::Count(what, count) => self.seen.add(what, count),
            Deed::Note(what) => self.note(|| format!("{}: {what}", NAMES[node])),
        }
    }

    fn ask(&mut self, node: usize, id: u64, ask: Ask) {
        let (low, high) = self.plan.database_ms;
        let wait = self.chance.between(low, high);
        let host = &self.hosts[node];
        let asker = Asker { node, life: host.life, session: self.database.sessions[node], id };
        let is_of_session = matches!(ask, Ask::Lock | Ask::Unlock { .. });
        let is_cut = self.now < host.database_cut_until;
        if is_cut && !is_of_session {
            return;
        }
        let from = self.now.max(host.database_late_until).max(host.database_cut_until);
        self.at(from + wait, Happening::Ask(asker, ask));
    }

    fn carry_out(&mut self, asker: Asker, ask: Ask) {
        let is_change = matches!(ask, Ask::Append(_) | Ask::Acquire { .. } | Ask::HandOver { .. });
        let step = match &ask {
            Ask::Acquire { .. } => Some(Step::Acquire),
            Ask::Open { .. } => Some(Step::Open),
            Ask::Append(_) => Some(Step::Append),
            Ask::HandOver { .. } => Some(Step::HandOver),
            Ask::PassOn { .. } => Some(Step::PassOn),
            Ask::Release { .. } => Some(Step::Release),
            Ask::Look { .. }
            | Ask::Renew { .. }
            | Ask::PassedOn { .. }
            | Ask::Lock
            | Ask::Unlock { .. }
            | Ask::EndOrder { .. }
            | Ask::Moved => None,
        };
        // Who waits for a lock and is dead waits no more.
        if matches!(ask, Ask::Lock) && self.hosts[asker.node].life != asker.life {
            return;
        }
        let shown = self.trace.is_some().then(|| format!("{ask:?}"));
        let mut answers = self.database.carry_out(self.now, asker, ask, &mut self.truth);
        if let Some(shown) = shown.filter(|shown| !shown.starts_with("Look") && !shown.starts_with("Renew")) {
            let short: String = shown.chars().take(160).collect();
            let said: String = format!("{answers:?}").chars().take(200).collect();
            self.note(|| format!("database: {} asked {short} -> {said}", NAMES[asker.node]));
        }
        let host = &mut self.hosts[asker.node];
        if is_change && host.answers_lost > 0 {
            host.answers_lost -= 1;
            answers.retain(|(to, _)| *to != asker);
        }
        self.say(answers);
        if let Some(step) = step.filter(|_| self.hosts[asker.node].life == asker.life) {
            self.did(asker.node, step);
        }
    }

    pub(crate) fn say(&mut self, answers: Answers) {
        let (low, high) = self.plan.database_ms;
        for (asker, said) in answers {
            let wait = self.chance.between(low, high);
            let host = &self.hosts[asker.node];
            let is_of_session = matches!(said, Said::Locked(_) | Said::Unlocked);
            if self.now < host.database_cut_until && !is_of_session {
                continue;
            }
            let from = self.now.max(host.database_late_until).max(host.database_cut_until);
            self.at(from + wait, Happening::Say(asker, said));
        }
    }

    fn act(&mut self, client: usize) {
        let now = self.now;
        let wait = self.chance.between(150, 1_000);
        if now < SILENT_MS {
            let may_leave = now < MENDED_MS;
            let said = self.clients[client].act(now, may_leave, &mut self.chance, &mut self.truth);
            self.client_says(client, said);
        } else {
            for place in 0..ROOMS.len() {
                let said = self.clients[client].look(place, now);
                self.client_says(client, said);
            }
        }
        // Now and then several things in one go.
        let wait = if now < SILENT_MS && self.chance.is(25) { self.chance.between(0, 3) } else { wait };
        self.at(now + wait, Happening::Act(client));
    }

    fn client_says(&mut self, client: usize, said: Option<Inbound>) {
        let Some(said) = said else { return };
        let sends_at = self.clients[client].sends_from.max(self.now + self.chance.between(0, 2));
        self.clients[client].sends_from = sends_at;
        self.at(sends_at, Happening::Sent(Arc::new(said)));
    }

    pub(crate) fn serves(&self, node: usize) -> bool {
        let host = &self.hosts[node];
        let now = host.clock.now(self.now, 0);
        !host.is_paused && host.brain.as_ref().is_some_and(|brain| brain.serves(now))
    }

    /// A planned move under way is no fault.
    fn check_served(&mut self, looked: u32) {
        if self.serves(0) || self.serves(1) {
            return;
        }
        if looked < 2 {
            self.at(self.now + 300, Happening::InTime(looked + 1));
        } else {
            let how = self
                .hosts
                .each_ref()
                .map(|host| host.brain.as_ref().map(|brain| (brain.pair().standing().clone(), brain.pair().reigns())));
            self.truth.breaks(format!("nobody serves {BUDGET_MS} ms after everything was mended: {how:?}"));
        }
    }

    fn check_end(&mut self) {
        self.seen.add("messages archived", (0..ROOMS.len()).map(|place| self.truth.count(place).unsigned_abs()).sum());
        for client in &self.clients {
            client.check(&mut self.truth);
        }
        if !self.plan.forgets() && self.plan.loses_nothing() {
            self.truth.check_sent();
        }
        if let Some((node, life)) = self.truth.unreported
            && self.hosts[node].life == life
        {
            self.truth.breaks(format!("node {node} knew of what the database lost, and never said so"));
        }
    }
}
