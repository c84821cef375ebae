//! The driver's half that talks to the database: beats, the lease and its deadline, moves; every answer becomes an event.

use tandem_muc_core::pair::{Change, Event, Level, Reason};
use tandem_muc_core::time::{Moment, Now};

use super::reign::Reign;
use super::{BEAT_MS, Brain, Deed, Had, LEASE_MS, MARGIN_MS, News, Purpose, TICK_MS, Up};
use crate::database::{Ask, Passed, Said};
use crate::flaw::Flaw;

impl Brain {
    pub(super) fn take(&mut self, now: Now, news: News) {
        match news {
            News::Tick => self.tick(now),
            News::Beat => self.beat(now),
            News::Said(id, said) => {
                if let Some(purpose) = self.asked.remove(&id) {
                    self.answered(now, id, &purpose, said);
                }
            }
            News::TimedOut(id) => {
                if let Some(purpose) = self.asked.remove(&id) {
                    self.answered(now, id, &purpose, Said::Failed("no answer within 2000 ms".into()));
                }
            }
            News::Down(stream, down) => self.receive(now, stream, down),
            News::Again => self.again(),
            News::Stop => self.heard.push(Event::Stop),
        }
    }

    fn tick(&mut self, now: Now) {
        self.deeds.push(Deed::After(TICK_MS, News::Tick));
        if self.pair.reigns().is_some() && !self.is_overdue && now.moment >= self.deadline {
            self.is_overdue = true;
            self.heard.push(Event::LeaseOverdue("the renewal was not confirmed in time".into()));
        }
        self.heard.push(Event::Tick);
        self.with_reign(|reign| {
            reign.quiet_ms += TICK_MS;
            reign.ending_ms += if reign.is_ending { TICK_MS } else { 0 };
        });
    }

    fn beat(&mut self, now: Now) {
        self.deeds.push(Deed::After(BEAT_MS, News::Beat));
        let is_giving = self.reign.as_ref().is_some_and(|reign| reign.is_giving);
        if let Some(epoch) = self.reign.as_ref().map(|reign| reign.epoch)
            && !self.is_renewing
            && !is_giving
        {
            self.is_renewing = true;
            self.ask(Purpose::Renew { sent: now.moment, epoch }, Ask::Renew { epoch });
        }
        if !self.is_looking {
            self.is_looking = true;
            let standing = self.pair.standing().clone();
            self.ask(Purpose::Look { sent: now.moment }, Ask::Look { standing });
        }
    }

    fn answered(&mut self, now: Now, id: u64, purpose: &Purpose, said: Said) {
        match *purpose {
            Purpose::Look { sent } => {
                self.is_looking = false;
                match said {
                    Said::Seen(sighting, seq) => {
                        self.see_seq(now, sent, seq);
                        self.heard.push(Event::Saw(*sighting));
                    }
                    other => self.heard.push(Event::Blind(why(other))),
                }
            }
            Purpose::Renew { sent, epoch } => self.renewed(sent, epoch, &said),
            Purpose::Acquire { sent } => self.acquired(now, sent, said),
            Purpose::Lock => self.locked(id, said),
            Purpose::HandOver { epoch } => self.handed_over(epoch, &said),
            Purpose::Release => self.released(),
            Purpose::Open | Purpose::Append { .. } | Purpose::PassOn | Purpose::PassedOn => {
                self.reign_answered(now, purpose, said);
            }
            Purpose::Aside => {}
        }
    }

    fn acquired(&mut self, now: Now, sent: Moment, said: Said) {
        let event = match said {
            Said::Lease { epoch, before, seq, mark, inbound } => {
                self.see_seq(now, sent, seq);
                self.deadline = Moment(sent.0 + LEASE_MS - MARGIN_MS);
                self.is_overdue = false;
                self.had = Some(Had { before, seq, mark, inbound });
                Event::LeaseHad(epoch)
            }
            Said::Held => Event::LeaseHeld,
            other => Event::LeaseUnanswered(why(other)),
        };
        self.heard.push(event);
    }

    /// A group number that is lower than one seen before: the database has lost something.
    fn see_seq(&mut self, now: Now, sent: Moment, seq: i64) {
        let (highest, since) = self.seq_seen;
        if seq < highest && sent > since {
            self.deeds.push(Deed::ReportLoss(highest - seq));
        }
        if seq > highest || sent > since {
            self.seq_seen = (seq, now.moment);
        }
    }

    pub(super) fn see_own_seq(&mut self, now: Now, seq: i64) {
        self.seq_seen = (seq, now.moment);
    }

    fn renewed(&mut self, sent: Moment, epoch: i64, said: &Said) {
        self.is_renewing = false;
        if self.reign.as_ref().is_none_or(|reign| reign.epoch != epoch || reign.is_giving) {
            return;
        }
        match said {
            Said::Renewed(true) => {
                self.deadline = self.deadline.max(Moment(sent.0 + LEASE_MS - MARGIN_MS));
                self.is_overdue = false;
                self.heard.push(Event::Renewed);
            }
            Said::Renewed(false) => self.heard.push(Event::LeaseLost),
            _ => {}
        }
    }

    fn locked(&mut self, id: u64, said: Said) {
        if self.lock != Some(id) {
            return;
        }
        match said {
            Said::Locked(lease) => {
                // It may still end with its connection.
                self.asked.insert(id, Purpose::Lock);
                self.heard.push(Event::LockHad(lease));
            }
            _ => {
                self.lock = None;
                self.heard.push(Event::LockGone);
            }
        }
    }

    pub(super) fn hand_over(&mut self, to: &str) {
        debug_assert_ne!(to, super::NAMES[self.nth], "handed over to oneself");
        let level = self.level;
        let Some(reign) = &mut self.reign else { return };
        reign.is_giving = true;
        let (epoch, mark) = (reign.epoch, reign.mark());
        let inbound = reign.stored_numbers();
        let passes_on = level != Level::Relay && reign.is_attached();
        self.ask(Purpose::HandOver { epoch }, Ask::HandOver { epoch, mark, inbound, passes_on });
    }

    fn handed_over(&mut self, epoch: i64, said: &Said) {
        let is_current = self.reign.as_ref().is_some_and(|reign| reign.epoch == epoch && reign.is_giving);
        if !is_current {
            return;
        }
        match said {
            Said::HandedOver(Some(handed)) => self.heard.push(Event::HandedOver(*handed)),
            Said::HandedOver(None) => self.heard.push(Event::LeaseLost),
            // Done or not, nobody knows: the next renewal tells whose the lease is.
            _ => {
                self.with_reign(|reign| reign.is_giving = false);
                self.heard.push(Event::NotHandedOver("the database did not answer".into()));
            }
        }
    }

    pub(super) fn begin(&mut self, epoch: i64, handed_in: Option<i64>) {
        let Some(Had { before, seq, mark, inbound }) = self.had.clone() else { return };
        let inbound = inbound.filter(|_| self.flaw != Flaw::ForgetsNumbers);
        let handed_in = handed_in.filter(|_| self.level != Level::Relay);
        self.reign = Some(Reign::new(epoch, before, handed_in, seq, mark, inbound));
        self.ask(Purpose::Open, Ask::Open { mark });
        self.connect();
    }

    pub(super) fn connect(&mut self) {
        let stream = self.id();
        self.with_reign(|reign| reign.connect(stream));
        self.deeds.push(Deed::Connect(stream));
    }

    pub(super) fn pass_on(&mut self, epoch: i64) {
        let level = self.level;
        let Some(reign) = &mut self.reign else { return };
        reign.passing = Some(epoch);
        match (level, reign.attached_stream()) {
            (Level::Relay, Some(stream)) => {
                self.deeds.push(Deed::Write(stream, Up::Leave));
                self.heard.push(Event::PassedOn);
            }
            (Level::Relay, None) => self.heard.push(Event::PassedOn),
            // The newcomer replaces this stream, or nobody does: then it is ended from here.
            (Level::Replacing, Some(_)) => {}
            (Level::Bare, Some(stream)) => self.deeds.push(Deed::Write(stream, Up::End)),
            (Level::Bare | Level::Replacing, None) => self.pass_on_now(),
        }
    }

    pub(super) fn pass_on_now(&mut self) {
        let Some(reign) = &mut self.reign else { return };
        let Some(epoch) = reign.passing else { return };
        let stanzas = reign.take_unhandled();
        self.ask(Purpose::PassOn, Ask::PassOn { epoch, stanzas });
    }

    pub(super) fn cut(&mut self) {
        if let Some(stream) = self.reign.take().and_then(|reign| reign.any_stream()) {
            self.deeds.push(Deed::Reset(stream));
        }
    }

    pub(super) fn give_back(&mut self) {
        let Some(epoch) = self.reign.as_ref().map(|reign| reign.epoch) else { return };
        self.with_reign(|reign| reign.is_giving = true);
        self.ask(Purpose::Release, Ask::Release { epoch });
    }

    fn released(&mut self) {
        if let Some(stream) = self.reign.take().and_then(|reign| reign.any_stream()) {
            self.deeds.push(Deed::Write(stream, Up::End));
        }
        self.heard.push(Event::Ended);
    }

    /// Moves that came about by themselves are counted.
    pub(super) fn count_move(&mut self, change: &Change) {
        let is_automatic = match change.to.reason {
            Reason::PeerDown
            | Reason::LeaseExpired
            | Reason::XmppServerUnreachable
            | Reason::DatabaseFailure
            | Reason::CriticalServiceDown
            | Reason::AutomaticFallback => true,
            Reason::OnAdminRequest
            | Reason::LeaseLost
            | Reason::Initialization
            | Reason::PeerDownDuringInitialization
            | Reason::TakeOverFailed
            | Reason::TakeBackFailed
            | Reason::FailoverLimit => false,
        };
        if change.opened.is_some() && is_automatic {
            self.ask(Purpose::Aside, Ask::Moved);
        }
    }

    pub(super) fn passed_on_is(&mut self, passed: Option<Passed>) {
        let Some(reign) = &mut self.reign else { return };
        match passed {
            Some(Passed::Awaited) if reign.waits_for_passed < 40 => {
                reign.waits_for_passed += 1;
                self.deeds.push(Deed::After(50, News::Again));
            }
            None | Some(Passed::Awaited) => reign.handed_in = None,
            Some(Passed::Whole(stanzas)) => {
                reign.handed_in = None;
                reign.put_first(stanzas);
            }
        }
    }
}

fn why(said: Said) -> String {
    match said {
        Said::Failed(why) => why,
        other => format!("an odd answer: {other:?}"),
    }
}
