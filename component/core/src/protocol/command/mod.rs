//! Ad-hoc commands (XEP-0050 v1.3): what a command asks, stage by stage, apart from what it does and from the door it is
//! asked at. A [`Command`] names its fields; [`Command::advance`] says what a request means; a door shows the form, or
//! carries out what was filled in.
//!
//! Nothing is kept between two requests. The session's name tells the stage, for whom and until when, under a seal only
//! we can make; what earlier stages were filled in with travels in the form, hidden, and is checked again. So sessions
//! cost nothing, expire by themselves, and survive a takeover.

mod reply;
mod request;
mod session;

pub use reply::{Done, command_info};
pub use request::{Action, Fault, Request};
pub use session::Seal;

use std::collections::BTreeMap;

use session::Session;

use super::form::{FormType, Submitted};
use crate::name::{BareJid, Jid};
use crate::time::Utc;

/// The longest value of a field, in bytes.
const VALUE_BYTES_MAX: usize = 1_024;

/// A command, wherever it is offered.
#[derive(Debug)]
pub struct Command {
    /// Its name for programs.
    pub node: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The `FORM_TYPE` of its forms.
    pub form_type: &'static str,
    /// What it asks, one form after the other; nothing where it does its work at once.
    pub stages: &'static [Stage],
}

/// One form of a command.
#[derive(Debug)]
pub struct Stage {
    /// What is to be done with it.
    pub instructions: &'static str,
    /// What is asked.
    pub fields: &'static [Field],
}

/// One thing a command asks.
#[derive(Debug)]
pub struct Field {
    /// Its name for programs.
    pub var: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What it takes.
    pub kind: FieldKind,
    /// Whether the command cannot do without.
    pub is_required: bool,
}

/// What a field takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// A line of text.
    Text,
    /// The bare JID of a user.
    Jid,
    /// One of what there is at that moment.
    Choice,
}

/// What was filled in, by field.
pub type Values = BTreeMap<&'static str, String>;

/// What there is to choose from in a field: values with their labels.
pub type Choices<'a> = &'a dyn Fn(&str) -> Vec<(String, String)>;

/// What is to happen now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The form of this stage is shown, with what is filled in already.
    Ask(usize, Values),
    /// Everything is there: the command does its work.
    Run(Values),
    /// It was put away.
    Cancel,
}

impl Command {
    /// What `request` of `who` means at that time; `choices` are those of this moment.
    /// # Errors
    /// Each fault is the XEP's: a bad action, a bad or expired session, values that cannot be.
    pub fn advance(
        &self,
        request: &Request,
        who: &Jid,
        now: Utc,
        seal: Seal<'_>,
        choices: Choices<'_>,
    ) -> Result<Step, Fault> {
        let session = request.session.as_deref().map(|text| Session::open(text, self.node, who, now, seal));
        let session = session.transpose()?;
        if session.is_some_and(|session| session.stage > 0 && session.stage >= self.stages.len()) {
            // It is over: what was done is not done twice.
            return Err(Fault::BadSession);
        }
        let is_submitted = request.form.as_ref().is_some_and(|form| form.type_ == FormType::Submit);
        let is_put_away = request.form.as_ref().is_some_and(|form| form.type_ == FormType::Cancel);
        let (stage, is_begun) = session.map_or((0, false), |session| (session.stage, true));
        let last = self.stages.len().saturating_sub(1);
        match request.action {
            Action::Cancel if is_begun => return Ok(Step::Cancel),
            Action::Prev if is_begun && stage > 0 => {
                return Ok(Step::Ask(stage - 1, self.filled_in(request, stage)));
            }
            Action::Cancel => return Err(Fault::BadSession),
            Action::Prev => return Err(Fault::BadAction),
            Action::Next if stage >= last => return Err(Fault::BadAction),
            Action::Complete if stage < last => return Err(Fault::BadAction),
            Action::Next | Action::Complete | Action::Execute => {}
        }
        if is_begun && is_put_away {
            return Ok(Step::Cancel);
        }
        if self.stages.is_empty() {
            return Ok(Step::Run(Values::new()));
        }
        // Whoever knows what is asked may fill it in unasked (XEP-0317 §3.3 does).
        if !is_submitted {
            return if is_begun {
                Err(Fault::BadPayload("The form is missing.".to_owned()))
            } else {
                Ok(Step::Ask(0, Values::new()))
            };
        }
        let values = self.filled_in(request, stage + 1);
        self.check(&values, stage + 1, choices)?;
        Ok(if stage < last { Step::Ask(stage + 1, values) } else { Step::Run(values) })
    }

    /// What the form has for the fields of so many stages.
    fn filled_in(&self, request: &Request, stages: usize) -> Values {
        let fields = self.stages.iter().take(stages).flat_map(|stage| stage.fields);
        let value = |field: &Field| request.form.as_ref().and_then(|form| first(form, field.var));
        fields.filter_map(|field| Some((field.var, value(field)?))).collect()
    }

    fn check(&self, values: &Values, stages: usize, choices: Choices<'_>) -> Result<(), Fault> {
        for field in self.stages.iter().take(stages).flat_map(|stage| stage.fields) {
            let wrong = |what: &str| Err(Fault::BadPayload(format!("{}: {what}.", field.label)));
            match (values.get(field.var), field.kind) {
                (None, _) if field.is_required => return wrong("this has to be filled in"),
                (Some(value), _) if value.len() > VALUE_BYTES_MAX => return wrong("this is too long"),
                (Some(value), FieldKind::Jid) if BareJid::parse(value).is_err() => {
                    return wrong("this takes the address of a user");
                }
                (Some(value), FieldKind::Choice) if !choices(field.var).iter().any(|(known, _)| known == value) => {
                    return wrong("there is no such choice");
                }
                (None, _) | (Some(_), FieldKind::Text | FieldKind::Jid | FieldKind::Choice) => {}
            }
        }
        Ok(())
    }
}

fn first(form: &Submitted, var: &str) -> Option<String> {
    form.first(var).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
