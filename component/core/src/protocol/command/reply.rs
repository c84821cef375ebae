//! What a command answers (XEP-0050 v1.3 §3.1-§3.2, §3.5): a form with what can be done with it, or that it is done.

use minidom::Element;

use super::session::Session;
use super::{Choices, Command, FieldKind, Seal, Values};
use crate::name::Jid;
use crate::ns;
use crate::protocol::disco::Info;
use crate::protocol::form::{Form, FormType};
use crate::stanza::element::{Build, el};
use crate::time::Utc;

/// What came of a command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// One sentence for people.
    pub note: Option<String>,
    /// What was found.
    pub form: Option<Element>,
}

impl Command {
    /// The form of `stage`, with what is filled in already and what can be done with it.
    pub fn ask(
        &self,
        stage: usize,
        values: &Values,
        who: &Jid,
        now: Utc,
        seal: Seal<'_>,
        choices: Choices<'_>,
    ) -> Element {
        let is_last = stage + 1 >= self.stages.len();
        let mut actions = el("actions", ns::COMMANDS).with_attr("execute", if is_last { "complete" } else { "next" });
        if stage > 0 {
            actions.append_child(el("prev", ns::COMMANDS));
        }
        actions.append_child(el(if is_last { "complete" } else { "next" }, ns::COMMANDS));
        let session = Session::name(stage, self.node, who, now, seal);
        let form = self.form(stage, values, choices);
        self.reply(&session, "executing").with_child(actions).with_child(form)
    }

    /// That it is done, in the session it was begun in, or one of its own.
    pub fn done(&self, done: Done, session: Option<&str>, who: &Jid, now: Utc, seal: Seal<'_>) -> Element {
        let own = || Session::name(self.stages.len(), self.node, who, now, seal);
        let session = session.map_or_else(own, str::to_owned);
        let mut reply = self.reply(&session, "completed");
        if let Some(note) = done.note {
            reply.append_child(el("note", ns::COMMANDS).with_attr("type", "info").with_text(&note));
        }
        done.form.into_iter().fold(reply, Build::with_child)
    }

    /// That it was put away.
    pub fn cancelled(&self, session: &str) -> Element {
        self.reply(session, "canceled")
    }

    fn reply(&self, session: &str, status: &'static str) -> Element {
        el("command", ns::COMMANDS)
            .with_attr("node", self.node)
            .with_attr("sessionid", session)
            .with_attr("status", status)
    }

    fn form(&self, stage: usize, values: &Values, choices: Choices<'_>) -> Element {
        let Some(shown) = self.stages.get(stage) else { return el("x", ns::DATA) };
        let mut form = Form::new(FormType::Form, self.form_type).titled(self.name).instructed(shown.instructions);
        for field in self.stages.iter().take(stage).flat_map(|stage| stage.fields) {
            if let Some(value) = values.get(field.var) {
                form = form.hidden(field.var, value);
            }
        }
        for field in shown.fields {
            let offered = if field.kind == FieldKind::Choice { choices(field.var) } else { Vec::new() };
            let offered: Vec<(&str, &str)> = offered.iter().map(|(value, label)| (&**value, &**label)).collect();
            let type_ = match field.kind {
                FieldKind::Text => "text-single",
                FieldKind::Jid => "jid-single",
                FieldKind::Choice => "list-single",
            };
            let filled: Vec<&str> = values.get(field.var).map(String::as_str).into_iter().collect();
            form = form.asking(type_, field.var, field.label, &offered, &filled, field.is_required);
        }
        form.into_element()
    }
}

/// What discovery tells of a command (§2.3).
pub fn command_info(command: &Command) -> Info {
    Info::new(Some(command.node))
        .identity("automation", "command-node", command.name)
        .feature(ns::COMMANDS)
        .feature(ns::DATA)
}
