//! What a form asks of one option, read by the shape of its value. An error says what the field takes.

use super::{Bounds, RoomOption};
use crate::muc::{RoleName, RoomConfig};
use crate::protocol::form::{Submitted, boolean};

/// What a form asks of one option.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    option: &'a RoomOption,
    form: &'a Submitted,
    /// The configuration before anything was taken.
    pub before: &'a RoomConfig,
    /// What the operator allows.
    pub bounds: &'a Bounds,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        option: &'a RoomOption,
        form: &'a Submitted,
        before: &'a RoomConfig,
        bounds: &'a Bounds,
    ) -> Asked<'a> {
        Asked { option, form, before, bounds }
    }

    /// The values, where the field is there.
    pub fn values(&self) -> Option<&'a [String]> {
        self.form.values(self.option.field)
    }

    /// The first value.
    pub fn first(&self) -> Option<&'a str> {
        self.values()?.first().map(|value| value.trim())
    }

    /// What the form asks of another option.
    pub(super) fn of(&self, other: &'a RoomOption) -> Asked<'a> {
        Asked { option: other, ..*self }
    }

    /// A text within the operator's limit.
    pub fn text(&self, into: &mut String) -> Result<(), String> {
        let Some(values) = self.values() else { return Ok(()) };
        let text = values.join("\n");
        let bytes_max = self.bounds.text_bytes_max;
        if text.len() > bytes_max {
            return Err(format!("at most {bytes_max} bytes"));
        }
        *into = text;
        Ok(())
    }

    /// Yes or no.
    pub fn switch(&self, into: &mut bool) -> Result<(), String> {
        if let Some(value) = self.first() {
            *into = boolean(value).ok_or("0 or 1")?;
        }
        Ok(())
    }

    /// A number up to `max`.
    pub fn number(&self, max: u32, into: &mut u32) -> Result<(), String> {
        if let Some(value) = self.first() {
            let number = value.parse().ok().filter(|number| *number <= max);
            *into = number.ok_or_else(|| format!("a number from 0 to {max}"))?;
        }
        Ok(())
    }

    /// One of `all`, each by its word.
    pub fn one<T: Copy>(&self, all: &[T], word: fn(T) -> &'static str, into: &mut T) -> Result<(), String> {
        if let Some(value) = self.first() {
            let chosen = all.iter().find(|one| word(**one) == value);
            let words = || all.iter().map(|one| word(*one)).collect::<Vec<_>>().join(", ");
            *into = *chosen.ok_or_else(|| format!("one of {}", words()))?;
        }
        Ok(())
    }

    /// Any of the roles.
    pub fn roles(&self, into: &mut Vec<RoleName>) -> Result<(), String> {
        let Some(values) = self.values() else { return Ok(()) };
        let is_named = |role: &RoleName| values.iter().any(|value| value == role.as_str());
        let is_role = |value: &str| RoleName::ALL.iter().any(|role| role.as_str() == value);
        if values.iter().any(|value| !value.is_empty() && !is_role(value)) {
            return Err("any of moderator, participant, visitor".to_owned());
        }
        *into = RoleName::ALL.into_iter().filter(is_named).collect();
        Ok(())
    }
}
