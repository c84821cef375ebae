//! The command line: `run`, `check`, `migrate`, `relay`, and the pair's commands. Words for people go to stdout, logs
//! and errors to stderr.

mod check;
mod local;
mod order;
mod paint;
mod pair;
mod relay;
mod run;
mod status;
mod watchdog;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::Config;
use crate::service;

/// Persistent chat rooms for Prosody and ejabberd that survive a crash.
///
/// Tandem MUC attaches to an XMPP server as an external component (XEP-0114) and serves multi-user chat rooms
/// (XEP-0045) from a database. Start with a configuration file of four lines:
///
///   [[service]]
///   domain = "conference.example.org"
///   server = ["127.0.0.1:5347"]
///   secret = "the secret of the component in the server's configuration"
///
/// then `tandem-muc check --config FILE` says what is missing, and `tandem-muc run --config FILE` serves.
#[derive(Debug, Parser)]
#[command(name = "tandem-muc", version, verbatim_doc_comment)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the rooms, in the foreground, until SIGTERM or Ctrl-C.
    ///
    /// Logs go to stderr. SIGTERM ends within a few seconds with everything durable; SIGHUP takes over changed
    /// rules, limits and admins from the file.
    Run(FileArg),
    /// Check the file, secrets, database, schema, streams and, with [pair], all that a takeover relies on: a verdict each.
    ///
    /// Changes nothing, but for an empty SQLite file where there is none; nobody who serves is disturbed. Ends with 0 if
    /// all is well or only warned of, with 1 if anything failed.
    Check(CheckArgs),
    /// Bring the database's schema up to date; safe to repeat, also by several nodes at once.
    Migrate(FileArg),
    /// Stand between the XMPP server and the nodes of a pair, until SIGTERM or Ctrl-C.
    ///
    /// Runs on the server's host. To the server it is the component, to the nodes it is the
    /// server: it keeps what comes in until a node has handled it, gives it to whichever node
    /// attaches next, and passes on the words of one node only. So a node may be killed without
    /// a message bounced or lost. It needs no database, and a file of three lines:
    ///
    ///   [[domain]]
    ///   domain = "conference.example.org"
    ///   secret = "the secret of the component in the server's configuration"
    ///
    /// Nodes attach to it at 127.0.0.1:5348, which their files name as the relay; when the first
    /// one does, the relay attaches to the server at 127.0.0.1:5347. SIGTERM answers whatever
    /// nobody has handled with an error that asks to wait. GET /status of its [http] listen
    /// tells who holds a domain and how much waits.
    #[command(verbatim_doc_comment)]
    Relay(RelayFileArg),
}

#[derive(Debug, clap::Args)]
struct RelayFileArg {
    /// The relay's configuration file; conf/relay.toml has every key.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "TANDEM_MUC_RELAY_CONFIG",
        default_value = "/etc/tandem-muc/relay.toml"
    )]
    config: PathBuf,
}

#[derive(Debug, Clone, clap::Args)]
struct FileArg {
    /// The configuration file.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "TANDEM_MUC_CONFIG",
        default_value = "/etc/tandem-muc/component.toml"
    )]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    file: FileArg,
    /// A configuration file of the XMPP server to read too: Prosody's .cfg.lua or ejabberd's .yml.
    #[arg(long, value_name = "PATH")]
    server_config: Vec<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// What a command line that cannot be understood ends with: unlike any code of `status`.
const USAGE: u8 = 64;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let matches = match pair::doors(Args::command()).try_get_matches() {
        Ok(matches) => matches,
        Err(why) => {
            let _ = why.print();
            return if why.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match runtime().and_then(|runtime| runtime.block_on(obey(&matches))) {
        Ok(code) => code,
        Err(sentence) => {
            paint::complain(&sentence);
            ExitCode::FAILURE
        }
    }
}

async fn obey(matches: &clap::ArgMatches) -> Result<ExitCode, String> {
    if let Some((command, given)) = pair::asked(matches) {
        return pair::run(command, &given).await;
    }
    match Args::from_arg_matches(matches).map_err(|why| why.to_string())?.command {
        Command::Run(file) => run::run(&file.config).await,
        Command::Check(args) => check::check(&args).await,
        Command::Migrate(file) => migrate(&file.config).await,
        Command::Relay(file) => relay::relay(&file.config).await,
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|why| format!("runtime: {why}"))
}

async fn migrate(path: &Path) -> Result<ExitCode, String> {
    let config = Config::read(path).map_err(|why| why.to_string())?;
    let store = service::connect_store(&config).await.map_err(|why| why.to_string())?;
    let applied = store.migrate().await.map_err(|why| why.to_string())?;
    if applied.is_empty() {
        paint::tell(&format!("{}: the schema is up to date", store.kind()));
    }
    for version in applied {
        paint::tell(&format!("{}: version {version} applied", store.kind()));
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
