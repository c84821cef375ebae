//! What the two nodes have to agree on, as the database tells it: each other, domains, homes, secrets, versions, clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use super::findings::{Finding, Findings};
use crate::command::text::lasting;
use crate::config::{Config, Pair};
use crate::service;
use crate::store::{DutySeen, NodeSeen, SqlStore, StoreError};

/// A clock that differs by more from the database's is worth a word, in milliseconds.
const CLOCK_MS: i64 = 2_000;
/// Shorter leases give false alarms on a busy machine, in milliseconds.
const LEASE_MS: u64 = 1_000;

/// Whether this node's process runs here, as far as its HTTP side tells.
pub(super) type IsRunning = Option<bool>;

/// Looks at the pair in the database.
pub(super) async fn check(
    config: &Config,
    pair: &Pair,
    store: &SqlStore,
    is_running: IsRunning,
    findings: &mut Findings,
) {
    findings.add(timers(config, pair));
    if let Err(why) = compare(config, pair, store, is_running, findings).await {
        findings.add(Finding::bad("twin", why.to_string(), ""));
    }
}

async fn compare(
    config: &Config,
    pair: &Pair,
    store: &SqlStore,
    is_running: IsRunning,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let database = store.database_id().await?;
    let sentence = format!("this database is {database}; check on the twin has to say the same");
    findings.add(Finding::good("identity", sentence));
    let nodes = store.nodes().await?;
    findings.add(name(&config.node.name, store, is_running).await?);
    findings.extend(clock(&nodes));
    let Some(twin) = nodes.iter().find(|node| node.node == pair.twin) else {
        let remedy =
            format!("start node {0}; if it runs, it is called otherwise or uses another [store] url", pair.twin);
        findings.add(Finding::doubtful("twin", format!("node {} was never seen in this database", pair.twin), remedy));
        return Ok(());
    };
    if twin.silent_ms > pair.patience_ms {
        let silence = lasting(twin.silent_ms);
        let sentence = format!("node {} has been silent for {silence}; what it last wrote is not compared", pair.twin);
        findings.add(Finding::doubtful("twin", sentence, format!("start node {}", pair.twin)));
        return Ok(());
    }
    findings
        .add(Finding::good("twin", format!("node {} lives, last heard {} ago", twin.node, lasting(twin.silent_ms))));
    findings.extend(versions(twin));
    let duties: Vec<DutySeen> =
        store.duties(None).await?.into_iter().filter(|seen| seen.silent_ms <= pair.patience_ms).collect();
    findings.extend(domains(config, pair, &database, &duties));
    Ok(())
}

/// Two nodes of one name would take each other's lease for their own; the one that comes second waits.
async fn name(node: &str, store: &SqlStore, is_running: IsRunning) -> Result<Finding, StoreError> {
    let is_free = store.session_lock(&format!("node {node}")).await?.is_some();
    Ok(match (is_free, is_running) {
        (true, _) => Finding::good("name", format!("no other living process is node {node} in this database")),
        (false, Some(true)) => Finding::good("name", format!("node {node} runs here, and no other is called so")),
        (false, None) => Finding::skipped(
            "name",
            format!(
                "a living process is node {node}; whether it is this node's own cannot be seen without [http] listen"
            ),
            "",
        ),
        (false, Some(false)) => Finding::bad(
            "name",
            format!("another living process calls itself node {node} in this database"),
            "give one of them another [node] name, or end it",
        ),
    })
}

/// Leases go by the database's clock alone; stamps in logs and rooms do not.
fn clock(nodes: &[NodeSeen]) -> Option<Finding> {
    let seen = nodes.first()?;
    let database_ms = seen.beat_ms.saturating_add(i64::try_from(seen.silent_ms).ok()?);
    let own = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let differs_ms = i64::try_from(own.as_millis()).ok()?.saturating_sub(database_ms);
    let sentence = format!("this machine and the database differ by {differs_ms} ms");
    Some(if differs_ms.abs() <= CLOCK_MS {
        Finding::good("clock", sentence)
    } else {
        let harm = "the lease does not mind, but stamps of messages and logs will not agree";
        Finding::doubtful("clock", format!("{sentence}; {harm}"), "timedatectl set-ntp true")
    })
}

fn versions(twin: &NodeSeen) -> Vec<Finding> {
    let (own, wanted) = (env!("CARGO_PKG_VERSION"), SqlStore::SCHEMA);
    let mut found = Vec::new();
    found.push(if twin.schema == wanted {
        Finding::good("schema", format!("node {} knows schema {wanted} too", twin.node))
    } else {
        let sentence = format!("node {} knows schema {}, this program {wanted}", twin.node, twin.schema);
        Finding::bad("schema", sentence, "install the same version on both nodes")
    });
    if twin.version != own {
        let sentence = format!("node {} runs version {}, this is {own}", twin.node, twin.version);
        found.push(Finding::doubtful("version", sentence, "install the same version on both nodes"));
    }
    found
}

/// Each domain has to be on both nodes, with one home and one secret.
fn domains(config: &Config, pair: &Pair, database: &str, duties: &[DutySeen]) -> Vec<Finding> {
    let mut found = Vec::new();
    for service in &config.services {
        let domain = service.domain.0.as_str();
        let Some(seen) = duties.iter().find(|seen| seen.node == pair.twin && seen.duty.service == domain) else {
            let sentence = format!("node {} does not have {domain}", pair.twin);
            found.push(Finding::bad("domain", sentence, format!("[[service]]\ndomain = \"{domain}\"")));
            continue;
        };
        let before = found.len();
        let home = config.home(service);
        if seen.duty.home != home {
            let sentence = format!("{domain}: its home is {home} here and {} on node {}", seen.duty.home, pair.twin);
            found.push(Finding::bad("home", sentence, format!("home = \"{home}\"")));
        }
        if let Ok(secret) = service.secret()
            && service::secret_tag(database, domain, &secret) != seen.duty.secret_tag
        {
            let sentence = format!("{domain}: node {} has another secret", pair.twin);
            found.push(Finding::bad("secret", sentence, "give both files the secret of the server's configuration"));
        }
        if seen.duty.twin.as_ref() != Some(&config.node.name) {
            let named = seen.duty.twin.as_deref().unwrap_or("nobody");
            let sentence = format!("node {} has {named} as its twin, not {}", pair.twin, config.node.name);
            found.push(Finding::bad("twin", sentence, format!("[pair]\ntwin = \"{}\"", config.node.name)));
        }
        if let Some(why) = &seen.duty.unfit {
            let sentence = format!("{domain}: node {} could not serve it: {why}", pair.twin);
            found.push(Finding::bad("fitness", sentence, ""));
        }
        if found.len() == before {
            let sentence =
                format!("{domain}: node {} has it too, with the same home and secret, and is fit", pair.twin);
            found.push(Finding::good("domain", sentence));
        }
    }
    found.extend(duties.iter().filter_map(|seen| stranger(config, pair, seen)));
    found
}

/// A living node that has what it should not, or has what this one lacks.
fn stranger(config: &Config, pair: &Pair, seen: &DutySeen) -> Option<Finding> {
    let (node, domain) = (&seen.node, &seen.duty.service);
    let is_ours = config.services.iter().any(|service| service.domain.0.as_str() == domain);
    let is_of_pair = *node == pair.twin || *node == config.node.name;
    match (is_of_pair, is_ours) {
        (true, true) | (false, false) => None,
        (true, false) => {
            let sentence = format!("node {node} has {domain}, this configuration does not");
            Some(Finding::bad("domain", sentence, format!("[[service]]\ndomain = \"{domain}\"")))
        }
        (false, true) => {
            let sentence = format!("node {node} claims {domain} too, and is neither this node nor its twin");
            Some(Finding::bad("domain", sentence, "each domain belongs to one pair; remove it from that node's file"))
        }
    }
}

/// The configuration refuses what cannot work; here is what it comes to.
fn timers(config: &Config, pair: &Pair) -> Finding {
    let lease_ms = config.store.lease_ms;
    let sentence = format!(
        "beat {} ms, lease {lease_ms} ms, silent {} ms before it ends, patience {} ms: a dead process is noticed at once, a lost machine within {}",
        pair.beat_ms,
        pair.margin_ms,
        pair.patience_ms,
        lasting(lease_ms + pair.beat_ms)
    );
    if lease_ms < LEASE_MS {
        let sentence = format!("{sentence}; a lease this short ends by itself on a busy machine");
        return Finding::doubtful("timers", sentence, "[store]\nlease_ms = 2000");
    }
    Finding::good("timers", sentence)
}
