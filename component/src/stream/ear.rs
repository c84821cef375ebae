//! One relay of a domain, attached again and again: what comes in there is heard and acknowledged, and the connection is
//! lent to whoever speaks. A relay that falls silent is left.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tracing::{debug, warn};

use super::board::{Board, Path, PathState, first_heard, outdated};
use super::connect;
use super::line::{Line, Opener, better_of};
use super::mark::Mark;
use super::relayed::write_ack;
use super::session::GOODBYE;
use super::standby::Warm;
use super::trouble::{Cause, Trouble};

/// The longest pause between two attempts: a relay that is back is noticed soon.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The pause where only a change of configuration can help.
const PAUSE_LASTING: Duration = Duration::from_secs(15);
/// A stream that lasted this long was no failure: the pauses start anew.
const LASTED: Duration = Duration::from_secs(10);
/// How long the others may take to attach once one has, before it is spoken.
const GRACE: Duration = Duration::from_millis(250);
/// A mark that says nothing of what was said: no group has this number.
const PROBE: i64 = -1;

/// All relays of a domain.
#[derive(Debug)]
pub(super) struct Ears {
    board: Board,
    seen: watch::Receiver<Vec<Path>>,
    calls: Vec<mpsc::Sender<oneshot::Sender<Line>>>,
    /// Told to try at once.
    again: Vec<Arc<Notify>>,
    tasks: JoinSet<()>,
}

impl Ears {
    /// Begins to attach to all of them.
    pub(super) fn start(opener: &Opener, board: Board, mut warm: Option<Warm>) -> Ears {
        let (mut calls, mut again, mut tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        for (nth, relay) in opener.config.relays.iter().enumerate() {
            let (call, called) = mpsc::channel(1);
            let warm = warm.take_if(|warm| warm.0.server == *relay);
            let (opener, board, relay) = (opener.clone(), board.clone(), relay.clone());
            let (told, wanted) = (None, Arc::new(Notify::new()));
            again.push(Arc::clone(&wanted));
            tasks.spawn(Ear { nth, relay, opener, board, warm, wanted, told }.run(called));
            calls.push(call);
        }
        Ears { seen: board.watch(), board, calls, again, tasks }
    }

    /// A connection to speak on, of the first relay that is attached; nothing where none can be.
    pub(super) async fn first(&mut self) -> Option<Line> {
        let mut grace_ends = None;
        loop {
            self.seen.borrow_and_update();
            let ends = match self.board.first_heard() {
                Some(nth) => {
                    let ends = *grace_ends.get_or_insert_with(|| Instant::now() + GRACE);
                    if (!self.board.has_untried() || Instant::now() >= ends)
                        && let Some(line) = self.lent(nth).await
                    {
                        return Some(line);
                    }
                    Some(ends)
                }
                None if !self.board.has_untried() => return None,
                None => None,
            };
            tokio::select! {
                _ = self.seen.changed() => {}
                () = sleep_until(ends.unwrap_or_else(Instant::now)), if ends.is_some_and(|ends| ends > Instant::now()) => {}
            }
        }
    }

    /// Those that are away are tried at once, and [`Ears::first`] waits for what comes of it.
    pub(super) fn try_again(&self) {
        for (nth, again) in self.again.iter().enumerate() {
            if self.board.trouble(nth).is_some_and(|trouble| !trouble.cause.is_lasting()) {
                self.board.set(nth, PathState::Untried);
                again.notify_one();
            }
        }
    }

    async fn lent(&self, nth: usize) -> Option<Line> {
        let (lend, lent) = oneshot::channel();
        self.calls[nth].send(lend).await.ok()?;
        let line = lent.await.ok()?;
        self.board.set(nth, PathState::Spoken { since: line.since.into_std() });
        Some(line)
    }

    /// A connection that was lent has ended, or is to end.
    pub(super) fn lost(&self, trouble: &Trouble) {
        let nth = self.seen.borrow().iter().position(|path| path.relay == trouble.server);
        if let Some(nth) = nth {
            self.board.set(nth, PathState::Away { trouble: trouble.clone() });
        }
    }

    /// Every one says its last and is gone.
    pub(super) async fn finish(mut self) {
        self.calls.clear();
        let _ = timeout(2 * GOODBYE, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.cut().await;
    }

    /// Gone, this moment.
    pub(super) async fn cut(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Waits until there is a relay to speak through.
pub(super) async fn heard(seen: &mut watch::Receiver<Vec<Path>>) {
    // The board lives as long as whoever waits.
    let _ = seen.wait_for(|paths| first_heard(paths).is_some()).await;
}

/// Waits until a relay serves a higher epoch: which.
pub(super) async fn overtaken(seen: &mut watch::Receiver<Vec<Path>>) -> u64 {
    let highest = seen.wait_for(|paths| outdated(paths).is_some()).await.ok().and_then(|paths| outdated(&paths));
    match highest {
        Some(highest) => highest,
        None => std::future::pending().await,
    }
}

/// Who wants the connection; closed at the end.
type Calls = mpsc::Receiver<oneshot::Sender<Line>>;

struct Ear {
    nth: usize,
    relay: String,
    opener: Opener,
    board: Board,
    warm: Option<Warm>,
    wanted: Arc<Notify>,
    /// The trouble last told: each is told once.
    told: Option<Cause>,
}

/// How listening on one connection ended.
enum End {
    /// It is spoken on elsewhere, until this is told or dropped.
    Lent(oneshot::Receiver<()>),
    /// As wanted.
    Over,
    Broken(Cause),
}

impl Ear {
    async fn run(mut self, mut calls: Calls) {
        let mut pause = self.opener.pace.pause_min;
        loop {
            let opened = tokio::select! {
                opened = self.open() => opened,
                () = over(&mut calls) => return,
            };
            let began = Instant::now();
            let trouble = match opened {
                Err(trouble) => Some(trouble),
                Ok(line) => match self.hold(line, &mut calls).await {
                    End::Over => return,
                    End::Broken(cause) => Some(self.opener.trouble(&self.relay, cause)),
                    End::Lent(ended) => {
                        tokio::select! {
                            _ = ended => None,
                            () = over(&mut calls) => return,
                        }
                    }
                },
            };
            if began.elapsed() >= LASTED {
                pause = self.opener.pace.pause_min;
            }
            if let Some(trouble) = trouble {
                self.opener.note_end(&trouble.cause);
                self.tell(&trouble);
                self.board.set(self.nth, PathState::Away { trouble });
            }
            let is_lasting = self.board.trouble(self.nth).is_some_and(|trouble| trouble.cause.is_lasting());
            let wait = if is_lasting { PAUSE_LASTING } else { pause };
            pause = PAUSE_MAX.min(pause * 2);
            tokio::select! {
                () = sleep(wait) => {}
                () = self.wanted.notified() => {}
                () = over(&mut calls) => return,
            }
        }
    }

    /// On the stream that was kept ready, else on a new one: what was ready may have gone stale unnoticed.
    async fn open(&mut self) -> Result<Line, Trouble> {
        self.opener.may_open().await;
        let is_attached = |relay: &str| self.board.is_attached(relay);
        if let Some(Warm(attached)) = self.warm.take() {
            match self.opener.attach(attached, is_attached).await {
                Err(Trouble { cause: Cause::Closed(_) | Cause::Silence(_), .. }) => {}
                answered => return answered,
            }
        }
        let patience = self.opener.pace.step_patience;
        let attached = connect::shake_hands_with(&self.opener.config, &self.relay, patience).await?;
        self.opener.attach(attached, is_attached).await
    }

    /// Once for each trouble, for it is met again every second.
    fn tell(&mut self, trouble: &Trouble) {
        if self.told.as_ref() == Some(&trouble.cause) {
            debug!("{trouble}");
        } else {
            warn!("{trouble}");
            self.told = Some(trouble.cause.clone());
        }
    }

    /// Listens until the connection ends, is lent, or nothing more is wanted.
    async fn hold(&mut self, mut line: Line, calls: &mut Calls) -> End {
        let Some((welcome, boot)) = line.relay else { return End::Over };
        self.told = None;
        self.board.set(self.nth, PathState::Heard { since: line.since.into_std(), welcome });
        debug!(domain = self.opener.config.domain, relay = self.relay, held = welcome.held, "the relay is heard");
        let mut settled = self.opener.ledger.news();
        let mut acknowledged = self.opener.ledger.settled(boot);
        let mut beat = interval(self.opener.pace.beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut out = Vec::new();
            tokio::select! {
                biased;
                cause = line.reading.ended() => return End::Broken(cause),
                Some(mark) = line.marks.recv() => {
                    if mark.epoch == self.opener.claim.epoch {
                        line.pulse.mark_returned(false);
                    }
                }
                called = calls.recv() => match called {
                    Some(back) => {
                        if let Some(ended) = lend(line, back) { return End::Lent(ended); }
                        return End::Broken(Cause::Closed("nobody took it".to_owned()));
                    }
                    None => {
                        self.farewell(&mut line).await;
                        return End::Over;
                    }
                },
                Ok(()) = settled.changed() => {
                    let now = self.opener.ledger.settled(boot);
                    if now != acknowledged {
                        write_ack(&now, &mut out);
                        acknowledged = now;
                    }
                }
                _ = beat.tick() => {
                    let patience = self.opener.pace.relay_patience;
                    if line.pulse.is_silent_for(patience) {
                        return End::Broken(Cause::Silence(patience));
                    }
                    Mark { epoch: self.opener.claim.epoch, seq: PROBE }.write_to(&self.opener.config.domain, &mut out);
                    line.pulse.mark_sent();
                }
            }
            if let Err(cause) = self.write(&mut line, &out).await {
                return End::Broken(better_of(cause, &mut line.reading, GOODBYE).await);
            }
        }
    }

    async fn write(&self, line: &mut Line, bytes: &[u8]) -> Result<(), Cause> {
        let patience = self.opener.pace.relay_patience;
        match timeout(patience, line.socket.write_all(bytes)).await {
            Ok(written) => written.map_err(|why| Cause::Closed(why.to_string())),
            Err(_) => Err(Cause::Silence(patience)),
        }
    }

    /// What was settled to the last, and the goodbye.
    async fn farewell(&self, line: &mut Line) {
        let mut out = Vec::new();
        if let Some((_, boot)) = line.relay {
            write_ack(&self.opener.ledger.settled(boot), &mut out);
        }
        out.extend_from_slice(b"</stream:stream>");
        if self.write(line, &out).await.is_ok() {
            let _ = line.socket.shutdown().await;
            let _ = timeout(GOODBYE, line.reading.ended()).await;
        }
    }
}

/// Waits for the end. Calls that come meanwhile are for a connection that is gone.
async fn over(calls: &mut Calls) {
    while calls.recv().await.is_some() {}
}

/// Gives the connection away; what tells of its end.
fn lend(mut line: Line, back: oneshot::Sender<Line>) -> Option<oneshot::Receiver<()>> {
    let (lent, ended) = oneshot::channel();
    line.lent = Some(lent);
    back.send(line).is_ok().then_some(ended)
}
