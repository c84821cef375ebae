//! What an operator reads: a state in the words of the field, a reason in fixed words, a sentence.

use std::fmt;
use std::str::FromStr;

use super::{Action, Change, Cost, Duty, Level, Pair, RESTLESS, RESTLESS_MS, Unopened};
use crate::time::Moment;

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// In the words an operator reads.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| format!("unknown: {text:?}"))
            }
        }
    };
}

words! {
    /// The state of a node for a domain.
    State {
        /// Starting: schema, configuration, first beat.
        Initializing = "Initializing",
        /// Failed over on the operator's request; serves nothing until fallback.
        Idle = "Idle",
        /// Serves its home domain, or stands by as backup.
        Normal = "Normal",
        /// Serves the twin's domain too.
        RunningInBackupMode = "Running in Backup Mode",
        /// Is taking over from its twin.
        TakingOver = "Taking Over",
        /// Is being taken over.
        FailingOver = "Failing Over",
        /// Its domain is with the twin; it is fit and ready for fallback.
        FailedOver = "Failed Over",
        /// Its domain is with the twin; it could not serve if asked.
        FailedOverUnfit = "Failed Over with Critical Services Not Running",
        /// The home node while work returns home.
        TakingBack = "Taking Back",
        /// The backup node while work returns home.
        FallingBack = "Falling Back",
        /// No safe node: tries again by itself, `recover` forces it.
        RunningInFailedMode = "Running in Failed Mode",
        /// No sign of the node for longer than the patience.
        Unknown = "Unknown",
    }
}

words! {
    /// Why a node is in its state.
    Reason {
        /// An operator wanted it.
        OnAdminRequest = "On Admin Request",
        /// The home node was fit for long enough.
        AutomaticFallback = "Automatic Fallback",
        /// Something the node needs does not run.
        CriticalServiceDown = "Critical Service Down",
        /// The database does not do what it should.
        DatabaseFailure = "Database Failure",
        /// The XMPP server cannot be reached.
        XmppServerUnreachable = "XMPP Server Unreachable",
        /// The twin's process ended.
        PeerDown = "Peer Down",
        /// The twin did not renew.
        LeaseExpired = "Lease Expired",
        /// Another took the lease.
        LeaseLost = "Lease Lost",
        /// The node started.
        Initialization = "Initialization",
        /// The node started and its twin was not there.
        PeerDownDuringInitialization = "Peer Down During Initialization",
        /// A takeover did not come about.
        TakeOverFailed = "Take Over Failed",
        /// A planned move did not come about.
        TakeBackFailed = "Take Back Failed",
        /// Too many automatic moves.
        FailoverLimit = "Failover Limit",
    }
}

/// State, reason and sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Its reason.
    pub reason: Reason,
    /// The sentence for people.
    pub why: String,
}

impl Standing {
    /// Of a node that has just started.
    pub fn initial() -> Standing {
        Standing { state: State::Initializing, reason: Reason::Initialization, why: "starting".into() }
    }
}

/// The state of a node that has been silent for too long, as its twin has to tell it: it cannot say so itself.
pub fn seen_from_afar(said: State, is_home: bool, is_served_by_twin: bool) -> State {
    match said {
        _ if is_home && is_served_by_twin => State::FailedOverUnfit,
        State::Initializing
        | State::Idle
        | State::Normal
        | State::RunningInBackupMode
        | State::TakingOver
        | State::FailingOver
        | State::FailedOver
        | State::FailedOverUnfit
        | State::TakingBack
        | State::FallingBack
        | State::RunningInFailedMode
        | State::Unknown => State::Unknown,
    }
}

impl Pair {
    /// Says so where the standing changed.
    pub(super) fn tell(&mut self, now: Moment, out: &mut Vec<Action>) {
        let standing = self.stand(now);
        if (standing.state, standing.reason) == (self.told.state, self.told.reason) {
            self.told.why = standing.why;
            return;
        }
        let from = std::mem::replace(&mut self.told, standing).state;
        let operator = self.order.as_ref().map(|order| order.by.clone());
        out.push(Action::Tell(Change { from, to: self.told.clone(), epoch: self.epoch_max, opened: None, operator }));
    }

    /// Says that a reign has opened, with what it cost.
    pub(super) fn tell_opened(&mut self, epoch: i64, cost: Cost, operator: Option<String>, out: &mut Vec<Action>) {
        let (reason, why) = self.cause.clone().unwrap_or((Reason::Initialization, "starting".into()));
        let state = self.serving_state();
        let from = std::mem::replace(&mut self.told, Standing { state, reason, why }).state;
        out.push(Action::Tell(Change { from, to: self.told.clone(), epoch, opened: Some(cost), operator }));
    }

    fn serving_state(&self) -> State {
        if self.is_home() { State::Normal } else { State::RunningInBackupMode }
    }

    fn stand(&self, now: Moment) -> Standing {
        let taking = |unopened: &Unopened| {
            if self.is_home() && unopened.is_move { State::TakingBack } else { State::TakingOver }
        };
        let as_is = |state: State| {
            let (reason, why) = self.cause.clone().unwrap_or((Reason::Initialization, "starting".into()));
            Standing { state, reason, why }
        };
        match &self.duty {
            Duty::Starting => self.blindness().unwrap_or_else(Standing::initial),
            Duty::Waiting => self.stand_by(now),
            Duty::Taking(unopened) => as_is(taking(unopened)),
            Duty::Opening { unopened, .. } => self.trouble(now).unwrap_or_else(|| as_is(taking(unopened))),
            Duty::Serving { .. } => self.trouble(now).unwrap_or_else(|| as_is(self.serving_state())),
            Duty::Handing { .. } | Duty::Passing { .. } => {
                as_is(if self.is_home() { State::FailingOver } else { State::FallingBack })
            }
            Duty::Ending { .. } | Duty::Ended => {
                Standing { state: State::Unknown, reason: Reason::OnAdminRequest, why: "stopped in good order".into() }
            }
        }
    }

    fn blindness(&self) -> Option<Standing> {
        let why = self.blind.clone()?;
        Some(Standing { state: State::RunningInFailedMode, reason: Reason::DatabaseFailure, why })
    }

    fn stand_by(&self, now: Moment) -> Standing {
        if let Some(blind) = self.blindness() {
            return blind;
        }
        // Its own again, and about to be taken up: that is told when it is.
        let is_own = self.holder() == Some(self.terms.node.as_str());
        if is_own && self.told.state != State::Initializing {
            return self.told.clone();
        }
        let idle = self.seen.is_idle && self.is_home();
        if let Some((reason, why)) = self.obstacle_here(now) {
            // A holder that no longer renews serves nobody: who may not take over says that nobody does.
            let is_served = self.is_held_by_twin() && self.right_by_time(now).is_none();
            let state = match (idle, self.is_home(), is_served) {
                (true, ..) => State::Idle,
                (false, true, true) => State::FailedOver,
                (false, false, true) if reason != Reason::TakeOverFailed => State::Normal,
                (false, ..) => State::RunningInFailedMode,
            };
            return Standing { state, reason, why };
        }
        let (reason, why) = self.cause.clone().unwrap_or((Reason::Initialization, "stands by".into()));
        let state = match (self.is_home(), self.is_held_by_twin(), &self.seen.unfit) {
            (true, true, None) => State::FailedOver,
            (true, true, Some(unfit)) => {
                let (reason, why) = (Reason::CriticalServiceDown, unfit.clone());
                return Standing { state: State::FailedOverUnfit, reason, why };
            }
            (false, true, None) => State::Normal,
            (false, true, Some(unfit)) => {
                let why = format!("stands by and could not take over: {unfit}");
                return Standing { state: State::Normal, reason: Reason::CriticalServiceDown, why };
            }
            (_, false, _) if reason == Reason::LeaseLost => State::RunningInFailedMode,
            (_, false, _) => State::Initializing,
        };
        Standing { state, reason, why }
    }

    /// What keeps a node that has the lease from being heard, once it has lasted.
    fn trouble(&self, now: Moment) -> Option<Standing> {
        let has_lasted = |since: Moment| now.0.saturating_sub(since.0) >= self.terms.patience_ms;
        let (reason, why) = match (&self.overdue, &self.detached, &self.commits) {
            (Some(why), ..) => (Reason::DatabaseFailure, why),
            (None, Some((since, why)), _) if has_lasted(*since) => (Reason::XmppServerUnreachable, why),
            (None, _, Some((since, why))) if has_lasted(*since) => (Reason::DatabaseFailure, why),
            (None, ..) => return self.restlessness(now),
        };
        let state = State::RunningInFailedMode;
        Some(match self.what_forbids_moves().filter(|_| self.overdue.is_none() && self.twin_obstacle().is_none()) {
            Some((reason, forbids)) => Standing { state, reason, why: format!("{forbids}; here: {why}") },
            None => Standing { state, reason, why: why.clone() },
        })
    }

    /// Who is put out again and again is attached half of the time, and not heard the other half.
    fn restlessness(&self, now: Moment) -> Option<Standing> {
        let lately = |lost: &Moment| now.0.saturating_sub(lost.0) <= RESTLESS_MS;
        if self.losses.len() < RESTLESS || !self.losses.front().is_some_and(lately) {
            return None;
        }
        let why = format!("lost {RESTLESS} times within {} s, at last: {}", RESTLESS_MS / 1000, self.last_loss);
        Some(Standing { state: State::RunningInFailedMode, reason: Reason::XmppServerUnreachable, why })
    }

    /// The level of attachment last found.
    pub fn level(&self) -> Option<Level> {
        self.level
    }
}
