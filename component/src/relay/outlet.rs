//! What waits to be written to one socket.

use std::io;
use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tracing::debug;

/// Bytes on their way out; written in as few and as large pieces as the socket takes.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    buffer: Vec<u8>,
    written: usize,
    /// The other end takes nothing any more. What it said before may still wait to be read, so this ends nothing.
    is_closed: bool,
}

/// A buffer that grew beyond this for once is given back.
const KEEP_BYTES: usize = 1024 * 1024;

impl Outlet {
    pub(super) fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.buffer.extend_from_slice(bytes.as_ref());
    }

    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(super) fn waiting(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Whether the other end takes nothing any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Writes as much as the socket takes now; whether anything was written. The task is woken when there is room.
    pub(super) fn write(&mut self, socket: &TcpStream, cx: &mut Context<'_>) -> bool {
        if self.is_closed {
            return false;
        }
        self.try_write(socket, cx).unwrap_or_else(|why| {
            debug!(%why, "relay: the other end of a stream takes nothing any more");
            self.is_closed = true;
            false
        })
    }

    fn try_write(&mut self, socket: &TcpStream, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut has_written = false;
        while self.waiting() > 0 {
            match socket.try_write(&self.buffer[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    has_written = true;
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => match socket.poll_write_ready(cx) {
                    Poll::Pending => break,
                    Poll::Ready(ready) => ready?,
                },
                Err(why) => return Err(why),
            }
        }
        self.tidy();
        Ok(has_written)
    }

    fn tidy(&mut self) {
        if self.waiting() == 0 {
            self.buffer.clear();
            self.written = 0;
            if self.buffer.capacity() > KEEP_BYTES {
                self.buffer = Vec::new();
            }
        } else if self.written > KEEP_BYTES {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
    }
}

/// Reads once into `space`; `None` when there is nothing now, the task is then woken when there is. 0 is the end.
pub(super) fn read(socket: &TcpStream, space: &mut bytes::BytesMut, cx: &mut Context<'_>) -> io::Result<Option<usize>> {
    loop {
        match socket.try_read_buf(space) {
            Ok(count) => return Ok(Some(count)),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => match socket.poll_read_ready(cx) {
                Poll::Pending => return Ok(None),
                Poll::Ready(ready) => ready?,
            },
            Err(why) => return Err(why),
        }
    }
}
