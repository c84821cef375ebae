//! The options of a room (XEP-0045 §15.5.3), each in one place: field, label, how it is shown and read, what discovery
//! tells of it. The owner's form, the operator's defaults and disco#info are all written from [`ALL`].
//!
//! **To add an option**: (1) a key with its default in [`RoomConfig`]; (2) a `RoomOption` in the file of its group here
//! (`..SILENT` fills in what discovery does not tell); (3) its place in [`ALL`], which is the order of the form;
//! (4) its line in both scripts of `10.02-configuring` that show the whole form. Nothing else needs to know of it: a value
//! is checked by `take`, an absent field leaves the option as it is; its key is at once a default of the operator's and a
//! word of `fixed`, and only `conf/component.toml` has to tell it. Bounds the operator sets go into [`Bounds`].
//! Owners and admins are in the form too, but are affiliations: `room/owner/configure.rs` has them.

mod about;
mod absent;
mod asked;
mod entering;
mod keeping;
mod seeing;
mod speaking;

use std::collections::BTreeSet;

use super::RoomConfig;
use crate::protocol::form::{Form, Submitted};
pub use asked::Asked;

/// Something an owner can set.
#[derive(Debug)]
pub struct RoomOption {
    /// What an operator calls it. Two fields that show one thing share it.
    pub key: &'static str,
    /// Its field in the form.
    pub field: &'static str,
    /// What the form says of it.
    pub label: &'static str,
    /// What the field looks like.
    pub look: Look,
    /// Its values in a configuration.
    pub show: fn(&RoomConfig, &Bounds) -> Vec<String>,
    /// Takes the values asked for into a configuration, or says what the field takes.
    pub take: fn(&Asked<'_>, &mut RoomConfig) -> Result<(), String>,
    /// The features disco#info lists for a room of that configuration.
    pub features: fn(&RoomConfig) -> &'static [&'static str],
    /// The field of `muc#roominfo` that tells its value to everyone, where there is a value.
    pub info: Option<&'static str>,
}

/// What a field looks like (XEP-0004 §3.3), with the values there are to choose from and their labels.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// One line of text.
    Text,
    /// One line that is not shown while it is typed.
    Private,
    /// A whole number that is not below zero (XEP-0122).
    Whole,
    /// A number up to what the operator allows, or `none`: round ones to choose from, any other is taken too.
    Most(fn(&Bounds) -> u32),
    /// Yes or no.
    Switch,
    /// One of these.
    One(&'static [(&'static str, &'static str)]),
    /// Any of these.
    Any(&'static [(&'static str, &'static str)]),
}

/// What the operator allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The longest text, in bytes.
    pub text_bytes_max: usize,
    /// The most occupants any room may hold.
    pub occupants_max: u32,
    /// The most messages of history any room may keep ready.
    pub history_max: u32,
    /// The most days any room may keep messages in its archive; 0: for ever.
    pub archive_days_max: u32,
    /// The most seconds a room may have people wait between two messages.
    pub slow_mode_max: u32,
}

/// Why a configuration cannot be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Objection {
    /// A value the field does not take.
    Takes {
        /// The field at fault.
        field: &'static str,
        /// What it takes.
        allowed: String,
    },
    /// The operator keeps this field to the service.
    Fixed {
        /// The field at fault.
        field: &'static str,
    },
}

/// All options, in the order of the form.
pub const ALL: &[RoomOption] = &[
    about::TITLE,
    about::DESCRIPTION,
    about::LANG,
    about::PUBSUB,
    entering::PERSISTENT,
    entering::PUBLIC,
    entering::MEMBERS_ONLY,
    speaking::MODERATED,
    speaking::MEMBER_BY_DEFAULT,
    entering::PASSWORD_PROTECTED,
    entering::SECRET,
    seeing::WHOIS,
    speaking::CHANGE_SUBJECT,
    entering::INVITES,
    speaking::PRIVATE_MESSAGES,
    entering::OCCUPANTS,
    entering::NICK_LOCK,
    keeping::HISTORY_LENGTH,
    keeping::HISTORY,
    keeping::LOGGING,
    keeping::ARCHIVING,
    keeping::ARCHIVE_DAYS,
    seeing::PRESENCE_OF,
    seeing::MEMBER_LIST_FOR,
    speaking::VISITOR_NICK_CHANGE,
    speaking::VISITOR_STATUS,
    speaking::VOICE_REQUESTS,
    speaking::SLOW_MODE,
    absent::FORWARD_MENTIONS,
    absent::NOTIFY_ABSENT,
    absent::SHOW_ABSENT,
];

/// What an option has that discovery tells nothing of.
const SILENT: RoomOption = RoomOption {
    key: "",
    field: "",
    label: "",
    look: Look::Text,
    show: |_, _| Vec::new(),
    take: |_, _| Ok(()),
    features: |_| &[],
    info: None,
};

/// The option an operator calls so; of two fields that show one thing the one that takes its value.
pub fn of_key(key: &str) -> Option<&'static RoomOption> {
    ALL.iter().rfind(|option| option.key == key)
}

/// The configuration that `form` makes of `before`: an unknown field is passed over, a missing one leaves its option as
/// it is, a value that cannot be makes nothing of the whole. Options whose keys are in `fixed` stay as they are.
pub fn read(form: &Submitted, before: &RoomConfig, bounds: &Bounds, fixed: &[&str]) -> Result<RoomConfig, Objection> {
    let is_fixed = |option: &RoomOption| fixed.contains(&option.key);
    let mut config = before.clone();
    for option in ALL {
        let asked = Asked::new(option, form, before, bounds);
        if is_fixed(option) && asked.values().is_some_and(|values| values == option.say(before, bounds)) {
            continue;
        }
        (option.take)(&asked, &mut config).map_err(|allowed| Objection::Takes { field: option.field, allowed })?;
    }
    let changed = |option: &&RoomOption| (option.show)(before, bounds) != (option.show)(&config, bounds);
    match ALL.iter().filter(|option| is_fixed(option)).find(changed) {
        Some(option) => Err(Objection::Fixed { field: option.field }),
        None => Ok(config),
    }
}

impl RoomOption {
    /// `form` with the option's field as `config` has it.
    #[must_use]
    pub fn write(&self, form: Form, config: &RoomConfig, bounds: &Bounds) -> Form {
        self.write_as(self.field, form, config, bounds)
    }

    /// `form` with the option's field as `config` has it, to be read only.
    #[must_use]
    pub fn write_fixed(&self, form: Form, config: &RoomConfig, bounds: &Bounds) -> Form {
        let words = self.say(config, bounds);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        form.field("fixed", self.field, &format!("{} (set by the service)", self.label), &words)
    }

    /// The form about a room with what everyone may know of the option, where there is anything.
    #[must_use]
    pub fn inform(&self, form: Form, config: &RoomConfig, bounds: &Bounds) -> Form {
        let is_known = (self.show)(config, bounds).iter().any(|value| !value.is_empty());
        match self.info {
            Some(var) if is_known => self.write_as(var, form, config, bounds),
            Some(_) | None => form,
        }
    }

    /// Its values as people read them.
    fn say(&self, config: &RoomConfig, bounds: &Bounds) -> Vec<String> {
        let label = |value: String| {
            let choice = self.look.choices().iter().find(|(choice, _)| *choice == value);
            choice.map_or(value.clone(), |(_, label)| (*label).to_owned())
        };
        (self.show)(config, bounds).into_iter().map(label).collect()
    }

    fn write_as(&self, var: &str, form: Form, config: &RoomConfig, bounds: &Bounds) -> Form {
        let values = (self.show)(config, bounds);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        match self.look {
            Look::Whole => form.whole_number(var, self.label, &values),
            Look::Most(max) => form.number_or_none(var, self.label, &round_numbers(max(bounds), &values), &values),
            Look::One(_) | Look::Any(_) => form.list(self.look.type_(), var, self.label, self.look.choices(), &values),
            Look::Text | Look::Private | Look::Switch => form.field(self.look.type_(), var, self.label, &values),
        }
    }
}

impl Look {
    fn type_(self) -> &'static str {
        match self {
            Look::Text | Look::Whole => "text-single",
            Look::Private => "text-private",
            Look::Switch => "boolean",
            Look::One(_) | Look::Most(_) => "list-single",
            Look::Any(_) => "list-multi",
        }
    }

    /// The values to choose from, with what people call them.
    fn choices(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Look::One(choices) | Look::Any(choices) => choices,
            Look::Switch => &[("1", "yes"), ("0", "no")],
            Look::Text | Look::Private | Look::Whole | Look::Most(_) => &[],
        }
    }
}

/// Numbers to choose from up to `max`, with the one that is set; `none` comes last.
fn round_numbers(max: u32, set: &[&str]) -> Vec<String> {
    const STEPS: [u32; 9] = [10, 20, 30, 50, 100, 200, 500, 1_000, 5_000];
    let set = set.iter().filter_map(|value| value.parse().ok());
    let numbers: BTreeSet<u32> = STEPS.into_iter().filter(|step| *step < max).chain([max]).chain(set).collect();
    numbers.iter().map(u32::to_string).chain(["none".to_owned()]).collect()
}

/// One value that is a text.
fn text(value: &str) -> Vec<String> {
    vec![value.to_owned()]
}

/// One value that is a number.
fn number(value: u32) -> Vec<String> {
    vec![value.to_string()]
}

/// One value that is yes or no.
fn switch(is: bool) -> Vec<String> {
    text(if is { "1" } else { "0" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { text_bytes_max: 100, occupants_max: 100, history_max: 100, archive_days_max: 100, slow_mode_max: 100 };

    #[test]
    fn what_an_option_shows_it_takes_back() {
        let config = RoomConfig::default();
        let mut form = Form::new(crate::protocol::form::FormType::Submit, crate::ns::MUC_ROOMCONFIG);
        for option in ALL {
            form = option.write(form, &config, &BOUNDS);
        }
        let form = Submitted::read(&form.into_element()).expect("a form");
        let taken = read(&form, &config, &BOUNDS, &[]).expect("what is shown is allowed");
        for option in ALL {
            assert_eq!((option.show)(&config, &BOUNDS), (option.show)(&taken, &BOUNDS), "{}", option.field);
        }
    }

    #[test]
    fn a_fixed_option_is_left_alone_or_refused() {
        let config = RoomConfig::default();
        let ask = |field: &str, value: &str| {
            let form = Form::new(crate::protocol::form::FormType::Submit, crate::ns::MUC_ROOMCONFIG);
            let form = form.field("text-single", field, "", &[value]).into_element();
            let form = Submitted::read(&form).expect("a form");
            read(&form, &config, &BOUNDS, &["public", "password"])
        };
        for same in ["1", "true", "yes"] {
            assert_eq!(ask("muc#roomconfig_publicroom", same), Ok(config.clone()), "{same}");
        }
        let refused = |field| Err(Objection::Fixed { field });
        assert_eq!(ask("muc#roomconfig_publicroom", "0"), refused("muc#roomconfig_publicroom"));
        assert_eq!(ask("muc#roomconfig_roomsecret", "x"), refused("muc#roomconfig_passwordprotectedroom"));
        assert!(ask("muc#roomconfig_membersonly", "1").is_ok_and(|config| config.is_members_only));
    }

    #[test]
    fn every_option_has_a_field_of_its_own() {
        let fields: BTreeSet<&str> = ALL.iter().map(|option| option.field).collect();
        assert_eq!(fields.len(), ALL.len());
        for option in ALL {
            assert!(!option.key.is_empty() && !option.label.is_empty(), "{}", option.field);
        }
    }
}
