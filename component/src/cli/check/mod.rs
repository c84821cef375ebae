//! `tandem-muc check`: file, secrets, database, schema, streams and, for a pair, all that a takeover relies on. A clear
//! verdict each, with the line to paste; nothing is changed and nobody who serves is disturbed.

mod attach;
mod ejabberd;
mod findings;
mod host;
mod pair;
mod prosody;
mod server;

use std::process::ExitCode;

use super::CheckArgs;
use crate::config::Config;
use crate::service;
use crate::store::{Hint, OpenError, SqlStore};
use findings::{Finding, Findings};

/// Checks what the command line names.
pub(super) async fn check(args: &CheckArgs) -> Result<ExitCode, String> {
    let mut findings = Findings::new(args.json);
    let path = &args.file.config;
    let is_pair = match Config::read(path) {
        Ok(config) => {
            let domains = config.services.len();
            let sentence = format!("{} is well-formed; {domains} service domain(s)", path.display());
            findings.add(Finding::good("file", sentence));
            check_all(&config, args, &mut findings).await;
            config.pair.is_some()
        }
        Err(why) => {
            findings.add(Finding::bad("file", why.to_string(), ""));
            false
        }
    };
    Ok(if findings.conclude(is_pair) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is known of the database.
enum Sight {
    /// Its tables are those this program works with.
    Clear(SqlStore),
    /// There are no tables yet: nobody can have served.
    Empty,
    /// It is away, or has tables of another version.
    None,
}

async fn check_all(config: &Config, args: &CheckArgs, findings: &mut Findings) {
    let sight = check_store(config, findings).await;
    let is_running = host::is_running(config).await;
    if let (Sight::Clear(store), Some(pair)) = (&sight, &config.pair) {
        pair::check(config, pair, store, is_running, findings).await;
    }
    attach::check(config, &sight, findings).await;
    findings.extend(server::check(config, &args.server_config));
    host::check(config, is_running, findings).await;
    if let Sight::Clear(store) = sight {
        store.close().await;
    }
}

async fn check_store(config: &Config, findings: &mut Findings) -> Sight {
    let store = match service::connect_store(config).await {
        Ok(store) => store,
        Err(why) => {
            findings.add(Finding::bad("database", why.to_string(), ""));
            findings.add(Finding::skipped("schema", "no database", ""));
            return Sight::None;
        }
    };
    match store.probe().await {
        Ok(probe) => {
            let sentence = format!("{} answers in {} ms", probe.version, probe.round_trip_ms);
            findings.add(Finding::good("database", sentence));
        }
        Err(why) => {
            findings.add(Finding::bad("database", why.to_string(), ""));
            return Sight::None;
        }
    }
    match store.hints().await {
        Ok(hints) => findings.extend(hints.iter().filter_map(|hint| judge(hint, config.pair.is_some()))),
        Err(why) => findings.add(Finding::skipped("settings", why.to_string(), "")),
    }
    let found = store.schema().await;
    let sight = match &found {
        Ok(Some(version)) if *version == SqlStore::SCHEMA => Sight::Clear(store),
        Ok(None) => Sight::Empty,
        Ok(Some(_)) | Err(_) => Sight::None,
    };
    findings.add(schema(found));
    sight
}

/// A standby of the database matters to who expects to survive a machine.
fn judge(hint: &Hint, is_pair: bool) -> Option<Finding> {
    let Some(concern) = hint.concern.as_ref() else {
        return is_pair.then(|| Finding::good("settings", format!("{} = {}", hint.setting, hint.value)));
    };
    let is_about_standby = hint.setting == "synchronous_standby_names";
    let remedy = if is_about_standby { "synchronous_standby_names = 'ANY 1 (standby)'" } else { "" };
    let sentence = format!("{} = {:?}: {concern}", hint.setting, hint.value);
    (is_pair || !is_about_standby).then(|| Finding::doubtful("settings", sentence, remedy))
}

fn schema(found: Result<Option<u32>, OpenError>) -> Finding {
    let wanted = SqlStore::SCHEMA;
    match found {
        Ok(Some(version)) if version == wanted => {
            Finding::good("schema", format!("version {version}, as this program wants it"))
        }
        Ok(Some(version)) => {
            Finding::good("schema", format!("version {version}; run or migrate will bring it to {wanted}"))
        }
        Ok(None) => Finding::good("schema", "none yet; run or migrate will create it"),
        Err(why) => Finding::bad("schema", why.to_string(), ""),
    }
}
