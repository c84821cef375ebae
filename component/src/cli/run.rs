//! `tandem-muc run`: serve until told to stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use super::watchdog;
use crate::config::{Config, LogFormat};
use crate::telemetry::LogLines;
use crate::{command, service, telemetry};

/// Serves what the file at `path` says.
pub(super) async fn run(path: &Path) -> Result<ExitCode, String> {
    let config = Config::read(path).map_err(|why| why.to_string())?;
    let lines = match config.log.format {
        LogFormat::Text => LogLines::Text,
        LogFormat::Json => LogLines::Json,
    };
    telemetry::log_to_stderr(&config.log.level, lines)?;
    let counted = telemetry::count()?;
    info!(version = env!("CARGO_PKG_VERSION"), node = config.node.name, domains = config.services.len(), "starting");
    let (stop, stops) = watch::channel(false);
    let (reload, reloads) = watch::channel(None);
    let (mut term, mut int, mut hup) =
        (on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?);
    let status = service::Status::new(&config);
    let more = command::http::routes(&config, &status).map_err(|why| why.to_string())?;
    let doors = service::Doors { counted, more };
    let petting = tokio::spawn(watchdog::pet(status.clone()));
    let mut serving = tokio::spawn(service::serve(config, status, stops, reloads, doors));
    let ended = loop {
        tokio::select! {
            ended = &mut serving => break ended,
            _ = term.recv() => end(&stop, "SIGTERM"),
            _ = int.recv() => end(&stop, "Ctrl-C"),
            _ = hup.recv() => match Config::read(path) {
                Ok(config) => { reload.send_replace(Some(Arc::new(config))); }
                Err(why) => error!(%why, "not reloaded; going on as before"),
            },
        }
    };
    petting.abort();
    match ended {
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        Ok(Err(why)) => Err(why.to_string()),
        Err(why) => Err(format!("run: {why}; please report this")),
    }
}

fn on(kind: SignalKind) -> Result<Signal, String> {
    signal(kind).map_err(|why| format!("run: cannot wait for signals: {why}"))
}

fn end(stop: &watch::Sender<bool>, by: &str) {
    info!(by, "stopping: finishing what was begun");
    watchdog::say_stopping();
    stop.send_replace(true);
}
