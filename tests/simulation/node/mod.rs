//! A node's process: the pair engine as it is, and a model of the driver around it. Events come in, [`Deed`]s go out.
//!
//! The driver asks the database, keeps the deadline by its own clock, and runs a reign: rooms, journal, stream.

mod driver;
mod reign;
mod talk;

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_muc_core::pair::{Action, Event, Level, Pair, Right, Terms};
use tandem_muc_core::relay::{Attach, Numbers, Refusal, Welcome};
use tandem_muc_core::stanza::{Inbound, Outbound};
use tandem_muc_core::time::{Moment, Now};

use crate::database::{Ask, Said};
use crate::flaw::Flaw;
use reign::Reign;

pub(crate) const NAMES: [&str; 2] = ["a", "b"];
const LEASE_MS: u64 = 2_000;
/// Words stop so long before the lease can end.
const MARGIN_MS: u64 = 400;
pub(crate) const BEAT_MS: u64 = 500;
pub(crate) const TICK_MS: u64 = 100;
/// How long an answer of the database may take.
pub(crate) const ANSWER_MS: u64 = 2_000;

/// What comes to a process.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Tick,
    Beat,
    /// The database says.
    Said(u64, Said),
    /// It did not say in time.
    TimedOut(u64),
    /// The stream of this number brings something.
    Down(u64, Down),
    /// A pause is over: the stream is tried again, the tail or what was passed on asked for again.
    Again,
    /// An operator or the system stops the process in good order.
    Stop,
}

/// What the server or the relay sends to a node.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    /// The stream is open.
    Open,
    Welcome(Welcome),
    Refused(Refusal),
    /// With its number, where the relay says one.
    Stanza(Option<u64>, Arc<Inbound>),
    Mark {
        epoch: i64,
        seq: i64,
    },
    Closed,
}

/// What a node sends to the server or the relay.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    Open,
    Attach(Attach),
    Word(Arc<Outbound>),
    Mark {
        epoch: i64,
        seq: i64,
    },
    Said(i64),
    Ack(Numbers),
    Leave,
    /// The end of the stream, in good order.
    End,
    /// The connection is gone.
    Closed,
}

/// What a process does to the world.
#[derive(Debug)]
pub(crate) enum Deed {
    Ask(u64, Ask),
    /// A stream of this number.
    Connect(u64),
    Write(u64, Up),
    /// The stream is reset: what was written may or may not arrive.
    Reset(u64),
    After(u64, News),
    /// The database lost something that this node had seen.
    ReportLoss(i64),
    /// A stanza was handed to a room.
    Handled(Arc<Inbound>),
    /// The process ends.
    Exit,
    Note(String),
    Count(&'static str, u64),
}

/// Why the database was asked.
#[derive(Clone, Debug)]
enum Purpose {
    Look {
        sent: Moment,
    },
    Renew {
        sent: Moment,
        epoch: i64,
    },
    Acquire {
        sent: Moment,
    },
    Open,
    Append {
        next: i64,
    },
    HandOver {
        epoch: i64,
    },
    PassOn,
    PassedOn,
    Release,
    Lock,
    /// Nobody waits for the answer.
    Aside,
}

/// The memory of a process.
#[derive(Debug)]
pub(crate) struct Brain {
    nth: usize,
    pair: Pair,
    level: Level,
    flaw: Flaw,
    queue_max: usize,
    asked: BTreeMap<u64, Purpose>,
    ids: u64,
    lock: Option<u64>,
    /// Words may be said before this moment.
    deadline: Moment,
    is_overdue: bool,
    is_renewing: bool,
    is_looking: bool,
    /// The lease as it was had last.
    had: Option<Had>,
    reign: Option<Reign>,
    /// Events the engine is still to hear.
    heard: Vec<Event>,
    /// The highest group seen, and since when.
    seq_seen: (i64, Moment),
    deeds: Vec<Deed>,
}

/// What came with the lease.
#[derive(Clone, Debug)]
struct Had {
    before: i64,
    seq: i64,
    mark: i64,
    inbound: crate::database::Handled,
}

/// What every process of this run has in common.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) level: Level,
    pub(crate) flaw: Flaw,
    pub(crate) queue_max: usize,
    pub(crate) fallback_after_ms: Option<u64>,
}

impl Brain {
    pub(crate) fn start(nth: usize, now: Now, setting: &Setting) -> Brain {
        let terms = Terms {
            node: NAMES[nth].into(),
            twin: Some(NAMES[1 - nth].into()),
            home: NAMES[0].into(),
            lease_ms: LEASE_MS,
            patience_ms: 3_000,
            move_ms: 2_000,
            fallback_after_ms: setting.fallback_after_ms,
            moves_max: 3,
        };
        Brain {
            nth,
            pair: Pair::new(terms, now.moment),
            level: setting.level,
            flaw: setting.flaw,
            queue_max: setting.queue_max,
            asked: BTreeMap::new(),
            ids: 0,
            lock: None,
            deadline: Moment(0),
            is_overdue: false,
            is_renewing: false,
            is_looking: false,
            had: None,
            reign: None,
            heard: Vec::new(),
            seq_seen: (0, Moment(0)),
            deeds: vec![Deed::After(0, News::Tick), Deed::After(1, News::Beat)],
        }
    }

    /// Takes `news` in; what is done about it is appended to `deeds`.
    pub(crate) fn handle(&mut self, now: Now, news: News, deeds: &mut Vec<Deed>) {
        self.take(now, news);
        loop {
            while !self.heard.is_empty() {
                let event = self.heard.remove(0);
                self.tell_engine(now, &event);
            }
            self.work(now);
            if self.heard.is_empty() {
                break;
            }
        }
        deeds.append(&mut self.deeds);
    }

    fn tell_engine(&mut self, now: Now, event: &Event) {
        let mut actions = Vec::new();
        self.pair.handle(now.moment, event, &mut actions);
        let is_loud = !matches!(event, Event::Tick | Event::Saw(_) | Event::Renewed);
        if is_loud || !actions.is_empty() {
            let heard = if is_loud { format!("{event:?}") } else { format!("{event:?}").chars().take(4).collect() };
            self.note(format!("{heard} -> {actions:?}"));
        }
        for action in actions {
            if let Some(what) = name_of(&action) {
                self.deeds.push(Deed::Count(what, 1));
            }
            self.act(now, action);
        }
        assert!(
            self.pair.reigns().is_none() || self.reign.is_some(),
            "the engine reigns and nothing was begun: {:?}",
            self.pair
        );
    }

    fn note(&mut self, what: String) {
        self.deeds.push(Deed::Note(what));
    }

    fn ask(&mut self, purpose: Purpose, ask: Ask) -> u64 {
        self.ids += 1;
        let id = self.ids;
        let has_limit = !matches!(purpose, Purpose::Lock | Purpose::Aside);
        self.asked.insert(id, purpose);
        self.deeds.push(Deed::Ask(id, ask));
        if has_limit {
            self.deeds.push(Deed::After(ANSWER_MS, News::TimedOut(id)));
        }
        id
    }

    /// Whether words may be said at `now`.
    fn may_speak(&self, now: Now) -> bool {
        now.moment < self.deadline || self.flaw == Flaw::IgnoresGate
    }

    /// Whether it serves: it reigns, is attached, has opened, and may speak.
    pub(crate) fn serves(&self, now: Now) -> bool {
        let is_open = self.reign.as_ref().is_some_and(Reign::is_open);
        self.pair.reigns().is_some() && is_open && self.may_speak(now)
    }

    pub(crate) fn pair(&self) -> &Pair {
        &self.pair
    }

    /// Whether it has seen a group of this number, or a later one.
    pub(crate) fn knows_of(&self, seq: i64) -> bool {
        self.seq_seen.0 >= seq
    }

    /// The stream it has open, in which epoch.
    pub(crate) fn stream(&self) -> Option<(u64, i64)> {
        self.reign.as_ref().and_then(Reign::stream)
    }

    fn act(&mut self, now: Now, action: Action) {
        match action {
            Action::SeekLock => self.lock = Some(self.ask(Purpose::Lock, Ask::Lock)),
            Action::DropLock => {
                if let Some(asked) = self.lock.take() {
                    self.ask(Purpose::Aside, Ask::Unlock { asked });
                }
            }
            Action::AskLease { right, above, ends_sessions_of } => {
                let ends = ends_sessions_of.and_then(|name| NAMES.iter().position(|node| *node == name));
                self.ask(Purpose::Acquire { sent: now.moment }, Ask::Acquire { right, above, ends });
            }
            Action::Begin { epoch, handed_in } => self.begin(epoch, handed_in),
            Action::Freeze => self.with_reign(|reign| reign.is_frozen = true),
            Action::Thaw => self.with_reign(|reign| reign.is_frozen = false),
            Action::HandOver { to } => self.hand_over(&to),
            Action::PassOn { epoch } => self.pass_on(epoch),
            Action::Cut => self.cut(),
            Action::End => self.with_reign(|reign| reign.is_ending = true),
            Action::Sweep => {}
            Action::Tell(change) => self.count_move(&change),
            Action::Answer(verdict) => {
                let (id, kind, is_done) = (verdict.order.id, verdict.order.kind, verdict.outcome.is_ok());
                self.ask(Purpose::Aside, Ask::EndOrder { id, kind, is_done });
            }
            Action::Finish => self.deeds.push(Deed::Exit),
        }
    }

    fn with_reign(&mut self, change: impl FnOnce(&mut Reign)) {
        if let Some(reign) = &mut self.reign {
            change(reign);
        }
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }
}

/// What is worth counting.
fn name_of(action: &Action) -> Option<&'static str> {
    match action {
        Action::AskLease { right: Right::Free, .. } => Some("leases asked for when over"),
        Action::AskLease { right: Right::Dead, .. } => Some("leases asked for by the lock"),
        Action::AskLease { right: Right::Silent { .. }, .. } => Some("leases asked for when silent"),
        Action::Begin { handed_in: None, .. } => Some("takeovers"),
        Action::Begin { handed_in: Some(_), .. } => Some("reigns taken up"),
        Action::Freeze => Some("moves begun"),
        Action::Thaw => Some("moves called off"),
        Action::PassOn { .. } => Some("moves made"),
        Action::Cut => Some("reigns cut"),
        Action::End => Some("reigns ended"),
        Action::Answer(_) => Some("orders answered"),
        Action::SeekLock
        | Action::DropLock
        | Action::HandOver { .. }
        | Action::Sweep
        | Action::Tell(_)
        | Action::Finish => None,
    }
}
