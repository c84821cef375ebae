//! What the engine wants done, and a line in the log for each decision.

use std::task::Context;
use std::time::Duration;

use tandem_muc_core::relay::{Action, Link, Reason, Refusal, Welcome};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::super::inbound::bounce;
use super::super::node::Node;
use super::super::wire;
use super::Domain;
use crate::stream::connect;

impl Domain {
    /// Does what the engine wants done.
    pub(super) fn act(&mut self) {
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Reach => self.reach(),
                Action::Detach => self.detach(),
                Action::Welcome(link, welcome) => self.welcome(link, &welcome),
                Action::Refuse(link, refusal) => self.refuse(link, &refusal),
                Action::Close(link, why) => {
                    let now = self.now;
                    if let Some(node) = self.node(link) {
                        node.leave(&wire::closing(&why), now);
                    }
                }
                Action::Bounce(stanza) => self.bounce(&stanza),
                Action::Holding { node, epoch, held } => {
                    warn!(domain = self.stream.domain, node, epoch, held, "relay: the holder is gone: holding");
                }
            }
        }
    }

    fn welcome(&mut self, link: Link, welcome: &Welcome) {
        let domain = &self.stream.domain;
        let Welcome { node, epoch, held, bounced, waited_ms, .. } = welcome;
        match &welcome.replaced {
            None => info!(domain, node, epoch, held, bounced, waited_ms, "relay: a node is attached"),
            Some((old, old_epoch)) => {
                info!(domain, node, epoch, held, old, old_epoch, "relay: a node is attached in the place of another");
            }
        }
        self.tell(link, &wire::attached(welcome));
    }

    fn refuse(&mut self, link: Link, refusal: &Refusal) {
        let Refusal { reason, highest, sentence } = refusal;
        // That there is no server was told when it was tried.
        if *reason != Reason::Server {
            warn!(domain = self.stream.domain, reason = reason.as_str(), highest, "relay: refused a node: {sentence}");
        }
        self.tell(link, &wire::refused(refusal));
    }

    fn bounce(&mut self, stanza: &[u8]) {
        self.tally.bounced += 1;
        let answer = bounce(stanza, &self.stream.domain);
        let is_said = self.server.as_mut().zip(answer).is_some_and(|(server, answer)| server.answer(&answer));
        self.count_unanswered(u64::from(!is_said));
    }

    pub(super) fn count_unanswered(&mut self, count: u64) {
        self.tally.unanswered += count;
        self.status.count_unanswered(count);
    }

    fn reach(&mut self) {
        let (config, patience) = (self.stream.clone(), self.pace.reach);
        self.has_begun = true;
        self.reaching = Some(Box::pin(async move {
            match timeout(patience, connect::attach(&config, patience)).await {
                Ok(Ok(attached)) => Ok(attached),
                Ok(Err(trouble)) => Err(trouble.to_string()),
                Err(_) => Err(format!("the server did not answer within {} ms", patience.as_millis())),
            }
        }));
    }

    fn detach(&mut self) {
        let Some(server) = self.server.take() else { return };
        warn!(
            domain = self.stream.domain,
            server = server.address,
            "relay: no node came back; detached from the server, which knows other ways to the domain"
        );
        self.parting = Some((server, self.now + self.pace.settle));
    }

    /// Sees a server out that is not needed any more: the last answers, then the goodbye.
    pub(super) fn part(&mut self, cx: &mut Context<'_>) {
        let now = self.now;
        let Some((server, until)) = &mut self.parting else { return };
        server.write(now, cx);
        if (server.out.waiting() == 0 || server.out.is_closed() || now >= *until)
            && let Some((server, _)) = self.parting.take()
        {
            tokio::spawn(crate::stream::leave(server.into_socket()));
        }
    }

    fn node(&mut self, link: Link) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.link == link)
    }

    fn tell(&mut self, link: Link, text: &str) {
        if let Some(node) = self.node(link) {
            node.out.put(text);
        }
    }
}

/// Bounces not told of yet: one line for many.
#[derive(Debug, Default)]
pub(super) struct Tally {
    bounced: u64,
    unanswered: u64,
    told_at: Option<Instant>,
}

/// At most one line in this time.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Tally {
    pub(super) fn tell_in_time(&mut self, domain: &str, now: Instant) {
        let is_due = self.told_at.is_none_or(|told_at| now - told_at >= TELL_EVERY);
        if is_due && self.bounced + self.unanswered > 0 {
            self.tell(domain);
            self.told_at = Some(now);
        }
    }

    pub(super) fn tell(&mut self, domain: &str) {
        let Tally { bounced, unanswered, .. } = std::mem::take(self);
        if bounced > 0 {
            warn!(domain, bounced, "relay: bounced what nobody took in time");
        }
        if unanswered > 0 {
            warn!(domain, unanswered, "relay: so many could not be answered; the server does not read");
        }
    }
}
