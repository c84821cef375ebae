//! What goes wrong, carried out; and everything mended again.

use tandem_muc_core::pair::OrderKind;

use crate::node::{Brain, Down, NAMES, News};
use crate::plan::{Fault, Step};
use crate::wire::Line;
use crate::world::{Happening, World};

/// How long a database keeps the session of a host that is gone.
const KEEPALIVE_MS: u64 = 3_000;
/// How long a server keeps the stream of a host that is gone.
const STREAM_KEPT_MS: u64 = 12_000;

/// The step at which a process is to die or to stop.
#[derive(Clone, Debug)]
pub(crate) struct LastStep {
    step: Step,
    is_after_answer: bool,
    stops_for: Option<u64>,
    back_after: u64,
}

impl World {
    /// A step is done: it may have been the last one.
    pub(crate) fn did(&mut self, node: usize, step: Step) {
        let Some(last) = self.hosts[node].last_step.take_if(|last| last.step == step) else { return };
        let LastStep { is_after_answer, stops_for, back_after, .. } = last;
        self.seen.add("stopped at a step", 1);
        let at = self.now + if is_after_answer { self.plan.database_ms.1 + self.chance.between(0, 3) } else { 0 };
        let fault = match stops_for {
            Some(span) => Fault::Pause { node, span },
            None => Fault::Kill { node, back_after },
        };
        self.at(at, Happening::Fault(fault));
    }

    pub(crate) fn fails(&mut self, fault: &Fault) {
        if self.is_mended {
            return;
        }
        self.note(|| format!("FAULT {fault:?}"));
        let now = self.now;
        match fault.clone() {
            Fault::Kill { node, back_after } => {
                self.process_ends(node, true);
                self.at(now + back_after, Happening::Start(node));
            }
            Fault::KillBoth { back_after } => {
                for (node, back_after) in back_after.into_iter().enumerate() {
                    self.process_ends(node, true);
                    self.at(now + back_after, Happening::Start(node));
                }
            }
            Fault::HostGone { node, back_after } => {
                self.process_ends(node, false);
                self.at(now + back_after, Happening::Start(node));
            }
            Fault::Pause { node, span } => {
                self.hosts[node].is_paused = true;
                self.at(now + span, Happening::Resume(node));
            }
            Fault::Stop { node, back_after } => {
                let life = self.hosts[node].life;
                self.news(node, life, News::Stop);
                self.at(now + 5_000 + back_after, Happening::Start(node));
            }
            Fault::DatabaseStall { node, span } => self.hosts[node].database_late_until = now + span,
            Fault::DatabaseCut { node, span } => {
                self.hosts[node].database_cut_until = now + span;
                if span >= KEEPALIVE_MS {
                    self.at(now + KEEPALIVE_MS, Happening::SessionsEnded(node));
                }
            }
            Fault::AnswersLost { node, count } => self.hosts[node].answers_lost += count,
            Fault::DatabaseRestart { span } => {
                self.crash_database();
                self.at(now + span.min(12_000), Happening::DatabaseUp);
            }
            Fault::Rollback { span } => self.roll_back(span),
            Fault::DatabaseClock { by } => self.database.clock.jump(by),
            Fault::NodeClock { node, by } => self.hosts[node].clock.jump(by),
            Fault::StreamReset { node } => self.reset_stream(node),
            Fault::StreamStall { node, span } => self.hosts[node].stream_late_until = now + span,
            Fault::RelayRestart { span } => self.restart_relay(span),
            Fault::SlowClient { client, span } => {
                let client = &mut self.clients[client];
                client.hears_from = client.hears_from.max(now + span);
            }
            Fault::Order { kind } => self.order(kind),
            Fault::At { node, step, is_after_answer, stops_for, back_after } => {
                self.hosts[node].last_step = Some(LastStep { step, is_after_answer, stops_for, back_after });
            }
        }
    }

    fn order(&mut self, kind: OrderKind) {
        self.orders += 1;
        self.database.give_order(self.now, self.orders, kind);
    }

    fn crash_database(&mut self) {
        self.database.is_up = false;
        let answers = self.database.crash();
        self.say(answers);
    }

    /// The database is back at once, as it was a while ago.
    fn roll_back(&mut self, span: u64) {
        let before = (self.database.rows.fence.epoch, self.database.rows.fence.seq);
        self.crash_database();
        self.database.is_up = true;
        self.database.rows.forget_since(self.now.saturating_sub(span));
        let counts = self.truth.forgot(&self.database.rows.messages);
        for client in &mut self.clients {
            client.forgets(counts);
        }
        let after = (self.database.rows.fence.epoch, self.database.rows.fence.seq);
        self.note(|| format!("the database went from {before:?} back to {after:?}"));
        let knows = |host: &crate::world::Host| {
            let reign = host.brain.as_ref().and_then(|brain| brain.pair().reigns());
            reign == Some(after.0) && host.brain.as_ref().is_some_and(|brain| brain.knows_of(after.1 + 1))
        };
        if before.0 == after.0
            && let Some(node) = self.hosts.iter().position(knows)
        {
            self.truth.unreported = Some((node, self.hosts[node].life));
        }
    }

    pub(crate) fn start(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        if host.brain.is_some() {
            return;
        }
        host.is_paused = false;
        host.backlog.clear();
        let now = host.clock.now(self.now, 0);
        host.brain = Some(Brain::start(node, now, &self.setting));
        let life = host.life;
        self.note(|| format!("{}: starts", NAMES[node]));
        // The first deeds of a process are its timers.
        self.at(self.now, Happening::News { node, life, news: News::Again });
    }

    pub(crate) fn resume(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        if !std::mem::take(&mut host.is_paused) {
            return;
        }
        let (life, backlog) = (host.life, std::mem::take(&mut host.backlog));
        self.note(|| format!("{}: goes on, with {} things to do", NAMES[node], backlog.len()));
        for news in backlog {
            self.news(node, life, news);
        }
    }

    /// A process is gone; its connections are reset if its host is still there.
    pub(crate) fn process_ends(&mut self, node: usize, is_seen: bool) {
        let host = &mut self.hosts[node];
        if host.brain.take().is_none() {
            return;
        }
        let life = host.life;
        host.life += 1;
        (host.is_paused, host.answers_lost) = (false, 0);
        host.backlog.clear();
        let lines: Vec<Line> = self.wires.keys().filter(|line| (line.0, line.1) == (node, life)).copied().collect();
        for line in lines {
            if is_seen {
                self.reset(line);
            } else {
                self.forsake(line, self.now + STREAM_KEPT_MS);
            }
        }
        let wait = if is_seen { self.chance.between(1, 6) } else { KEEPALIVE_MS };
        self.at(self.now + wait, Happening::LifeEnded(node, life));
    }

    fn reset_stream(&mut self, node: usize) {
        let life = self.hosts[node].life;
        let Some((stream, _)) = self.hosts[node].brain.as_ref().and_then(Brain::stream) else { return };
        self.reset((node, life, stream));
        self.at(self.now + 1, Happening::News { node, life, news: News::Down(stream, Down::Closed) });
    }

    /// Everything runs again, and an operator allows what was forbidden.
    pub(crate) fn mend(&mut self) {
        self.is_mended = true;
        self.note(|| "MENDED".to_owned());
        self.database.is_up = true;
        self.relay_up();
        for node in 0..2 {
            let host = &mut self.hosts[node];
            (host.database_cut_until, host.database_late_until, host.stream_late_until) = (0, 0, 0);
            (host.answers_lost, host.last_step) = (0, None);
            self.resume(node);
            self.start(node);
        }
        self.order(OrderKind::Resume);
        self.order(OrderKind::Recover);
    }
}
