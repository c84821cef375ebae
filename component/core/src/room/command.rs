//! The room's door for ad-hoc commands (XEP-0050 v1.3): which there are for whom, in discovery and when asked. What a
//! command does lies with its use case.

use minidom::Element;

use super::privilege::Actor;
use super::refusal::Refusal;
use super::{Room, Turn, hats};
use crate::ns;
use crate::protocol::command::{Command, Done, Request, Step, Values, command_info};
use crate::protocol::disco::{Info, item};
use crate::stanza::Inbound;
use crate::stanza::element::{Build, el};

/// A command and what a room does for it.
#[derive(Debug)]
pub(super) struct RoomCommand {
    pub(super) command: Command,
    /// Whether it is shown; a name of old is understood and not shown.
    pub(super) is_listed: bool,
    /// Whether somebody may use it.
    pub(super) may: fn(&Room, &Actor) -> bool,
    /// Does it.
    pub(super) run: fn(&mut Room, &Inbound, &Values, &mut Turn<'_>) -> Result<Done, Refusal>,
}

fn all() -> impl Iterator<Item = &'static RoomCommand> {
    hats::COMMANDS.iter()
}

fn named(node: &str) -> Option<&'static RoomCommand> {
    all().find(|known| known.command.node == node)
}

impl Room {
    /// Lists the commands that the one who asks may use (§2.2).
    pub(super) fn tell_commands(&self, ask: &Inbound, turn: &mut Turn<'_>) {
        let actor = self.actor(&ask.stanza.from);
        let mut answer = el("query", ns::DISCO_ITEMS).with_attr("node", ns::COMMANDS);
        for known in all().filter(|known| known.is_listed && (known.may)(self, &actor)) {
            let command = item(self.jid.as_str(), Some(known.command.name));
            answer.append_child(command.with_attr("node", known.command.node));
        }
        turn.answer(ask.result(Some(answer)));
    }

    /// What discovery tells of the list of commands, or of one of them (§2.2, §2.3).
    pub(super) fn command_node_info(&self, node: &str) -> Option<Info> {
        if node == ns::COMMANDS {
            return Some(Info::new(Some(node)).identity("automation", "command-list", "Commands"));
        }
        named(node).map(|known| command_info(&known.command))
    }

    /// Carries a request on: a form, an answer, or what is wrong with it.
    pub(super) fn run_command(&mut self, ask: &Inbound, command: &Element, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let request = Request::read(command).map_err(Refusal::Command)?;
        let known = named(&request.node).ok_or(Refusal::NoSuchNode)?;
        let (who, now, command) = (&ask.stanza.from, turn.now.utc, &known.command);
        let actor = self.actor(who);
        if !(known.may)(self, &actor) {
            return Err(Refusal::Forbidden("You may not use this command here."));
        }
        let step = command.advance(&request, who, now, &|text| self.keyed_text(text), &|var| self.choices(var));
        let answer = match step.map_err(Refusal::Command)? {
            Step::Ask(stage, values) => {
                command.ask(stage, &values, who, now, &|text| self.keyed_text(text), &|var| self.choices(var))
            }
            Step::Cancel => command.cancelled(request.session.as_deref().unwrap_or_default()),
            Step::Run(values) => {
                let done = (known.run)(self, ask, &values, turn)?;
                command.done(done, request.session.as_deref(), who, now, &|text| self.keyed_text(text))
            }
        };
        turn.answer(ask.result(Some(answer)));
        Ok(())
    }

    /// What there is to choose from in a field of that name.
    fn choices(&self, var: &str) -> Vec<(String, String)> {
        match var {
            hats::URI | hats::OLD_URI => self.hats.choices(),
            _ => Vec::new(),
        }
    }
}
