//! One domain's task: the stream to the server, the streams of its nodes, the engine between them.
//!
//! All sockets are polled by one task, in rounds: read once from each, act, hand on, write. So nothing waits for
//! another task to wake up, and whatever came together goes out together. A holder that is slow to read delays nobody;
//! a server that is slow to read delays the holder.

mod act;
mod hear;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tandem_muc_core::relay::{Action, Event, Forward, Link, Relay};
use tandem_muc_core::time::Moment;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep};
use tracing::{debug, info, warn};

use super::listen::Newcomer;
use super::node::Node;
use super::server::Server;
use super::status::DomainStatus;
use super::{Pace, wire};
use crate::stream::connect::Attached;
use crate::stream::{Cause, StreamConfig, Trouble};

use act::Tally;

/// So many times the nodes that may be linked there may be streams, those that are being closed included.
const LEAVING_MAX: usize = 4;
/// A task that looks around twice a second and did not for so long was stopped: less than a node waits before it gives a
/// silent relay up (3 s).
const STOPPED: Duration = Duration::from_millis(2_500);
/// Rounds before other tasks get a turn.
const ROUNDS: usize = 32;

type Reaching = Pin<Box<dyn Future<Output = Result<Attached, String>> + Send>>;

/// What a domain's task works with.
pub(super) struct Domain {
    stream: StreamConfig,
    pace: Pace,
    relay: Relay<Arc<[u8]>>,
    nodes: Vec<Node>,
    links: u64,
    newcomers: mpsc::Receiver<Newcomer>,
    server: Option<Server>,
    /// One that is left, and until when its last bytes may take.
    parting: Option<(Server, Instant)>,
    reaching: Option<Reaching>,
    /// The attempt was begun after it could be polled in this round.
    has_begun: bool,
    actions: Vec<Action<Arc<[u8]>>>,
    began: Instant,
    now: Instant,
    timer: Pin<Box<Sleep>>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    stopping: Option<Stopping>,
    tally: Tally,
    status: DomainStatus,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy)]
enum Stopping {
    /// The holder may still acknowledge what it has.
    Settling { until: Instant },
    /// Everything is said; the last bytes go out.
    Leaving { until: Instant },
}

impl Domain {
    pub(super) fn new(
        stream: StreamConfig,
        pace: Pace,
        relay: Relay<Arc<[u8]>>,
        newcomers: mpsc::Receiver<Newcomer>,
        status: DomainStatus,
        mut stops: watch::Receiver<bool>,
    ) -> Domain {
        let now = Instant::now();
        Domain {
            stream,
            pace,
            relay,
            nodes: Vec::new(),
            links: 0,
            newcomers,
            server: None,
            parting: None,
            reaching: None,
            has_begun: false,
            actions: Vec::new(),
            began: now,
            now,
            timer: Box::pin(sleep(pace.look)),
            // A dropped sender is the end as well.
            stop: Box::pin(async move { drop(stops.wait_for(|is_stopping| *is_stopping).await) }),
            stopping: None,
            tally: Tally::default(),
            status,
        }
    }

    /// Relays until it is told to stop and has said the last words.
    pub(super) async fn run(mut self) {
        std::future::poll_fn(|cx| self.turn(cx)).await;
        self.tally.tell(&self.stream.domain);
        if let Some(server) = self.server.take() {
            crate::stream::leave(server.into_socket()).await;
        }
        info!(domain = self.stream.domain, "relay: ended");
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let before = std::mem::replace(&mut self.now, Instant::now());
        if self.now - before >= STOPPED {
            self.go_on_after(self.now - before);
        }
        self.look_outside(cx);
        let mut is_busy = true;
        for _ in 0..ROUNDS {
            is_busy = self.round(cx);
            if !is_busy {
                break;
            }
            self.now = Instant::now();
        }
        if self.is_over() {
            return Poll::Ready(());
        }
        self.show();
        if is_busy {
            cx.waker().wake_by_ref();
        } else {
            self.arm(cx);
        }
        Poll::Pending
    }

    /// This process was stopped: nodes have given it up by now and say elsewhere what lies unread in their sockets here.
    /// Said now it would be late and out of order.
    fn go_on_after(&mut self, stopped: Duration) {
        let stopped_ms = u64::try_from(stopped.as_millis()).unwrap_or(u64::MAX);
        warn!(
            domain = self.stream.domain,
            stopped_ms, "relay: this process stood still; its nodes have to attach anew"
        );
        for nth in 0..self.nodes.len() {
            let node = &mut self.nodes[nth];
            if node.is_open() {
                node.leave(&wire::stream_error("reset", "the relay stood still"), self.now);
                let link = node.link;
                self.happened(Event::Closed(link));
            }
        }
    }

    /// Whatever is not a socket: the end, the clock, new nodes, the attempt to reach the server.
    fn look_outside(&mut self, cx: &mut Context<'_>) {
        if self.stopping.is_none() && self.stop.as_mut().poll(cx).is_ready() {
            self.stopping = Some(Stopping::Settling { until: self.now + self.pace.settle });
            self.happened(Event::Stopping);
        }
        while let Poll::Ready(Some(newcomer)) = self.newcomers.poll_recv(cx) {
            self.let_in(newcomer);
        }
        self.happened(Event::Tick);
        self.look_at_silence();
        self.look_at_the_end();
        self.tally.tell_in_time(&self.stream.domain, self.now);
    }

    fn let_in(&mut self, newcomer: Newcomer) {
        let peer = newcomer.peer;
        self.links += 1;
        let mut node = Node::new(Link(self.links), newcomer, self.now);
        let linked = self.nodes.iter().filter(|node| node.is_open()).count();
        if self.nodes.len() >= LEAVING_MAX * self.pace.nodes_max {
            // Not even a word: these are many at once, and do not listen to their goodbyes.
            return;
        }
        if self.stopping.is_some() || linked >= self.pace.nodes_max {
            warn!(domain = self.stream.domain, %peer, "relay: refused a node: too many are linked, or the relay is stopping");
            node.leave(
                &wire::stream_error("resource-constraint", "too many nodes, or the relay is stopping"),
                self.now,
            );
            self.nodes.push(node);
            return;
        }
        debug!(domain = self.stream.domain, %peer, "relay: a node stands by");
        node.out.put(wire::greeting(self.relay.boot(), self.relay.highest()));
        self.nodes.push(node);
        self.happened(Event::Opened(Link(self.links)));
    }

    fn reached(&mut self, reached: Result<Attached, String>) {
        match reached {
            Ok(attached) => {
                info!(domain = self.stream.domain, server = attached.server, "relay: attached to the server");
                self.server = Some(Server::new(attached, self.now));
                self.happened(Event::ServerUp);
            }
            Err(why) => {
                warn!(domain = self.stream.domain, "relay: no server: {why}");
                self.happened(Event::ServerDown(why));
            }
        }
    }

    /// One round over all sockets; whether there may be more to do at once.
    fn round(&mut self, cx: &mut Context<'_>) -> bool {
        self.look_for_server(cx);
        let mut is_busy = self.hear_server(cx);
        let is_holder_quiet = self.hear_nodes(cx, &mut is_busy);
        is_busy |= self.hand_on();
        if is_holder_quiet && let Some(server) = &mut self.server {
            server.rest();
        }
        is_busy |= self.write(cx);
        self.nodes.retain(|node| !node.is_gone());
        is_busy || std::mem::take(&mut self.has_begun)
    }

    fn look_for_server(&mut self, cx: &mut Context<'_>) {
        self.has_begun = false;
        if let Some(Poll::Ready(reached)) = self.reaching.as_mut().map(|reaching| reaching.as_mut().poll(cx)) {
            self.reaching = None;
            self.reached(reached);
        }
    }

    /// Gives the holder what it has not got yet, as far as it reads; whether there was anything.
    fn hand_on(&mut self) -> bool {
        let Domain { nodes, relay, .. } = self;
        let Some(node) = nodes.iter_mut().find(|node| relay.speaks(node.link)) else { return false };
        let mut is_busy = false;
        while node.room() > 0 {
            let Some(Forward { at, stanza, .. }) = relay.forward() else { break };
            if let Some(number) = at {
                wire::at(number, node.out.buffer());
            }
            node.out.put(&stanza);
            is_busy = true;
        }
        is_busy
    }

    /// Writes whatever waits; whether the server made room for words that had to wait.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        for node in self.nodes.iter_mut().filter(|node| node.is_open()) {
            node.write(self.now, cx);
        }
        self.part(cx);
        let Some(server) = &mut self.server else { return false };
        let had_room = server.has_room();
        server.write(self.now, cx);
        !had_room && server.has_room()
    }

    fn lose_node(&mut self, nth: usize, why: &str) {
        let node = &mut self.nodes[nth];
        debug!(domain = self.stream.domain, peer = node.peer, why, "relay: a node's connection is gone");
        node.lose();
        let link = node.link;
        self.happened(Event::Closed(link));
    }

    fn lose_server(&mut self, cause: Cause) {
        let Some(server) = self.server.take() else { return };
        let trouble = Trouble { domain: self.stream.domain.clone(), server: server.address, cause };
        let (held, _) = self.relay.held();
        warn!(
            domain = self.stream.domain,
            held, "relay: the server is gone, nodes are sent away, nothing is forgotten: {trouble}"
        );
        self.happened(Event::ServerDown(trouble.to_string()));
    }

    fn happened(&mut self, event: Event<Arc<[u8]>>) {
        let moment = self.moment();
        self.relay.handle(moment, event, &mut self.actions);
        self.act();
    }

    /// Signs of life in both directions, and a server that takes nothing.
    fn look_at_silence(&mut self) {
        for nth in 0..self.nodes.len() {
            let node = &mut self.nodes[nth];
            if !node.is_open() {
                continue;
            }
            if self.now - node.heard_at >= self.pace.silence {
                let sentence = format!("nothing was heard for {} ms", self.pace.silence.as_millis());
                warn!(domain = self.stream.domain, peer = node.peer, "relay: a node's stream is closed: {sentence}");
                node.leave(&wire::stream_error("connection-timeout", &sentence), self.now);
                let link = node.link;
                self.happened(Event::Closed(link));
            } else if self.now - node.spoke_at >= self.pace.alive && node.out.waiting() == 0 {
                node.out.put(wire::alive());
            }
        }
        let stall = self.pace.stall;
        if self.server.as_ref().is_some_and(|server| server.stalls(self.now) >= stall) {
            self.lose_server(Cause::Silence(stall));
        }
    }

    fn look_at_the_end(&mut self) {
        if let Some(Stopping::Settling { until }) = self.stopping
            && (self.now >= until || self.relay.is_settled())
        {
            self.stopping = Some(Stopping::Leaving { until: self.now + self.pace.settle });
            self.happened(Event::Stopped);
        }
    }

    fn is_over(&self) -> bool {
        match self.stopping {
            Some(Stopping::Leaving { until }) => {
                let is_all_said = self.server.as_ref().is_none_or(|server| server.out.waiting() == 0);
                self.now >= until || self.nodes.is_empty() && is_all_said
            }
            Some(Stopping::Settling { .. }) | None => false,
        }
    }

    /// Sets the clock for whatever comes next.
    fn arm(&mut self, cx: &mut Context<'_>) {
        let look = if self.stopping.is_some() { self.pace.look / 10 } else { self.pace.look };
        let mut wake_at = self.now + look;
        if let Some(Moment(ms)) = self.relay.wake() {
            wake_at = wake_at.min(self.began + Duration::from_millis(ms));
        }
        loop {
            self.timer.as_mut().reset(wake_at);
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            wake_at = Instant::now() + Duration::from_millis(1);
        }
    }

    /// The engine's time.
    fn moment(&self) -> Moment {
        Moment(u64::try_from((self.now - self.began).as_millis()).unwrap_or(u64::MAX))
    }

    fn show(&mut self) {
        self.status.show(&self.relay, self.server.as_ref().map(|server| server.address.as_str()));
    }
}
