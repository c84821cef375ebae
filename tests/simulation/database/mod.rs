//! A model of the shared database: transactions are atomic, sessions and their locks end with their connections, it
//! has a calendar of its own; it can be away, and it can forget.

mod asks;
mod rows;

use std::collections::VecDeque;

use tandem_muc_core::pair::{LeaseView, Order, OrderKind, Right, Sighting, Standing, TwinView};
use tandem_muc_core::record::Record;

pub(crate) use asks::{Append, Ask, Said};
pub(crate) use rows::{Change, Fence, Handled, Lease, Passed, Rows, room_id};

use crate::clock::Clock;
use crate::flaw::Flaw;
use crate::node::NAMES;
use crate::truth::Truth;

const LEASE_MS: i64 = 2_000;

/// Who asks: a node in one of its lives, over a session that may have ended meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asker {
    pub(crate) node: usize,
    pub(crate) life: u32,
    pub(crate) session: u32,
    /// The question's number, unlike any other of that life.
    pub(crate) id: u64,
}

#[derive(Debug)]
struct Beat {
    at_ms: i64,
    standing: Standing,
}

#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) rows: Rows,
    pub(crate) clock: Clock,
    pub(crate) is_up: bool,
    /// A session of a lower number has ended.
    pub(crate) sessions: [u32; 2],
    /// Who has the session lock, and who waits for it.
    locks: VecDeque<Asker>,
    beats: [Option<Beat>; 2],
    orders: Vec<(i64, String, OrderKind)>,
    pub(crate) is_paused: bool,
    /// The home node is idle on request.
    pub(crate) is_idle: bool,
    moves: Vec<i64>,
    flaw: Flaw,
}

/// To whom something is said.
pub(crate) type Answers = Vec<(Asker, Said)>;

impl Database {
    pub(crate) fn new(clock: Clock, forgets: bool, flaw: Flaw) -> Database {
        Database {
            rows: Rows::new(forgets),
            clock,
            is_up: true,
            sessions: [0; 2],
            locks: VecDeque::new(),
            beats: [None, None],
            orders: Vec::new(),
            is_paused: false,
            is_idle: false,
            moves: Vec::new(),
            flaw,
        }
    }

    /// Carries out what `who` asks, at `now`.
    pub(crate) fn carry_out(&mut self, now: u64, who: Asker, ask: Ask, truth: &mut Truth) -> Answers {
        if !self.is_up {
            return vec![(who, Said::Failed("connection refused".into()))];
        }
        if who.session < self.sessions[who.node] {
            return vec![(who, Said::Failed("the session was ended".into()))];
        }
        let now_ms = self.clock.utc(now).0;
        let said = match ask {
            Ask::Look { standing } => {
                self.beats[who.node] = Some(Beat { at_ms: now_ms, standing });
                Said::Seen(Box::new(self.sighting(who.node, now_ms)), self.rows.fence.seq)
            }
            Ask::Renew { epoch } => Said::Renewed(self.renew(now, now_ms, who.node, epoch)),
            Ask::Acquire { right, above, ends } => return self.acquire(now, now_ms, who, &right, above, ends, truth),
            Ask::Open { mark } => Said::Opened { rooms: self.rows.images(), tail: self.rows.tail(mark) },
            Ask::Append(append) => self.append(now, who.node, *append, truth),
            Ask::HandOver { epoch, mark, inbound, passes_on } => {
                let handed = self.hand_over(now, now_ms, who.node, epoch, mark, inbound, passes_on);
                truth.handed(handed.unwrap_or_default());
                Said::HandedOver(handed)
            }
            Ask::PassOn { epoch, stanzas } => {
                self.rows.commit(now, vec![Change::Passed(epoch, Passed::Whole(stanzas))]);
                Said::Done
            }
            Ask::PassedOn { epoch } => Said::PassedOn(self.rows.passed.get(&epoch).cloned()),
            Ask::Release { epoch } => {
                if self.is_owner(who.node, epoch) {
                    let lease = Lease { owner: None, epoch, expires_ms: 0 };
                    self.rows.commit(now, vec![Change::Lease(lease)]);
                }
                Said::Done
            }
            Ask::Lock => {
                self.locks.push_back(who);
                return if self.locks.len() == 1 { self.grant(now) } else { Vec::new() };
            }
            Ask::Unlock { asked } => {
                return self.let_go(now, |lock| (lock.node, lock.life, lock.id) == (who.node, who.life, asked));
            }
            Ask::EndOrder { id, kind, is_done } => {
                self.end_order(&id, kind, is_done);
                Said::Done
            }
            Ask::Moved => {
                self.moves.push(now_ms);
                Said::Done
            }
        };
        vec![(who, said)]
    }

    fn view(&self, now_ms: i64) -> Option<LeaseView> {
        let Lease { owner, epoch, expires_ms } = self.rows.lease;
        let owner = owner.map(|node| NAMES[node].to_owned());
        (epoch > 0).then_some(LeaseView { owner, epoch, expires_ms, is_over: expires_ms < now_ms })
    }

    fn sighting(&self, node: usize, now_ms: i64) -> Sighting {
        let twin = self.beats[1 - node].as_ref().map(|beat| TwinView {
            silent_ms: u64::try_from(now_ms - beat.at_ms).unwrap_or_default(),
            unfit: None,
            standing: Some(beat.standing.clone()),
        });
        let orders = self.orders.iter().map(|(given_ms, id, kind)| Order {
            id: id.clone(),
            kind: *kind,
            by: "olga".into(),
            age_ms: u64::try_from(now_ms - given_ms).unwrap_or_default(),
        });
        Sighting {
            lease: self.view(now_ms),
            twin,
            unfit: None,
            is_paused: self.is_paused,
            is_idle: self.is_idle && node == 0,
            moves_lately: u32::try_from(self.moves.len()).unwrap_or(u32::MAX),
            orders: orders.collect(),
        }
    }

    fn is_owner(&self, node: usize, epoch: i64) -> bool {
        (self.rows.lease.owner, self.rows.lease.epoch) == (Some(node), epoch)
    }

    fn renew(&mut self, now: u64, now_ms: i64, node: usize, epoch: i64) -> bool {
        let is_owner = self.is_owner(node, epoch);
        if is_owner {
            let lease = Lease { owner: Some(node), epoch, expires_ms: now_ms + LEASE_MS };
            self.rows.commit(now, vec![Change::Lease(lease)]);
        }
        is_owner
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one statement")]
    fn acquire(
        &mut self,
        now: u64,
        now_ms: i64,
        who: Asker,
        right: &Right,
        above: i64,
        ends: Option<usize>,
        truth: &mut Truth,
    ) -> Answers {
        let mut answers = ends.filter(|node| *node != who.node).map_or(Vec::new(), |node| self.end_sessions(now, node));
        let Lease { owner, epoch: held, expires_ms } = self.rows.lease;
        let may = match right {
            Right::Free => owner.is_none() || expires_ms < now_ms,
            Right::Dead => true,
            Right::Silent { epoch, expires_ms: seen } => (held, expires_ms) == (*epoch, *seen),
        };
        if !may {
            answers.push((who, Said::Held));
            return answers;
        }
        let epoch = held.max(self.rows.fence.epoch).max(above) + 1;
        let mut fence = self.rows.fence.clone();
        let Fence { epoch: before, seq, mark, inbound } = fence.clone();
        if self.flaw != Flaw::LeavesFence {
            fence.epoch = epoch;
        }
        let lease = Lease { owner: Some(who.node), epoch, expires_ms: now_ms + LEASE_MS };
        self.rows.commit(now, vec![Change::Lease(lease), Change::Fence(fence)]);
        truth.acquired(now, who.node, epoch, *right == Right::Free && owner != Some(who.node));
        answers.push((who, Said::Lease { epoch, before, seq, mark, inbound }));
        answers
    }

    fn append(&mut self, now: u64, node: usize, append: Append, truth: &mut Truth) -> Said {
        let Append { epoch, after, next, facts, mark, inbound } = append;
        let fence = &self.rows.fence;
        let is_fenced = fence.epoch != epoch && self.flaw != Flaw::LeavesFence;
        if is_fenced || fence.seq != after {
            // Ours and moved: this very group is written already.
            let is_written = !is_fenced && fence.seq == next;
            return if is_written { Said::Appended } else { Said::Fenced(fence.epoch) };
        }
        let fence = Fence {
            epoch: fence.epoch,
            seq: next,
            mark: mark.unwrap_or(fence.mark).max(fence.mark),
            inbound: inbound.or(fence.inbound.clone()),
        };
        for (jid, record) in &facts {
            if let Record::Spoken(message) = record {
                truth.archived(now, jid, message);
            }
        }
        truth.committed(now, node, epoch, next, self.rows.lease.epoch);
        self.rows.commit(now, vec![Change::Fence(fence), Change::Facts(facts)]);
        Said::Appended
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one statement")]
    fn hand_over(
        &mut self,
        now: u64,
        now_ms: i64,
        node: usize,
        epoch: i64,
        mark: i64,
        inbound: Handled,
        passes_on: bool,
    ) -> Option<i64> {
        if !self.is_owner(node, epoch) || self.rows.fence.epoch != epoch {
            return None;
        }
        let handed = epoch + 1;
        let lease = Lease { owner: Some(1 - node), epoch: handed, expires_ms: now_ms + LEASE_MS };
        let fence = self.rows.fence.clone();
        let fence =
            Fence { epoch: handed, mark: mark.max(fence.mark), inbound: inbound.or(fence.inbound), seq: fence.seq };
        let mut changes = vec![Change::Lease(lease), Change::Fence(fence)];
        if passes_on {
            changes.push(Change::Passed(handed, Passed::Awaited));
        }
        self.rows.commit(now, changes);
        Some(handed)
    }

    /// Whoever has the lock hears so, if that was not said yet.
    fn grant(&mut self, now: u64) -> Answers {
        let view = self.view(self.clock.utc(now).0);
        self.locks.front().map(|first| (*first, Said::Locked(view))).into_iter().collect()
    }

    fn let_go(&mut self, now: u64, is_gone: impl Fn(&Asker) -> bool) -> Answers {
        let first = self.locks.front().copied();
        self.locks.retain(|lock| !is_gone(lock));
        if self.locks.front().copied() == first { Vec::new() } else { self.grant(now) }
    }

    /// A life of a node is over, and its connections were seen to end.
    pub(crate) fn life_ended(&mut self, now: u64, node: usize, life: u32) -> Answers {
        self.let_go(now, |lock| (lock.node, lock.life) == (node, life))
    }

    /// Ends all sessions of a node.
    pub(crate) fn end_sessions(&mut self, now: u64, node: usize) -> Answers {
        self.sessions[node] += 1;
        let mut answers: Answers =
            self.locks.iter().filter(|lock| lock.node == node).map(|lock| (*lock, Said::Unlocked)).collect();
        answers.extend(self.let_go(now, |lock| lock.node == node));
        answers
    }

    /// All sessions end, all locks are gone.
    pub(crate) fn crash(&mut self) -> Answers {
        self.sessions = self.sessions.map(|session| session + 1);
        self.locks.drain(..).map(|lock| (lock, Said::Unlocked)).collect()
    }

    pub(crate) fn give_order(&mut self, now: u64, nth: usize, kind: OrderKind) {
        self.orders.push((self.clock.utc(now).0, format!("order-{nth}"), kind));
    }

    fn end_order(&mut self, id: &str, kind: OrderKind, is_done: bool) {
        let was_open = self.orders.iter().any(|(_, open, _)| open == id);
        self.orders.retain(|(_, open, _)| open != id);
        match kind {
            _ if !is_done || !was_open => {}
            OrderKind::Pause => self.is_paused = true,
            OrderKind::Resume => self.is_paused = false,
            OrderKind::Recover => self.moves.clear(),
            OrderKind::Failover => self.is_idle = true,
            OrderKind::Fallback => self.is_idle = false,
            OrderKind::SwitchOver | OrderKind::Sweep => {}
        }
    }
}
