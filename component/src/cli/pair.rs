//! The command line as a door to the pair's commands: their words and fields are those of [`crate::command`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, value_parser};

use super::{FileArg, order, paint, status};
use crate::command::{self, Desk, EVENTS_MAX, Field, Terms};
use crate::config::Config;
use crate::service;
use crate::store::SqlStore;

/// What stood on the command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    pub(super) config: PathBuf,
    pub(super) domain: Option<String>,
    pub(super) from: Option<String>,
    pub(super) max: Option<u32>,
    pub(super) is_json: bool,
    pub(super) is_watching: bool,
    pub(super) is_waiting: bool,
}

/// Adds a subcommand for each command.
pub(super) fn doors(program: clap::Command) -> clap::Command {
    command::ALL.iter().fold(program, |program, command| program.subcommand(door(command)))
}

fn door(command: &command::Command) -> clap::Command {
    let mut door = clap::Command::new(command.name).about(command.about);
    door = door.long_about(format!("{}\n\n{}\n\n{}", command.about, command.more, ends_with(command)));
    door = FileArg::augment_args(door);
    for field in command.fields {
        let arg = Arg::new(field.name()).long(field.name()).help(field.about());
        door = door.arg(match field {
            Field::Domain => arg.short('d').value_name("DOMAIN"),
            Field::From => arg.value_name("NODE"),
            Field::Max => {
                arg.short('n').value_name("NUMBER").value_parser(value_parser!(u32).range(1..=i64::from(EVENTS_MAX)))
            }
        });
    }
    let flag = |name, help| Arg::new(name).long(name).help(help).action(ArgAction::SetTrue);
    door = door.arg(flag("json", "Answer in JSON"));
    if command.changes() {
        return door.arg(flag("no-wait", "Give the order and leave; status and history tell the rest"));
    }
    if command.name == "status" {
        return door.arg(flag("watch", "Look every second; away from a terminal, tell what changes"));
    }
    door
}

/// What its exit code means.
fn ends_with(command: &command::Command) -> &'static str {
    match (command.changes(), command.name) {
        (true, _) => {
            "It is given to the running node of this configuration. Ends with 0 once it is carried out, else with 1."
        }
        (false, "status") => {
            "Ends with 0 if every domain is served and has a fit twin (or needs none), with 1 if something is not as it should be, with 2 if a domain is not served, with 3 if it cannot be told."
        }
        (false, _) => "Ends with 0.",
    }
}

/// The pair's command the command line names, if it does.
pub(super) fn asked(matches: &ArgMatches) -> Option<(&'static command::Command, Given)> {
    let (name, given) = matches.subcommand()?;
    let command = command::Command::named(name)?;
    let config = FileArg::from_arg_matches(given).ok()?.config;
    let text = |field: Field| {
        command.fields.contains(&field).then(|| given.get_one::<String>(field.name()).cloned()).flatten()
    };
    let max = command.fields.contains(&Field::Max).then(|| given.get_one::<u32>("max").copied()).flatten();
    let flag = |name| given.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or_default();
    let given = Given {
        config,
        domain: text(Field::Domain),
        from: text(Field::From),
        max,
        is_json: flag("json"),
        is_watching: flag("watch"),
        is_waiting: !flag("no-wait"),
    };
    Some((command, given))
}

/// Carries the command out, or has the running node do so.
pub(super) async fn run(command: &command::Command, given: &Given) -> Result<ExitCode, String> {
    if command.changes() {
        return order::run(command, given).await;
    }
    if command.name == "status" {
        return Ok(status::run(command, given).await);
    }
    let config = Config::read(&given.config).map_err(|why| why.to_string())?;
    let answer = desk(&config).await?.run(command, &given.request()).await.map_err(|why| why.to_string())?;
    if given.is_json {
        paint::json(&answer)
    } else {
        paint::page(&answer.text())
    };
    Ok(ExitCode::SUCCESS)
}

impl Given {
    pub(super) fn request(&self) -> command::Request {
        let (domain, from) = (self.domain.clone(), self.from.clone());
        command::Request { domain, from, max: self.max, by: String::new() }
    }
}

/// A desk over the database of `config`, if its schema is one this program can read.
pub(super) async fn desk(config: &Config) -> Result<Desk, String> {
    let store = service::connect_store(config).await.map_err(|why| why.to_string())?;
    let wanted = SqlStore::SCHEMA;
    match store.schema().await.map_err(|why| why.to_string())? {
        Some(version) if version == wanted => Ok(Desk::new(Terms::new(config), store)),
        Some(version) => Err(format!(
            "the database has schema {version}, this program wants {wanted}; run or migrate will bring it there"
        )),
        None => Err("the database has no tables yet; run or migrate will create them".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(&'static command::Command, Given), clap::Error> {
        let matches = doors(clap::Command::new("tandem-muc")).try_get_matches_from(line.split(' '))?;
        Ok(asked(&matches).expect("one of the pair's commands"))
    }

    #[test]
    fn every_command_has_a_door_that_holds_together() {
        doors(clap::Command::new("tandem-muc")).debug_assert();
        for command in command::ALL {
            let (read, given) = read(&format!("tandem-muc {} --config x.toml --json", command.name)).expect("read");
            assert_eq!((read.name, given.is_json), (command.name, true));
        }
    }

    #[test]
    fn fields_and_flags_arrive() {
        let (_, given) =
            read("tandem-muc failover -c x.toml -d conference.example.org --from a --no-wait").expect("read");
        assert_eq!((given.domain.as_deref(), given.from.as_deref()), (Some("conference.example.org"), Some("a")));
        assert!(!given.is_waiting && !given.is_json);
        let (_, given) = read("tandem-muc history -c x.toml --max 5").expect("read");
        assert_eq!(given.max, Some(5));
        let (_, given) = read("tandem-muc status -c x.toml --watch").expect("read");
        assert!(given.is_watching);
        for senseless in ["history -c x --max 0", "fallback -c x --from a", "status -c x --no-wait", "explode -c x"] {
            assert!(read(&format!("tandem-muc {senseless}")).is_err(), "{senseless}");
        }
    }
}
