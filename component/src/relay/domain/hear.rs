//! What comes in: stanzas and marks from the server, words and orders from the nodes.

use std::sync::Arc;
use std::task::Context;

use tandem_muc_core::relay::Event;
use tracing::{debug, warn};

use super::super::inbound::{Heard, hear};
use super::super::node::Said;
use super::super::server::Server;
use super::super::wire;
use super::Domain;
use crate::stream::Cause;

/// A node that asks and does not read is heard no more when so many bytes of answers wait for it.
const ANSWERS_MAX: usize = 1024 * 1024;

impl Domain {
    /// Reads once from the server, however little anybody takes of it.
    pub(super) fn hear_server(&mut self, cx: &mut Context<'_>) -> bool {
        let moment = self.moment();
        let Some(server) = &mut self.server else { return false };
        let has_read = match server.read(cx) {
            Ok(has_read) => has_read,
            Err(why) => {
                self.lose_server(Cause::Closed(why.to_string()));
                return true;
            }
        };
        let mut unanswered = 0;
        let end = loop {
            let frame = match server.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break None,
                Err(why) => break Some(Cause::Closed(why.to_string())),
            };
            let event = match hear(frame, &self.stream.domain) {
                Heard::Stanza { bytes, is_answerable } => {
                    Event::Stanza { stanza: Arc::from(bytes), bytes: bytes.len(), is_answerable }
                }
                Heard::Emptied(bytes) => {
                    Event::Stanza { bytes: bytes.len(), stanza: Arc::from(bytes), is_answerable: false }
                }
                Heard::Mark { mark, bytes } => {
                    Event::Mark { epoch: mark.epoch, seq: mark.seq, stanza: Arc::from(bytes) }
                }
                Heard::Refuse(answer) => {
                    unanswered += u64::from(!server.answer(&answer));
                    continue;
                }
                Heard::Ignored => continue,
                Heard::End(cause) => break Some(cause),
            };
            self.relay.handle(moment, event, &mut self.actions);
        };
        self.count_unanswered(unanswered);
        self.act();
        if let Some(cause) = end {
            self.lose_server(cause);
        }
        has_read
    }

    /// Reads once from each node; whether the holder has nothing more to say for the moment.
    pub(super) fn hear_nodes(&mut self, cx: &mut Context<'_>, is_busy: &mut bool) -> bool {
        let mut is_holder_quiet = true;
        let answers_max = ANSWERS_MAX + self.stream.limits.stanza_bytes;
        for nth in 0..self.nodes.len() {
            let has_room = self.server.as_ref().is_none_or(Server::has_room);
            let node = &mut self.nodes[nth];
            if !node.is_open() {
                node.see_out(self.now, cx);
                continue;
            }
            let link = node.link;
            if self.relay.speaks(link) && !has_room {
                // Its silence is our doing.
                node.heard_at = self.now;
                is_holder_quiet = false;
                continue;
            }
            if node.out.waiting() > answers_max {
                continue;
            }
            match node.read(self.now, cx) {
                Ok(false) => {}
                Ok(true) => {
                    *is_busy = true;
                    is_holder_quiet &= !self.relay.speaks(link);
                    self.listen_to(nth);
                }
                Err(why) => self.lose_node(nth, &why.to_string()),
            }
        }
        is_holder_quiet
    }

    /// Takes what was read from a node: words go straight to the server, as long as it holds the domain.
    fn listen_to(&mut self, nth: usize) {
        let moment = self.moment();
        let Domain { nodes, relay, server, actions, stream, .. } = self;
        let node = &mut nodes[nth];
        let link = node.link;
        let (mut outbound, mut stray) = (0, 0);
        let end = loop {
            let event = match node.next(&stream.domain) {
                None => break None,
                Some(Said::Word(word)) => {
                    match server.as_mut().filter(|_| relay.speaks(link)) {
                        Some(server) => {
                            server.say(word);
                            outbound += 1;
                        }
                        None => stray += 1,
                    }
                    continue;
                }
                Some(Said::Order(order)) => match order {
                    wire::Order::Attach(attach) => Event::Attach(link, attach),
                    wire::Order::Ack(numbers) => Event::Ack(link, numbers),
                    wire::Order::Said(seq) => Event::Said(link, seq),
                    wire::Order::Leave => Event::Left(link),
                    wire::Order::Alive => continue,
                },
                Some(Said::End) => break Some(None),
                Some(Said::Nonsense(condition, sentence)) => break Some(Some((condition, sentence))),
            };
            relay.handle(moment, event, actions);
        };
        if stray > 0 {
            debug!(
                domain = stream.domain,
                peer = node.peer,
                stray,
                "relay: words of a node that does not hold the domain go nowhere"
            );
        }
        self.status.count_words(outbound, stray);
        self.act();
        match end {
            None => {}
            Some(None) => {
                self.nodes[nth].leave("</stream:stream>", self.now);
                self.happened(Event::Closed(link));
            }
            Some(Some((condition, sentence))) => {
                warn!(
                    domain = self.stream.domain,
                    peer = self.nodes[nth].peer,
                    condition,
                    "relay: a node's stream is closed: {sentence}"
                );
                self.nodes[nth].leave(&wire::stream_error(condition, &sentence), self.now);
                self.happened(Event::Closed(link));
            }
        }
    }
}
