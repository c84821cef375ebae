//! `tandem-muc relay`: stand between server and nodes until told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

use crate::config::{LogFormat, RelayConfig};
use crate::relay::{self, Pace, Status};
use crate::telemetry::{self, LogLines};

/// How often systemd is told.
const LOOK: Duration = Duration::from_millis(500);

/// Relays what the file at `path` says.
pub(super) async fn relay(path: &Path) -> Result<ExitCode, String> {
    let config = RelayConfig::read(path).map_err(|why| why.to_string())?;
    let lines = match config.log.format {
        LogFormat::Text => LogLines::Text,
        LogFormat::Json => LogLines::Json,
    };
    telemetry::log_to_stderr(&config.log.level, lines)?;
    let counted = telemetry::count()?;
    info!(version = env!("CARGO_PKG_VERSION"), domains = config.domains.len(), "relay: starting");
    let on = |kind| signal(kind).map_err(|why| format!("relay: cannot wait for signals: {why}"));
    let (mut term, mut int) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let (stop, stops) = watch::channel(false);
    let running = relay::start(&config, Pace::default(), &stops, counted).await.map_err(|why| why.to_string())?;
    let petting = tokio::spawn(pet(running.status()));
    let mut ended = std::pin::pin!(running.ended());
    loop {
        let by = tokio::select! {
            () = &mut ended => break,
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "Ctrl-C",
        };
        info!(by, "relay: stopping; what is held is answered");
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        stop.send_replace(true);
    }
    petting.abort();
    Ok(ExitCode::SUCCESS)
}

/// systemd: READY, for it listens; the watchdog petted while no domain's task hangs; STATUS in words.
async fn pet(status: Status) {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let mut last = String::new();
    loop {
        let words = status.words();
        let mut states = Vec::new();
        if status.is_moving() {
            states.push(NotifyState::Watchdog);
        }
        if words != last {
            states.push(NotifyState::Status(&words));
        }
        let _ = sd_notify::notify(&states);
        last = words;
        tokio::time::sleep(LOOK).await;
    }
}
