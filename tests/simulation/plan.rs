//! What a seed decides before a run begins: the set-up, and what will go wrong when.

use tandem_muc_core::pair::{Level, OrderKind};

use crate::chance::Chance;

/// When things begin to go wrong, when everything is mended, when clients fall silent, when all must have been heard.
pub(crate) const CHAOS_FROM_MS: u64 = 3_000;
pub(crate) const MENDED_MS: u64 = 24_000;
pub(crate) const SILENT_MS: u64 = 37_000;
pub(crate) const END_MS: u64 = 42_000;
/// How long after everything is mended somebody must serve: a lease, twice the patience, slack for attempts under way.
pub(crate) const BUDGET_MS: u64 = 2_000 + 2 * 3_000 + 2_500;

/// One thing that goes wrong. Spans in milliseconds.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The process dies; its connections are reset.
    Kill { node: usize, back_after: u64 },
    /// Both die at once.
    KillBoth { back_after: [u64; 2] },
    /// The host is gone: no connection is ever reset.
    HostGone { node: usize, back_after: u64 },
    /// SIGSTOP, later SIGCONT.
    Pause { node: usize, span: u64 },
    /// Stopped in good order.
    Stop { node: usize, back_after: u64 },
    /// What goes between node and database arrives late.
    DatabaseStall { node: usize, span: u64 },
    /// It does not arrive.
    DatabaseCut { node: usize, span: u64 },
    /// The next things done are done, and nobody hears of it.
    AnswersLost { node: usize, count: u32 },
    /// Sessions and locks are gone.
    DatabaseRestart { span: u64 },
    /// The last commits are undone.
    Rollback { span: u64 },
    /// The database's calendar jumps.
    DatabaseClock { by: i64 },
    /// The node's calendar jumps.
    NodeClock { node: usize, by: i64 },
    /// The stream is reset; a part of what was written has arrived.
    StreamReset { node: usize },
    /// What goes between node and server arrives late.
    StreamStall { node: usize, span: u64 },
    /// The relay dies with all it kept, and is back after a while.
    RelayRestart { span: u64 },
    /// A client does not read.
    SlowClient { client: usize, span: u64 },
    /// An operator gives an order.
    Order { kind: OrderKind },
    /// The process dies, or stops for a while, right when this was done the next time.
    At { node: usize, step: Step, is_after_answer: bool, stops_for: Option<u64>, back_after: u64 },
}

/// What can be the last thing that a process did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Acquire,
    Open,
    Append,
    HandOver,
    PassOn,
    Release,
    /// The stream takes a word.
    Word,
    /// The stream takes an acknowledgement.
    Ack,
    /// The stream is asked for.
    Connect,
}

impl Step {
    const ALL: [Step; 9] = [
        Step::Acquire,
        Step::Open,
        Step::Append,
        Step::HandOver,
        Step::PassOn,
        Step::Release,
        Step::Word,
        Step::Ack,
        Step::Connect,
    ];
}

/// A run before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) level: Level,
    pub(crate) clients: usize,
    pub(crate) queue_max: usize,
    pub(crate) database_ms: (u64, u64),
    pub(crate) stream_ms: (u64, u64),
    pub(crate) fallback_after_ms: Option<u64>,
    /// How fast each node's and the database's clock runs, in millionths off.
    pub(crate) drift_ppm: [i64; 3],
    pub(crate) faults: Vec<(u64, Fault)>,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Plan {
        let mut chance = Chance::of(seed);
        let level = chance.pick(&[Level::Bare, Level::Replacing, Level::Relay, Level::Relay]);
        let clients = 3 + chance.index(2);
        let mut plan = Plan {
            level,
            clients,
            queue_max: chance.pick(&[4, 50]),
            database_ms: chance.pick(&[(0, 2), (1, 4), (1, 40)]),
            stream_ms: chance.pick(&[(0, 1), (0, 4), (1, 30)]),
            fallback_after_ms: chance.pick(&[None, Some(4_000)]),
            drift_ppm: std::array::from_fn(|_| chance.pick(&[-20_000, -100, 0, 100, 20_000])),
            faults: Vec::new(),
        };
        for _ in 0..chance.between(1, 8) {
            let at = chance.between(CHAOS_FROM_MS, MENDED_MS - 2_000);
            let fault = Fault::by(&mut chance, clients);
            plan.faults.push((at, fault));
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    /// Whether the database forgets in this run: what is lost then is lost.
    pub(crate) fn forgets(&self) -> bool {
        self.faults.iter().any(|(_, fault)| matches!(fault, Fault::Rollback { .. }))
    }

    /// Whether the relay dies in this run: what it kept is lost.
    pub(crate) fn restarts_relay(&self) -> bool {
        self.level == Level::Relay && self.faults.iter().any(|(_, fault)| matches!(fault, Fault::RelayRestart { .. }))
    }

    /// Whether every message a client sends must be in the archive or refused: with a relay that lives always; without
    /// it where nothing but moves happens.
    pub(crate) fn loses_nothing(&self) -> bool {
        let is_gentle =
            |fault: &Fault| matches!(fault, Fault::Order { .. } | Fault::NodeClock { .. } | Fault::SlowClient { .. });
        match self.level {
            Level::Relay => !self.restarts_relay(),
            Level::Replacing => self.faults.iter().all(|(_, fault)| is_gentle(fault)),
            Level::Bare => false,
        }
    }

    /// Whether leases may end early by the database's calendar, or an operator takes one by force.
    pub(crate) fn ends_leases_early(&self) -> bool {
        let early = |fault: &Fault| {
            matches!(
                fault,
                Fault::DatabaseClock { .. } | Fault::Order { kind: OrderKind::Failover | OrderKind::Fallback }
            )
        };
        self.forgets() || self.faults.iter().any(|(_, fault)| early(fault))
    }
}

impl Fault {
    fn by(chance: &mut Chance, clients: usize) -> Fault {
        let node = chance.index(2);
        let span = chance.pick(&[100, 700, 1_500, 2_500, 4_000, 9_000]) + chance.between(0, 400);
        let back_after = chance.pick(&[30, 800, 3_500, 8_000]) + chance.between(0, 300);
        match chance.index(28) {
            0..=2 => Fault::Kill { node, back_after },
            3 => Fault::KillBoth { back_after: [back_after, chance.between(20, 6_000)] },
            4 => Fault::HostGone { node, back_after: back_after + 1_000 },
            5 | 6 => Fault::Pause { node, span },
            7 => Fault::Stop { node, back_after },
            8 => Fault::DatabaseStall { node, span },
            9 => Fault::DatabaseCut { node, span },
            10 => Fault::AnswersLost { node, count: 1 + u32::from(chance.is(30)) },
            11 => Fault::DatabaseRestart { span },
            12 => Fault::Rollback { span: chance.between(50, 2_000) },
            13 => Fault::DatabaseClock { by: chance.pick(&[-3_600_000, -1_500, 1_500, 3_600_000]) },
            14 => Fault::NodeClock { node, by: chance.pick(&[-3_600_000, 3_600_000]) },
            15 => Fault::StreamReset { node },
            16 => Fault::StreamStall { node, span },
            17 => Fault::SlowClient { client: chance.index(clients), span },
            18..=23 => Fault::At {
                node,
                step: chance.pick(&Step::ALL),
                is_after_answer: chance.is(50),
                stops_for: chance.is(30).then_some(span),
                back_after,
            },
            24 | 25 => Fault::RelayRestart { span },
            _ => Fault::Order { kind: chance.pick(&OrderKind::ALL) },
        }
    }
}
