//! The stream to the server: read eagerly, written in large pieces, padded where it falls quiet.

use std::io;
use std::task::Context;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::outlet::{Outlet, read};
use crate::stream::connect::Attached;
use crate::stream::framer::{Frame, Framer, Malformed};
use crate::stream::padding::Burst;
use crate::stream::socket;

/// Beyond so much unwritten the holder has to wait with its words.
const WAITING_MAX: usize = 256 * 1024;

/// Beyond so much unwritten answers of the relay's own are left out.
const ANSWERS_MAX: usize = 16 * 1024 * 1024;

/// An open stream.
#[derive(Debug)]
pub(super) struct Server {
    socket: TcpStream,
    framer: Framer,
    pub(super) address: String,
    pub(super) out: Outlet,
    burst: Burst,
    /// When the server last took something, or nothing waited.
    moved_at: Instant,
}

impl Server {
    pub(super) fn new(attached: Attached, now: Instant) -> Server {
        let Attached { socket, framer, server: address, .. } = attached;
        Server { socket, framer, address, out: Outlet::default(), burst: Burst::default(), moved_at: now }
    }

    /// Whether more words may come.
    pub(super) fn has_room(&self) -> bool {
        self.out.waiting() < WAITING_MAX && !self.out.is_closed()
    }

    /// Says an answer of the relay's own; whether there was room for it. Reading never waits for the server to read,
    /// or two that both wait would wait for ever.
    pub(super) fn answer(&mut self, answer: &[u8]) -> bool {
        let has_room = self.out.waiting() < ANSWERS_MAX;
        if has_room {
            self.out.put(answer);
        }
        has_room
    }

    pub(super) fn say(&mut self, word: &str) {
        self.burst.count(["", word], 1);
        self.out.put(word);
    }

    /// Nothing more is coming for the moment: makes the server look at everything that was said.
    pub(super) fn rest(&mut self) {
        let padding = self.burst.padding();
        let buffer = self.out.buffer();
        buffer.resize(buffer.len() + padding, b' ');
    }

    /// Reads once; whether there was anything, and that the stream ended as an error.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        match read(&self.socket, self.framer.space(), cx)? {
            None => Ok(false),
            Some(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up")),
            Some(_) => {
                socket::acknowledge_at_once(&self.socket);
                Ok(true)
            }
        }
    }

    pub(super) fn frame(&mut self) -> Result<Option<Frame<'_>>, Malformed> {
        self.framer.frame()
    }

    pub(super) fn write(&mut self, now: Instant, cx: &mut Context<'_>) {
        let has_written = self.out.write(&self.socket, cx);
        if has_written || self.out.waiting() == 0 && !self.out.is_closed() {
            self.moved_at = now;
        }
    }

    /// How long the server has taken nothing of what waits for it.
    pub(super) fn stalls(&self, now: Instant) -> Duration {
        now - self.moved_at
    }

    /// Gives the socket back to be closed.
    pub(super) fn into_socket(self) -> TcpStream {
        self.socket
    }
}
