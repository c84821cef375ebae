//! `tandem-muc check`: file, secrets, database, schema and stream, a clear verdict each; the schema is left as it is.

use std::path::Path;
use std::process::ExitCode;

use super::paint::{Verdict, tell, verdict};
use crate::config::{Config, Service};
use crate::service;
use crate::store::SqlStore;
use crate::stream;

/// Checks what the file at `path` says.
pub(super) async fn check(path: &Path) -> Result<ExitCode, String> {
    let config = match Config::read(path) {
        Ok(config) => config,
        Err(why) => {
            verdict(Verdict::Bad, "file", &why.to_string());
            return Ok(ExitCode::FAILURE);
        }
    };
    let domains = config.services.len();
    verdict(Verdict::Good, "file", &format!("{} is well-formed; {domains} service domain(s)", path.display()));
    let mut is_good = check_store(&config).await;
    for service in &config.services {
        is_good &= check_stream(service).await;
    }
    is_good &= check_http(&config).await;
    tell(if is_good { "all well: tandem-muc run would serve" } else { "not ready: see FAIL above" });
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn check_store(config: &Config) -> bool {
    let store = match service::connect_store(config).await {
        Ok(store) => store,
        Err(why) => {
            verdict(Verdict::Bad, "database", &why.to_string());
            verdict(Verdict::NotTried, "schema", "no database");
            return false;
        }
    };
    let is_good = match store.probe().await {
        Ok(probe) => {
            verdict(Verdict::Good, "database", &format!("{} answers in {} ms", probe.version, probe.round_trip_ms));
            check_schema(&store).await
        }
        Err(why) => {
            verdict(Verdict::Bad, "database", &why.to_string());
            false
        }
    };
    store.close().await;
    is_good
}

async fn check_schema(store: &SqlStore) -> bool {
    match store.schema().await {
        Ok(Some(version)) if version == SqlStore::SCHEMA => {
            verdict(Verdict::Good, "schema", &format!("version {version}, as this program wants it"));
            true
        }
        Ok(Some(version)) => {
            let wanted = SqlStore::SCHEMA;
            verdict(Verdict::Good, "schema", &format!("version {version}; run or migrate will bring it to {wanted}"));
            true
        }
        Ok(None) => {
            verdict(Verdict::Good, "schema", "none yet; run or migrate will create it");
            true
        }
        Err(why) => {
            verdict(Verdict::Bad, "schema", &why.to_string());
            false
        }
    }
}

async fn check_stream(service: &Service) -> bool {
    let config = match service::stream_config(service) {
        Ok(config) => config,
        Err(why) => {
            verdict(Verdict::Bad, "secret", &why.to_string());
            return false;
        }
    };
    verdict(Verdict::Good, "secret", &format!("{}: there is one", config.domain));
    match stream::probe(&config).await {
        Ok(server) => {
            verdict(Verdict::Good, "stream", &format!("{server} takes us as {}", config.domain));
            true
        }
        Err(why) => {
            verdict(Verdict::Bad, "stream", &why.to_string());
            false
        }
    }
}

async fn check_http(config: &Config) -> bool {
    let Some(address) = config.http.listen else {
        verdict(Verdict::NotTried, "http", "no [http] listen: no health, readiness or metrics");
        return true;
    };
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => {
            verdict(Verdict::Good, "http", &format!("{address} is free"));
            true
        }
        Err(why) => {
            let why = format!("{address}: {why}; set another [http] listen, or end what listens there");
            verdict(Verdict::Bad, "http", &why);
            false
        }
    }
}
