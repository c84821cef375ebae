//! A world in order: the database answers, the server answers, locks are given. From any state an engine has to find
//! its way in it to where somebody serves.

use super::super::{Action, Duty, Event, LeaseView, Level, Opening, Pair, Sighting, TwinView};
use super::ledger::Ledger;
use super::{LEASE_MS, Node, PATIENCE_MS};

/// What the twin does in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Twin {
    /// It is gone for good.
    Gone,
    /// The same, and what it left keeps the session lock.
    Stuck,
    /// It serves where the lease is its own, and takes what is handed to it.
    Well,
}

pub(super) struct Health {
    twin: Twin,
    lease: Option<LeaseView>,
    twin_renews: bool,
    db_ms: i64,
    flags: Sighting,
}

impl Health {
    /// The world as it must be if `pair` is in its state; operators' wishes stay as they are unless `is_free`.
    pub(super) fn around(pair: &Pair, twin: Twin, is_free: bool) -> Health {
        let mut lease = pair.seen.lease.clone();
        let (me, other) = (Some("a".to_owned()), Some("b".to_owned()));
        let (me, other) = if pair.terms.node == "a" { (me, other) } else { (other, me) };
        let expires_ms = lease.as_ref().map_or(0, |lease| lease.expires_ms) + 1;
        let of = |owner, epoch| Some(LeaseView { owner, epoch, expires_ms, is_over: false });
        match &pair.duty {
            Duty::Opening { epoch, .. } | Duty::Serving { epoch } | Duty::Handing { epoch, .. } => {
                lease = of(me, *epoch);
            }
            Duty::Passing { .. } => lease = of(other.clone(), pair.epoch_max()),
            Duty::Starting | Duty::Waiting | Duty::Taking(_) | Duty::Ending { .. } | Duty::Ended => {}
        }
        let twin_renews = twin == Twin::Well && lease.as_ref().is_some_and(|lease| lease.owner == other);
        let mut flags = Sighting { unfit: pair.seen.unfit.clone(), ..Sighting::default() };
        if !is_free {
            let Sighting { is_paused, is_idle, moves_lately, .. } = pair.seen;
            (flags.is_paused, flags.is_idle, flags.moves_lately) = (is_paused, is_idle, moves_lately);
        }
        Health { twin, lease, twin_renews, db_ms: expires_ms - 2_000, flags }
    }

    /// Lets the world go its way for `span_ms`.
    pub(super) fn go_on(&mut self, node: &mut Node, ledger: &mut Ledger, span_ms: u64) {
        let mut answers: Vec<Event> = self.due(&node.pair).into_iter().collect();
        for step in 0..span_ms / 250 {
            node.later(250);
            self.db_ms += 250;
            self.let_time_pass();
            let look = if step % 2 == 0 { Event::Saw(self.sighting()) } else { Event::Tick };
            answers.push(look);
            // Bounded: an answer leads to a question at most, and those end.
            for _ in 0..20 {
                for event in std::mem::take(&mut answers) {
                    for action in ledger.step(node, &event) {
                        answers.extend(self.answer(node, &action));
                    }
                }
            }
            assert!(answers.is_empty(), "asks without end: {:?}", node.pair.duty);
        }
    }

    /// What was asked before and is still to be answered.
    fn due(&self, pair: &Pair) -> Vec<Event> {
        let mut due: Vec<Event> = match &pair.duty {
            Duty::Taking(_) => vec![Event::LeaseHeld],
            Duty::Opening { .. } => vec![Event::Attached(Level::Relay), Event::Opened(Opening::default())],
            Duty::Serving { .. } => {
                vec![Event::Renewed, Event::Attached(Level::Relay), Event::Commits(None)]
            }
            Duty::Handing { is_frozen: false, .. } => vec![Event::Frozen],
            Duty::Handing { is_frozen: true, epoch, .. } => {
                vec![Event::NotHandedOver(format!("epoch {epoch} is ours"))]
            }
            Duty::Passing { .. } => vec![Event::PassedOn],
            Duty::Ending { .. } => vec![Event::Ended],
            Duty::Starting | Duty::Waiting | Duty::Ended => vec![],
        };
        if pair.is_seeking && self.gives_lock() {
            due.push(Event::LockHad(self.lease.clone()));
        }
        due
    }

    fn gives_lock(&self) -> bool {
        !self.twin_renews && self.twin != Twin::Stuck
    }

    fn let_time_pass(&mut self) {
        let (db_ms, lease_ms) = (self.db_ms, LEASE_MS.cast_signed());
        let Some(lease) = &mut self.lease else { return };
        if self.twin_renews {
            lease.expires_ms = db_ms + lease_ms;
        }
        lease.is_over = lease.expires_ms < db_ms;
    }

    fn sighting(&self) -> Sighting {
        let silent_ms = if self.twin == Twin::Well { 100 } else { 2 * PATIENCE_MS };
        let twin = TwinView { silent_ms, unfit: None, standing: None };
        Sighting { lease: self.lease.clone(), twin: Some(twin), ..self.flags.clone() }
    }

    fn answer(&mut self, node: &Node, action: &Action) -> Vec<Event> {
        match action {
            Action::SeekLock if !self.gives_lock() => vec![],
            Action::SeekLock => vec![Event::LockHad(self.lease.clone())],
            Action::AskLease { above, .. } => {
                if self.twin_renews {
                    return vec![Event::LeaseHeld];
                }
                let epoch = self.lease.as_ref().map_or(0, |lease| lease.epoch).max(*above) + 1;
                let owner = Some(node.pair.terms.node.clone());
                self.lease = Some(LeaseView { owner, epoch, expires_ms: self.db_ms + 2_000, is_over: false });
                vec![Event::LeaseHad(epoch)]
            }
            Action::Thaw if !matches!(node.pair.duty, Duty::Opening { .. }) => vec![],
            Action::Begin { .. } | Action::Thaw => {
                vec![Event::Attached(Level::Relay), Event::Opened(Opening::default())]
            }
            Action::Freeze => vec![Event::Frozen],
            Action::HandOver { to } => {
                let epoch = self.lease.as_ref().map_or(0, |lease| lease.epoch) + 1;
                self.lease =
                    Some(LeaseView { owner: Some(to.clone()), epoch, expires_ms: self.db_ms + 2_000, is_over: false });
                self.twin_renews = self.twin == Twin::Well;
                vec![Event::HandedOver(epoch)]
            }
            Action::PassOn { .. } => vec![Event::PassedOn],
            Action::End => vec![Event::Ended],
            Action::DropLock | Action::Cut | Action::Sweep | Action::Tell(_) | Action::Answer(_) | Action::Finish => {
                vec![]
            }
        }
    }

    /// Whether somebody serves in it.
    pub(super) fn is_served(&self, node: &Node) -> bool {
        self.twin_renews || matches!(node.pair.duty, Duty::Serving { .. })
    }
}
