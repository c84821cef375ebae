//! Who this process is: the one living process of its name in its database.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, error};

use super::domain::Node;
use super::{Status, turned};
use crate::config::Config;
use crate::reign::Reloads;
use crate::store::{SessionLock, SqlStore, StoreError};

/// After so long it is said why nothing goes on.
const SOON: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(500);

/// Waits until no other living process has this node's name; `None` if told to stop before.
pub(super) async fn claim(
    config: &Config,
    store: &SqlStore,
    reloads: Reloads,
    status: &Status,
    stop: &mut watch::Receiver<bool>,
) -> Option<(Arc<Node>, SessionLock)> {
    let name = config.node.name.clone();
    let claimed = async {
        let lock = name_of_its_own(store, &name, status).await;
        loop {
            match store.database_id().await {
                Ok(database) => break (lock, database),
                Err(why) => debug!(%why, "the database's identity cannot be read yet"),
            }
            sleep(AGAIN).await;
        }
    };
    let (lock, database) = tokio::select! {
        claimed = claimed => claimed,
        () = turned(stop) => return None,
    };
    let incarnation = uuid::Uuid::new_v4().to_string();
    Some((Arc::new(Node { name, database, incarnation, store: store.clone(), reloads }), lock))
}

/// Two nodes of one name would take each other's lease for their own.
async fn name_of_its_own(store: &SqlStore, name: &str, status: &Status) -> SessionLock {
    let of_node = format!("node {name}");
    let mut is_told = false;
    loop {
        match timeout(SOON, store.wait_session_lock(&of_node)).await {
            Ok(Ok(lock)) => return lock,
            Ok(Err(StoreError::Unavailable(why))) => {
                debug!(%why, "whether this node's name is free is not known yet");
                sleep(AGAIN).await;
            }
            Ok(Err(why)) => {
                error!(%why, "whether this node's name is free cannot be known");
                sleep(AGAIN).await;
            }
            Err(_) => {
                let why = format!(
                    "another living process calls itself node {name} in this database; give one of them another [node] name, or end it"
                );
                status.domains().for_each(|domain| domain.wait_for(&why));
                if !std::mem::replace(&mut is_told, true) {
                    error!(node = name, "{why}");
                }
            }
        }
    }
}

/// Tells whether two nodes have the same secret for a domain, and nothing more about it: 32 bits of an HMAC under the
/// database's identity.
pub fn secret_tag(database: &str, domain: &str, secret: &SecretString) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(database.as_bytes()).expect("any length is a key");
    mac.update(domain.as_bytes());
    mac.update(&[0]);
    mac.update(secret.expose_secret().as_bytes());
    mac.finalize().into_bytes()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}
