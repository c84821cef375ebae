//! The server between nodes and clients: bare, with one component or several; or with the relay engine, as it is, at
//! its side.

use std::sync::Arc;

use tandem_muc_core::pair::Level;
use tandem_muc_core::relay::{Action, Bounds, Event, Link, Relay};
use tandem_muc_core::stanza::{Condition, Inbound, Outbound, Stanza};
use tandem_muc_core::time::Moment;

use crate::node::{Down, News, Up};
use crate::stanzas::{bounce, is_answerable, number_of};
use crate::wire::{Line, Wire};
use crate::world::{Happening, World};

/// What the relay keeps.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    Stanza(Arc<Inbound>),
    Mark(i64, i64),
}

/// So much may be on its way to a node that does not read.
const UNREAD_MAX: usize = 30;
const WAIT_MS: u64 = 30_000;

#[derive(Debug)]
pub(crate) struct Server {
    level: Level,
    /// Bare: the components that are attached.
    components: Vec<Line>,
    relay: Relay<Carried>,
    is_relay_up: bool,
    boots: u32,
    links: u64,
    ticks_at: Option<u64>,
}

impl Server {
    pub(crate) fn new(level: Level) -> Server {
        let mut relay = booted(1);
        relay.handle(Moment(0), Event::ServerUp, &mut Vec::new());
        Server { level, components: Vec::new(), relay, is_relay_up: true, boots: 1, links: 0, ticks_at: None }
    }
}

fn booted(nth: u32) -> Relay<Carried> {
    Relay::new(format!("boot{nth}"), Bounds { wait_ms: WAIT_MS, ..Bounds::default() })
}

impl World {
    /// The relay dies, with what it kept and what was on its way to it; whoever attaches meanwhile is hung up on.
    pub(crate) fn restart_relay(&mut self, span: u64) {
        if self.server.level != Level::Relay || !self.server.is_relay_up {
            return;
        }
        self.seen.add("relays restarted", 1);
        self.server.boots += 1;
        (self.server.relay, self.server.is_relay_up) = (booted(self.server.boots), false);
        let lines: Vec<Line> = self.wires.keys().copied().collect();
        for line @ (node, life, stream) in lines {
            if let Some(wire) = self.wires.get_mut(&line) {
                wire.cut(0);
            }
            let news = News::Down(stream, Down::Closed);
            self.at(self.now + 1, Happening::News { node, life, news });
        }
        self.at(self.now + span, Happening::RelayUp);
    }

    pub(crate) fn relay_up(&mut self) {
        if !std::mem::replace(&mut self.server.is_relay_up, true) {
            let mut out = Vec::new();
            self.server.relay.handle(Moment(self.now), Event::ServerUp, &mut out);
            self.pump(out);
        }
    }

    pub(crate) fn connect(&mut self, line: Line) {
        self.server.links += 1;
        self.wires.insert(line, Wire::new(Link(self.server.links)));
        self.write_up(line, Up::Open);
    }

    fn stream_wait(&mut self, node: usize) -> u64 {
        let (low, high) = self.plan.stream_ms;
        self.now.max(self.hosts[node].stream_late_until) + self.chance.between(low, high)
    }

    pub(crate) fn write_up(&mut self, line: Line, up: Up) {
        if let Up::Word(_) = up
            && let Some((_, epoch)) = self.hosts[line.0].brain.as_ref().and_then(crate::node::Brain::stream)
        {
            self.truth.spoke(self.now, line.0, epoch);
        }
        let earliest = self.stream_wait(line.0);
        let at = self.wires.get_mut(&line).and_then(|wire| wire.write_up(earliest, up));
        if let Some(at) = at {
            self.at(at, Happening::Up(line));
        }
    }

    fn write_down(&mut self, line: Line, down: Down) {
        let earliest = self.stream_wait(line.0);
        let at = self.wires.get_mut(&line).and_then(|wire| wire.write_down(earliest, down));
        if let Some(at) = at {
            self.at(at, Happening::Down(line));
        }
    }

    /// The node's end is reset: a part of what it wrote arrives, in order, then the end.
    pub(crate) fn reset(&mut self, line: Line) {
        self.forsake(line, self.now);
    }

    /// The same, and the end is noticed at `seen_at`.
    pub(crate) fn forsake(&mut self, line: Line, seen_at: u64) {
        let Some(wire) = self.wires.get_mut(&line) else { return };
        let written = wire.on_the_way_up();
        let kept = self.chance.index(written + 1);
        wire.cut(kept);
        let at = wire.write_up(seen_at, Up::Closed);
        if let Some(at) = at {
            self.at(at, Happening::Up(line));
        }
    }

    pub(crate) fn arrives_down(&mut self, line: Line) {
        let Some(down) = self.wires.get_mut(&line).and_then(|wire| wire.arrived_down(self.now)) else { return };
        self.news(line.0, line.1, News::Down(line.2, down));
        if self.server.level == Level::Relay {
            self.pump(Vec::new());
        }
    }

    pub(crate) fn arrives_up(&mut self, line: Line) {
        let Some(wire) = self.wires.get_mut(&line) else { return };
        let link = wire.link;
        let Some(up) = wire.arrived_up(self.now) else { return };
        if matches!(up, Up::Open) {
            self.write_down(line, Down::Open);
        }
        match self.server.level {
            Level::Relay if self.server.is_relay_up => self.relay_hears(line, link, up),
            Level::Relay => self.write_down(line, Down::Closed),
            Level::Bare | Level::Replacing => self.server_hears(line, up),
        }
    }

    fn server_hears(&mut self, line: Line, up: Up) {
        let is_attached = self.server.components.contains(&line);
        match up {
            Up::Open => {
                if self.server.level == Level::Replacing {
                    for old in std::mem::take(&mut self.server.components) {
                        self.write_down(old, Down::Closed);
                    }
                }
                self.server.components.push(line);
            }
            Up::Word(word) if is_attached => self.deliver(&word),
            Up::Mark { epoch, seq } if is_attached => self.route_down(Down::Mark { epoch, seq }),
            Up::End | Up::Closed => {
                self.server.components.retain(|component| *component != line);
                self.write_down(line, Down::Closed);
            }
            Up::Word(_) | Up::Mark { .. } | Up::Attach(_) | Up::Said(_) | Up::Ack(_) | Up::Leave => {}
        }
    }

    /// To the component; where there are several, to any.
    fn route_down(&mut self, down: Down) {
        if self.server.components.is_empty() {
            return;
        }
        let component = self.chance.pick(&self.server.components);
        self.write_down(component, down);
    }

    fn relay_hears(&mut self, line: Line, link: Link, up: Up) {
        let now = Moment(self.now);
        let mut out = Vec::new();
        let relay = &mut self.server.relay;
        let speaks = relay.speaks(link);
        match up {
            Up::Open => relay.handle(now, Event::Opened(link), &mut out),
            Up::Attach(attach) => relay.handle(now, Event::Attach(link, attach), &mut out),
            Up::Word(word) => {
                if speaks {
                    self.deliver(&word);
                }
            }
            Up::Mark { epoch, seq } if speaks => {
                let back = Event::Mark { epoch: epoch.unsigned_abs(), seq, stanza: Carried::Mark(epoch, seq) };
                relay.handle(now, back, &mut out);
            }
            Up::Mark { .. } => {}
            Up::Said(seq) => relay.handle(now, Event::Said(link, seq), &mut out),
            Up::Ack(numbers) => relay.handle(now, Event::Ack(link, numbers), &mut out),
            Up::Leave => relay.handle(now, Event::Left(link), &mut out),
            Up::End | Up::Closed => {
                relay.handle(now, Event::Closed(link), &mut out);
                self.write_down(line, Down::Closed);
            }
        }
        self.pump(out);
    }

    pub(crate) fn relay_tick(&mut self) {
        self.server.ticks_at = None;
        let mut out = Vec::new();
        self.server.relay.handle(Moment(self.now), Event::Tick, &mut out);
        self.pump(out);
    }

    /// Does what the relay wants done, and sends the holder what it has room for.
    fn pump(&mut self, actions: Vec<Action<Carried>>) {
        for action in actions {
            match action {
                Action::Welcome(link, welcome) => {
                    self.note(|| format!("relay: {welcome:?}"));
                    self.down_link(link, Down::Welcome(welcome));
                }
                Action::Refuse(link, refusal) => self.down_link(link, Down::Refused(refusal)),
                Action::Close(link, _) => self.down_link(link, Down::Closed),
                Action::Bounce(Carried::Stanza(inbound)) => self.bounce(&inbound, Condition::RemoteServerTimeout),
                Action::Reach | Action::Detach | Action::Bounce(Carried::Mark(..)) | Action::Holding { .. } => {}
            }
        }
        while let Some(line) = self.holding_line()
            && self.wires.get(&line).is_some_and(|wire| wire.unread() < UNREAD_MAX)
            && let Some(forward) = self.server.relay.forward()
        {
            let down = match forward.stanza {
                Carried::Stanza(inbound) => Down::Stanza(forward.at, inbound),
                Carried::Mark(epoch, seq) => Down::Mark { epoch, seq },
            };
            self.down_link(forward.link, down);
        }
        let wake = self.server.relay.wake().map(|moment| moment.0.max(self.now + 1));
        if let Some(wake) = wake.filter(|wake| self.server.ticks_at.is_none_or(|at| *wake < at)) {
            self.server.ticks_at = Some(wake);
            self.at(wake, Happening::RelayTick);
        }
    }

    fn holding_line(&self) -> Option<Line> {
        self.wires.iter().find(|(_, wire)| self.server.relay.speaks(wire.link)).map(|(line, _)| *line)
    }

    fn down_link(&mut self, link: Link, down: Down) {
        let line = self.wires.iter().find(|(_, wire)| wire.link == link).map(|(line, _)| *line);
        if let Some(line) = line {
            self.write_down(line, down);
        }
    }

    /// A client's stanza reaches the server.
    pub(crate) fn sent(&mut self, inbound: Arc<Inbound>) {
        if self.server.level == Level::Relay && !self.server.is_relay_up {
            return self.bounce(&inbound, Condition::RemoteServerNotFound);
        }
        if self.server.level == Level::Relay {
            let is_answerable = is_answerable(&inbound);
            let mut out = Vec::new();
            let stanza = Event::Stanza { stanza: Carried::Stanza(inbound), bytes: 300, is_answerable };
            self.server.relay.handle(Moment(self.now), stanza, &mut out);
            return self.pump(out);
        }
        if self.server.components.is_empty() {
            return self.bounce(&inbound, Condition::RemoteServerNotFound);
        }
        self.route_down(Down::Stanza(None, inbound));
    }

    fn bounce(&mut self, inbound: &Inbound, condition: Condition) {
        let Some(error) = bounce(inbound, condition) else { return };
        if let Some(client) = number_of(&inbound.stanza.from) {
            self.hear(client, Arc::new(error));
        }
    }

    /// A word reaches the server: everybody it is for hears it.
    fn deliver(&mut self, word: &Outbound) {
        let stanza: Arc<Stanza> = Arc::new(word.stanza.clone());
        for to in word.to.as_slice() {
            if let Some(client) = number_of(to) {
                self.hear(client, stanza.clone());
            }
        }
    }

    fn hear(&mut self, client: usize, stanza: Arc<Stanza>) {
        let at = self.clients[client].hears_from.max(self.now + self.chance.between(0, 2));
        self.clients[client].hears_from = at;
        self.at(at, Happening::Heard(client, stanza));
    }
}
