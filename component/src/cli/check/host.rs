//! What this machine adds: the address of the HTTP side, the token of orders, the watchdog of systemd.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::ExposeSecret;

use super::findings::{Finding, Findings};
use super::pair::IsRunning;
use crate::cli::local::Local;
use crate::config::Config;

/// Where units and their drop-ins may be, most telling first.
const UNITS: [&str; 3] = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"];
const UNIT: &str = "tandem-muc.service";
/// Shorter tokens can be guessed.
const TOKEN_MIN: usize = 16;
const TOKEN_REMEDY: &str =
    "install -m 600 /dev/null /etc/tandem-muc/token\nopenssl rand -hex 32 > /etc/tandem-muc/token";

/// Whether the process of this configuration runs, which its HTTP side would tell; `None` if it has none.
pub(super) async fn is_running(config: &Config) -> IsRunning {
    config.http.listen?;
    let local = Local::of(config).ok()?;
    let said = local.ready().await;
    Some(said.is_ok_and(|said| said["node"] == config.node.name.as_str()))
}

/// Looks at the machine.
pub(super) async fn check(config: &Config, is_running: IsRunning, findings: &mut Findings) {
    findings.add(http(config, is_running).await);
    if config.pair.is_some() || config.http.token_file.is_some() {
        findings.add(token(config));
    }
    if config.pair.is_some() {
        findings.add(watchdog());
    }
}

async fn http(config: &Config, is_running: IsRunning) -> Finding {
    let Some(address) = config.http.listen else {
        let sentence = "no [http] listen: no health, readiness, metrics or orders";
        return Finding::skipped("http", sentence, "");
    };
    if is_running == Some(true) {
        return Finding::good("http", format!("node {} runs and answers at {address}", config.node.name));
    }
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Finding::good("http", format!("{address} is free")),
        Err(why) => {
            Finding::bad("http", format!("{address}: {why}"), "set another [http] listen, or end what listens there")
        }
    }
}

fn token(config: &Config) -> Finding {
    let Some(path) = &config.http.token_file else {
        let sentence = "no [http] token_file: failover, fallback and the other orders are not taken";
        let remedy = format!("{TOKEN_REMEDY}\n[http]\ntoken_file = \"/etc/tandem-muc/token\"");
        return Finding::doubtful("token", sentence, remedy);
    };
    let token = match config.http.token() {
        Ok(Some(token)) => token,
        Ok(None) => return Finding::skipped("token", "none", ""),
        Err(why) => return Finding::bad("token", why.to_string(), TOKEN_REMEDY),
    };
    if token.expose_secret().len() < TOKEN_MIN {
        let sentence = format!("{} has fewer than {TOKEN_MIN} characters and can be guessed", path.display());
        return Finding::doubtful("token", sentence, TOKEN_REMEDY);
    }
    if std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o004 != 0) {
        let sentence = format!("everybody on this machine may read {} and give orders", path.display());
        return Finding::doubtful("token", sentence, format!("chmod 600 {}", path.display()));
    }
    Finding::good("token", format!("orders are taken with the token in {}", path.display()))
}

/// A process that hangs is ended by systemd, and its twin takes over.
fn watchdog() -> Finding {
    if std::env::var_os("WATCHDOG_USEC").is_some() {
        return Finding::good("watchdog", "systemd watches this process");
    }
    let units: Vec<String> = UNITS.iter().filter_map(|folder| unit_in(Path::new(folder))).collect();
    if units.is_empty() {
        let sentence = format!("no {UNIT} on this machine; whoever starts the node has to end it when it hangs");
        return Finding::skipped("watchdog", sentence, "[Service]\nWatchdogSec=20\nRestart=always");
    }
    judge_units(&units)
}

/// The unit in `folder` and its drop-ins, as one text.
fn unit_in(folder: &Path) -> Option<String> {
    let mut text = std::fs::read_to_string(folder.join(UNIT)).unwrap_or_default();
    let drop_ins = std::fs::read_dir(folder.join(format!("{UNIT}.d")));
    for entry in drop_ins.into_iter().flatten().flatten() {
        text.push('\n');
        text.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
    }
    (!text.trim().is_empty()).then_some(text)
}

fn judge_units(units: &[String]) -> Finding {
    let value = |key: &str| {
        let of_key = |line: &str| Some(line.trim().strip_prefix(key)?.strip_prefix('=')?.trim().to_owned());
        units.iter().find_map(|unit| unit.lines().filter_map(of_key).next_back())
    };
    let restarts = value("Restart");
    match value("WatchdogSec") {
        Some(seconds) if !matches!(seconds.as_str(), "" | "0" | "infinity") => match restarts.as_deref() {
            Some("always" | "on-failure" | "on-watchdog" | "on-abnormal") => {
                Finding::good("watchdog", format!("{UNIT} has WatchdogSec={seconds} and starts it again"))
            }
            Some(_) | None => {
                let sentence = format!("{UNIT} has WatchdogSec={seconds} and does not start it again");
                Finding::doubtful("watchdog", sentence, "[Service]\nRestart=always")
            }
        },
        Some(_) | None => Finding::doubtful(
            "watchdog",
            format!("{UNIT} has no WatchdogSec: a process that hangs is not ended"),
            "[Service]\nWatchdogSec=20\nRestart=always",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::paint::Verdict;

    #[test]
    fn the_unit_of_this_project_is_well_and_lesser_ones_are_not() {
        let ours = include_str!("../../../../conf/systemd/tandem-muc.service").to_owned();
        assert_eq!(judge_units(&[ours]).verdict, Verdict::Good);
        for lesser in
            ["[Service]\nExecStart=x\n", "[Service]\nWatchdogSec=0\n", "[Service]\nWatchdogSec=20\nRestart=no\n"]
        {
            assert_eq!(judge_units(&[lesser.to_owned()]).verdict, Verdict::Doubtful, "{lesser}");
        }
    }
}
