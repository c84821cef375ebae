//! Words onto the socket: each stanza rendered once, each addressee spliced in, some 32 KiB at a time, and only while the
//! gate is open.

use std::io;

use tandem_muc_core::stanza::{Condition, Kind, Outbound, Stanza, StanzaError, Type, render, write_address};
use tokio::net::tcp::OwnedWriteHalf;
use tracing::error;

use super::Gate;
use super::padding::Burst;
use super::pulse::Pulse;

/// Written in one go; one write for each stanza instead costs a factor 30. Half of a first-level cache: 64 KiB, which
/// leaves it, costs a fifth of the fan-out (`make bench`).
pub(super) const WRITE_BYTES: usize = 32 * 1024;
/// Prosody closes the stream on a stanza over 512 KiB (0.12, `stanza_size_limit`), and would again on its repetition;
/// the address needs some of it.
const STANZA_BYTES_MAX: usize = 504 * 1024;

/// Where rendered words go: out, while the gate is open.
pub(super) struct Out<'a> {
    pub(super) buffer: &'a mut Vec<u8>,
    pub(super) socket: &'a mut OwnedWriteHalf,
    pub(super) gate: &'a mut Gate,
    pub(super) pulse: &'a Pulse,
}

impl Out<'_> {
    /// Not a byte leaves while the lease is in doubt. A server that takes more once it had enough is alive, however long
    /// its answers wait behind what it has.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let (mut written, mut had_enough) = (0, false);
        while written < self.buffer.len() {
            self.gate.opened().await;
            self.socket.writable().await?;
            // A server that did not read for long may find the lease gone.
            if !self.gate.is_open() {
                continue;
            }
            match self.socket.try_write(&self.buffer[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count;
                    if std::mem::take(&mut had_enough) {
                        self.pulse.heard();
                    }
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => had_enough = true,
                Err(why) => return Err(why),
            }
        }
        self.buffer.clear();
        Ok(())
    }
}

/// Appends one outbound, an addressee after the other, writing whenever enough came together.
pub(super) async fn put(outbound: &Outbound, domain: &str, burst: &mut Burst, out: &mut Out<'_>) -> io::Result<()> {
    if outbound.stanza.from.domain() != domain {
        // Both servers close the stream on a sender that is not ours; one stanza is the smaller loss.
        error!(domain, from = %outbound.stanza.from, "a stanza from another domain is not sent");
        return Ok(());
    }
    let mut rendered = render(&outbound.stanza);
    let bytes = rendered.head.len() + rendered.tail.len();
    if bytes > STANZA_BYTES_MAX {
        error!(domain, from = %outbound.stanza.from, bytes, "a stanza is too long for the server and not sent");
        let Some(sorry) = too_long(&outbound.stanza) else { return Ok(()) };
        rendered = render(&sorry);
    }
    burst.count([&rendered.head, &rendered.tail], outbound.to.as_slice().len());
    let Some((last, others)) = outbound.to.as_slice().split_last() else { return Ok(()) };
    let seam = if others.is_empty() { String::new() } else { rendered.seam() };
    out.buffer.extend_from_slice(rendered.head.as_bytes());
    for to in others {
        write_address(to, out.buffer);
        out.buffer.extend_from_slice(seam.as_bytes());
        if out.buffer.len() >= WRITE_BYTES {
            out.flush().await?;
        }
    }
    write_address(last, out.buffer);
    out.buffer.extend_from_slice(rendered.tail.as_bytes());
    if out.buffer.len() >= WRITE_BYTES {
        out.flush().await?;
    }
    Ok(())
}

/// What goes in the place of an answer that is too long; anything else is left out.
fn too_long(stanza: &Stanza) -> Option<Stanza> {
    let is_answer = stanza.kind == Kind::Iq && stanza.type_ == Type::Result;
    let why = StanzaError::new(Condition::ResourceConstraint, "The answer is too long to be sent.");
    let error = Stanza::new(Kind::Iq, Type::Error, stanza.from.clone()).with_id(stanza.id.clone());
    is_answer.then(|| error.with(why.to_element(stanza.from.bare_str())))
}
