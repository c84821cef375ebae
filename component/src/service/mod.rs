//! Assembly: all domains of a node in one process, each with a driver of its own, and what operators ask.
//!
//! Here it is decided who holds which end, what starts after what, and in which order it all stops.

mod domain;
mod http;
mod identity;
mod status;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::config::{Config, ConfigError};
pub use crate::reign::stream_config;
use crate::reign::turned;
use crate::store::{OpenError, SqlStore, StoreConfig};
pub use http::{Doors, open_doors};
pub use identity::secret_tag;
pub use status::{DomainStatus, Status};

/// How long the database may take to say goodbye.
const CLOSING: Duration = Duration::from_millis(300);

/// Why the program ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The HTTP address cannot be had.
    #[error("http: cannot listen on {address}: {source}; set another [http] listen, or end what listens there")]
    Http {
        /// The address of `[http] listen`.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Connects to the store of `config`, its schema left as it is.
pub async fn connect_store(config: &Config) -> Result<SqlStore, ServiceError> {
    let store_config = StoreConfig { url: config.store.url()?, answer_ms: config.store.answer_ms };
    Ok(SqlStore::open(&store_config).await?)
}

/// Connects to the store of `config` and brings its schema up to date.
pub async fn open_store(config: &Config) -> Result<SqlStore, ServiceError> {
    let store = connect_store(config).await?;
    let applied = store.migrate().await?;
    if !applied.is_empty() {
        info!(store = store.kind(), versions = ?applied, "store: schema brought up to date");
    }
    Ok(store)
}

/// Serves every domain of `config` until `stop` turns true, or until one of them may not go on.
///
/// `reloads` hands new configurations in (SIGHUP): rules and limits of rooms are taken over, the rest needs a restart.
/// `doors` are the counters, and what else is answered by HTTP.
pub async fn serve(
    config: Config,
    status: Status,
    mut stop: watch::Receiver<bool>,
    reloads: watch::Receiver<Option<Arc<Config>>>,
    doors: impl Into<Doors>,
) -> Result<(), ServiceError> {
    let (ending, ends) = watch::channel(false);
    let http = http::open_doors(config.http.listen, status.clone(), doors.into(), ends.clone()).await?;
    let store = tokio::select! {
        store = open_store(&config) => store?,
        () = turned(&mut stop) => return Ok(()),
    };
    status.note_open(store.clone());
    let Some((node, _name)) = identity::claim(&config, &store, reloads, &status, &mut stop).await else {
        return Ok(());
    };
    let mut domains = JoinSet::new();
    let mut config = config;
    let services = std::mem::take(&mut config.services);
    let config = Arc::new(config);
    for (service, status) in services.into_iter().zip(status.domains()) {
        domains.spawn(domain::run(config.clone(), service, node.clone(), status.clone(), ends.clone()));
    }
    let mut verdict = Ok(());
    loop {
        tokio::select! {
            () = turned(&mut stop) => break,
            ended = domains.join_next() => match ended {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(why))) => {
                    verdict = Err(why);
                    break;
                }
                Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                None => break,
            },
        }
    }
    ending.send_replace(true);
    while let Some(ended) = domains.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(why)) => verdict = verdict.and(Err(why)),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    let _ = tokio::time::timeout(CLOSING, store.close()).await;
    if let Some(http) = http {
        http.abort();
    }
    verdict
}
