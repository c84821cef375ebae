//! The one who speaks: when which words, marks and receipts go; how they get onto the socket is in `out`.
//!
//! Sends a mark behind every so many outbounds, soon after the last and as a sign of life; waits when the window is full.
//! A server that gives no marks back costs the window and its guarantee, not the service.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tandem_muc_core::relay::Numbers;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::board::{Path, first_heard};
use super::ledger::{Boot, Ledger};
use super::mark::Mark;
use super::out::{Out, WRITE_BYTES, put};
use super::padding::Burst;
use super::pulse::Pulse;
use super::trouble::Cause;
use super::window::{Trust, Window};
use super::{Gate, Pace, Said, Ticket, Wish, relayed};

/// A mark goes behind so many outbounds: often enough that the window never empties, too rare to be felt.
const MARK_EVERY: u64 = 64;
/// No two marks follow each other by time faster than this: what lies between two is said again after a crash on a bare
/// server, and a hundred marks a second are not felt.
const MARK_PAUSE: Duration = Duration::from_millis(10);
/// How long the last mark is waited for when closing.
const LAST_MARK: Duration = Duration::from_secs(2);

/// What comes to the writer, over all connections.
pub(super) struct Inlet {
    pub(super) said: mpsc::Receiver<Said>,
    /// Answers of the reader's own: refusals, never durable.
    pub(super) asides: mpsc::Receiver<Said>,
    pub(super) wish: watch::Receiver<Wish>,
    pub(super) window: Window,
    pub(super) marked: watch::Sender<Option<i64>>,
    pub(super) has_warned: bool,
    pub(super) gate: Gate,
    pub(super) ledger: Ledger,
    /// Of stanzas whose words may not all be written yet.
    pub(super) unsettled: Vec<Ticket>,
    /// Handled once everything before that place is handed on.
    pub(super) unproven: VecDeque<(u64, Ticket)>,
}

impl Inlet {
    fn try_next(&mut self) -> Option<Said> {
        match self.asides.try_recv() {
            Ok(aside) => Some(aside),
            Err(_) => self.said.try_recv().ok(),
        }
    }

    async fn next(said: &mut mpsc::Receiver<Said>, asides: &mut mpsc::Receiver<Said>) -> Option<Said> {
        tokio::select! {
            Some(aside) = asides.recv() => Some(aside),
            said = said.recv() => said,
        }
    }
}

/// What a waiting writer wakes up for.
enum News {
    Mark(Mark),
    Said(Said),
    Close,
    Time,
}

/// What one connection is to those who use it.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub(super) domain: &'a str,
    pub(super) pace: Pace,
    pub(super) epoch: u64,
    /// Of the relay at the other end, if it is one: it is told what was said in full and what is handled.
    pub(super) boot: Option<Boot>,
    pub(super) pulse: &'a Pulse,
}

/// The writing end of one connection.
pub(super) struct Writer<'a> {
    domain: &'a str,
    pace: Pace,
    epoch: u64,
    boot: Option<Boot>,
    /// What that relay was told to forget: its acknowledgement stands behind the words, so it need not wait for marks.
    acknowledged: Numbers,
    /// Whether what an earlier connection left unproven is written again on this one.
    has_caught_up: bool,
    socket: OwnedWriteHalf,
    buffer: Vec<u8>,
    burst: Burst,
    inlet: &'a mut Inlet,
    /// Marks the reader saw.
    marks: mpsc::Receiver<Mark>,
    pulse: &'a Pulse,
    marked_at: Instant,
    /// When the closing began.
    closing_at: Option<Instant>,
    /// How all relays stand: with another to turn to, patience is short.
    paths: watch::Receiver<Vec<Path>>,
    /// The last group a relay was told of.
    told_seq: Option<i64>,
    /// Who waits until all that was taken in is handed on.
    drains: Vec<oneshot::Sender<()>>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        ends: Ends<'a>,
        socket: OwnedWriteHalf,
        inlet: &'a mut Inlet,
        marks: mpsc::Receiver<Mark>,
        paths: watch::Receiver<Vec<Path>>,
    ) -> Self {
        let now = Instant::now();
        let Ends { domain, pace, epoch, boot, pulse } = ends;
        inlet.window.rewind();
        let acknowledged = boot.map(|boot| inlet.ledger.settled(boot)).unwrap_or_default();
        Self {
            domain,
            pace,
            epoch,
            boot,
            acknowledged,
            has_caught_up: false,
            socket,
            buffer: Vec::with_capacity(2 * WRITE_BYTES),
            burst: Burst::default(),
            inlet,
            marks,
            pulse,
            marked_at: now,
            closing_at: None,
            paths,
            told_seq: None,
            drains: Vec::new(),
        }
    }

    /// Speaks until the connection breaks, the server falls silent, or everything was said and the stream is to close.
    ///
    /// # Errors
    /// Why the connection is of no use any more; what has no mark behind it is still in the window.
    pub(super) async fn run(&mut self) -> Result<(), Cause> {
        loop {
            self.speak().await.map_err(|why| Cause::Closed(why.to_string()))?;
            if self.is_done() {
                return self.farewell().await.map_err(|why| Cause::Closed(why.to_string()));
            }
            self.wait().await?;
        }
    }

    /// Writes whatever may be written now.
    async fn speak(&mut self) -> io::Result<()> {
        loop {
            self.hear_marks();
            if !self.may_speak() {
                break;
            }
            if let Some(outbound) = self.inlet.window.next() {
                let (pulse, gate) = (self.pulse, &mut self.inlet.gate);
                let mut out = Out { buffer: &mut self.buffer, socket: &mut self.socket, gate, pulse };
                put(outbound, self.domain, &mut self.burst, &mut out).await?;
                if self.inlet.window.unmarked() >= MARK_EVERY {
                    self.put_mark();
                }
                continue;
            }
            self.put_receipts();
            let Some(said) = self.inlet.try_next() else { break };
            self.take(said);
            self.publish();
        }
        self.put_receipts();
        self.put_due_mark();
        self.buffer.resize(self.buffer.len() + self.burst.padding(), b' ');
        self.flush().await?;
        self.inlet.window.trim();
        self.publish();
        if self.inlet.window.is_empty() {
            for told in self.drains.drain(..) {
                let _ = told.send(());
            }
        }
        Ok(())
    }

    /// The window holds only while marks can be seen: else the writer would wait for the reader, the reader for the
    /// service, the service for the writer.
    fn may_speak(&self) -> bool {
        self.inlet.window.is_open() || self.pulse.is_held_up()
    }

    /// A mark soon after words, as a sign of life, and as the last word.
    fn put_due_mark(&mut self) {
        let now = Instant::now();
        let unmarked = self.inlet.window.unmarked() > 0;
        let is_hurried = self.closing_at.is_some() || !self.drains.is_empty();
        let is_due = unmarked && (now >= self.marked_at + MARK_PAUSE || is_hurried);
        if is_due || now >= self.marked_at + self.pace.keepalive {
            self.put_mark();
        }
    }

    fn take(&mut self, mut said: Said) {
        self.inlet.unsettled.append(&mut said.tickets);
        self.drains.extend(said.drained.take());
        self.inlet.window.push(said);
    }

    /// Tells a relay what it has been told in full, and what it may forget, once all that was taken in is written.
    fn put_receipts(&mut self) {
        if !self.inlet.window.is_all_written() {
            return;
        }
        let seq = self.inlet.window.written_seq();
        let is_news = self.boot.is_some() && seq > self.told_seq;
        if let Some(seq) = seq.filter(|seq| is_news && self.inlet.ledger.may_tell_said(*seq)) {
            relayed::write_said(seq, &mut self.buffer);
            self.told_seq = Some(seq);
        }
        self.put_acknowledgement();
        let place = self.inlet.window.written_to();
        let unsettled = self.inlet.unsettled.drain(..).map(|ticket| (place, ticket));
        self.inlet.unproven.extend(unsettled);
    }

    /// To the relay at the other end only: others are told when the words are known to be handed on, for these words do
    /// not come their way.
    fn put_acknowledgement(&mut self) {
        let Some(boot) = self.boot else { return };
        let before = (!self.has_caught_up).then(|| self.inlet.unproven.iter().map(|(_, ticket)| *ticket));
        self.has_caught_up = true;
        let news = before.into_iter().flatten().chain(self.inlet.unsettled.iter().copied());
        let mut news = news.filter_map(|ticket| ticket.of(boot)).peekable();
        if news.peek().is_some() {
            self.acknowledged.extend(news);
            // And what was settled past the words: what nobody is to handle.
            self.acknowledged.union(&self.inlet.ledger.settled(boot));
            relayed::write_ack(&self.acknowledged, &mut self.buffer);
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let (pulse, gate) = (self.pulse, &mut self.inlet.gate);
        Out { buffer: &mut self.buffer, socket: &mut self.socket, gate, pulse }.flush().await
    }

    fn put_mark(&mut self) {
        self.inlet.window.mark(self.epoch).write_to(self.domain, &mut self.buffer);
        self.marked_at = Instant::now();
        self.pulse.mark_sent();
    }

    fn hear_marks(&mut self) {
        while let Ok(mark) = self.marks.try_recv() {
            self.heard(mark);
        }
    }

    fn heard(&mut self, mark: Mark) {
        if mark.epoch == self.epoch {
            self.inlet.window.returned(mark);
            self.pulse.mark_returned(self.inlet.window.is_mark_awaited());
            self.publish();
        }
    }

    /// What is known to be handed on: groups, and stanzas that led to it.
    fn publish(&mut self) {
        let Inlet { unproven, window, ledger, .. } = &mut *self.inlet;
        let proven = unproven.partition_point(|(place, _)| *place <= window.proven_to());
        if proven > 0 {
            ledger.settle(unproven.drain(..proven).map(|(_, ticket)| ticket));
        }
        let seq = self.inlet.window.handed_on_seq();
        self.inlet.marked.send_if_modified(|marked| std::mem::replace(marked, seq) != seq);
    }

    /// Waits for a reason to speak.
    async fn wait(&mut self) -> Result<(), Cause> {
        let wake_at = self.wake_at();
        let may_speak = self.may_speak();
        let is_closing = self.closing_at.is_some();
        let may_take = may_speak && !is_closing && self.inlet.window.is_all_written();
        let Inlet { said, asides, wish, .. } = &mut *self.inlet;
        let news = tokio::select! {
            biased;
            Some(mark) = self.marks.recv() => News::Mark(mark),
            next = Inlet::next(said, asides), if may_take => next.map_or(News::Close, News::Said),
            _ = wish.wait_for(|wish| *wish == Wish::Close), if !is_closing => News::Close,
            () = self.pulse.held_up(), if !may_speak => News::Time,
            () = sleep_until(wake_at) => News::Time,
        };
        match news {
            News::Mark(mark) => self.heard(mark),
            News::Said(said) => self.take(said),
            News::Close => self.begin_closing(),
            News::Time => self.look_at_marks()?,
        }
        Ok(())
    }

    fn wake_at(&self) -> Instant {
        let mut wake_at = self.marked_at + self.pace.keepalive;
        if self.inlet.window.unmarked() > 0 {
            wake_at = wake_at.min(self.marked_at + MARK_PAUSE);
        }
        if let Some(awaited_since) = self.pulse.awaited_since() {
            wake_at = wake_at.min(awaited_since + self.pace.mark_patience);
            if self.has_another_way() {
                // What is late by then may still be heard of otherwise.
                wake_at = wake_at.min((awaited_since + self.pace.relay_patience).max(Instant::now() + MARK_PAUSE));
            }
        }
        if let Some(closing_at) = self.closing_at {
            wake_at = wake_at.min(closing_at + LAST_MARK);
        }
        wake_at
    }

    /// A mark that stays out: the server is silent, or it is one that gives none back.
    fn look_at_marks(&mut self) -> Result<(), Cause> {
        let hung = self.pace.relay_patience;
        if self.has_another_way() && self.pulse.is_silent_for(hung) {
            return Err(Cause::Silence(hung));
        }
        let patience = self.pace.mark_patience;
        let is_late = self.pulse.awaited_since().is_some_and(|since| since.elapsed() >= patience);
        if !is_late {
            return Ok(());
        }
        let is_held_up = self.pulse.is_held_up();
        match self.inlet.window.trust() {
            Trust::Untried if !is_held_up => self.do_without_marks(),
            Trust::Proven if !is_held_up && self.pulse.silence() >= patience => return Err(Cause::Silence(patience)),
            Trust::Untried | Trust::Proven => self.pulse.mark_returned(true),
            Trust::Refused => self.pulse.mark_returned(false),
        }
        Ok(())
    }

    fn has_another_way(&self) -> bool {
        self.boot.is_some() && first_heard(&self.paths.borrow()).is_some()
    }

    fn do_without_marks(&mut self) {
        self.inlet.window.refuse();
        self.pulse.marks_refused();
        self.publish();
        if !std::mem::replace(&mut self.inlet.has_warned, true) {
            warn!(
                domain = self.domain,
                "the server gives no marks back; going on without: what a crash loses in the server's socket is not noticed"
            );
        }
    }

    fn begin_closing(&mut self) {
        self.inlet.said.close();
        self.closing_at = Some(Instant::now());
    }

    fn is_done(&self) -> bool {
        let Some(closing_at) = self.closing_at else { return false };
        let window = &self.inlet.window;
        window.is_empty() && self.inlet.said.is_empty()
            || closing_at.elapsed() >= LAST_MARK
            || window.trust() == Trust::Refused && window.is_all_written()
    }

    /// Says goodbye. Past the gate, for no words are in it; not in the middle of words that were held up there.
    pub(super) async fn farewell(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            self.socket.write_all(b"</stream:stream>").await?;
        }
        self.socket.shutdown().await
    }
}
