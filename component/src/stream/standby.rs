//! A stream kept ready by a node that does not serve: with a relay, hands already shaken; with a bare server only a
//! knock now and then, for a second component that shakes hands there would put the first one out.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::StreamConfig;
use super::connect::{self, Attached};
use super::relayed::write_alive;
use super::trouble::Cause;

/// How often a server is knocked at, and a relay that was away is tried again.
const KNOCK: Duration = Duration::from_secs(1);
/// How often a relay hears that the standby lives.
const ALIVE: Duration = Duration::from_secs(15);
/// A relay gives a sign of life every second; one that gave none for so long is gone, or the way to it is.
pub(super) const SILENCE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a server that was knocked at may take to hang up; one that does is not there.
const LISTEN: Duration = Duration::from_millis(100);

/// A stream with a relay that has shaken hands and is not attached yet.
#[derive(Debug)]
pub struct Warm(pub(super) Attached);

/// Keeps ready until it is taken or dropped.
#[derive(Debug)]
pub struct Standby {
    takers: mpsc::Sender<oneshot::Sender<Option<Warm>>>,
    fitness: watch::Receiver<Result<(), String>>,
}

impl Standby {
    /// Starts to keep ready; must be called inside a runtime. `so_far` is its fitness until it was tried.
    pub fn start(config: StreamConfig, so_far: Result<(), String>) -> Standby {
        let (takers, taken) = mpsc::channel(1);
        let (told, fitness) = watch::channel(so_far);
        tokio::spawn(keep(config, taken, told));
        Standby { takers, fitness }
    }

    /// Whether a stream could be opened, as far as one can know without opening it; else why not.
    pub fn fitness(&self) -> Result<(), String> {
        self.fitness.borrow().clone()
    }

    /// Waits until it was tried once.
    pub async fn tried(&self) {
        let _ = self.fitness.clone().changed().await;
    }

    /// The stream that is ready, if there is one.
    pub async fn take(self) -> Option<Warm> {
        let (back, taken) = oneshot::channel();
        self.takers.send(back).await.ok()?;
        taken.await.ok()?
    }
}

async fn keep(
    config: StreamConfig,
    mut taken: mpsc::Receiver<oneshot::Sender<Option<Warm>>>,
    told: watch::Sender<Result<(), String>>,
) {
    loop {
        let ready = tokio::select! {
            ready = get_ready(&config) => ready,
            taker = taken.recv() => {
                if let Some(taker) = taker { let _ = taker.send(None); }
                return;
            }
        };
        match ready {
            Ok(Some(mut warm)) => {
                told.send(Ok(())).ok();
                let since = Instant::now();
                tokio::select! {
                    why = hold(&mut warm) => {
                        // Of several relays another is likely to be there: not unfit before that is tried.
                        if config.relays.len() > 1 && since.elapsed() >= KNOCK {
                            continue;
                        }
                        told.send(Err(why)).ok();
                    }
                    taker = taken.recv() => {
                        if let Some(taker) = taker { let _ = taker.send(Some(Warm(warm))); }
                        return;
                    }
                }
            }
            Ok(None) => {
                told.send(Ok(())).ok();
            }
            Err(why) => {
                told.send(Err(why)).ok();
            }
        }
        tokio::select! {
            () = sleep(KNOCK) => {}
            taker = taken.recv() => {
                if let Some(taker) = taker { let _ = taker.send(None); }
                return;
            }
        }
    }
}

/// A relay that has shaken hands, or at least a server that listens.
async fn get_ready(config: &StreamConfig) -> Result<Option<Attached>, String> {
    let mut why = None;
    if !config.relays.is_empty() {
        match connect::shake_hands_with_relay(config, PATIENCE).await {
            Ok(attached) => return Ok(Some(attached)),
            // The server has the relay's secret: it would refuse this one too.
            Err(trouble) if trouble.cause == Cause::NotAuthorized => return Err(trouble.to_string()),
            Err(trouble) => why = Some(trouble.to_string()),
        }
    }
    for server in &config.servers {
        match knock(server).await {
            Ok(()) => return Ok(None),
            Err(what) => why = Some(format!("stream: {server} {what}")),
        }
    }
    Err(why.unwrap_or_else(|| "stream: there is no server to attach to".to_owned()))
}

/// Whether somebody listens there and waits for us to speak first, as a server does.
async fn knock(server: &str) -> Result<(), String> {
    let mut socket = match timeout(PATIENCE, TcpStream::connect(server)).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(why)) => return Err(format!("cannot be reached: {why}")),
        Err(_) => return Err("does not answer".to_owned()),
    };
    match timeout(LISTEN, socket.read(&mut [0; 64])).await {
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err("hangs up at once".to_owned()),
        Ok(Err(why)) => Err(format!("hangs up at once: {why}")),
    }
}

/// Stays until the relay hangs up or falls silent; gives its last words.
async fn hold(warm: &mut Attached) -> String {
    let mut alive = tokio::time::interval(ALIVE);
    let mut sign = Vec::new();
    write_alive(&mut sign);
    let mut silent_at = Instant::now() + SILENCE;
    loop {
        while let Ok(Some(_)) = warm.framer.frame() {}
        tokio::select! {
            () = sleep_until(silent_at) => {
                return format!("stream: the relay at {} said nothing for {} ms", warm.server, SILENCE.as_millis());
            }
            _ = alive.tick() => {
                if let Err(why) = warm.socket.write_all(&sign).await { return why.to_string(); }
            }
            read = warm.socket.read_buf(warm.framer.space()) => match read {
                Ok(0) => return format!("stream: the relay at {} hung up", warm.server),
                Ok(_) => silent_at = Instant::now() + SILENCE,
                Err(why) => return format!("stream: the relay at {} is gone: {why}", warm.server),
            },
        }
    }
}
