//! Hats (XEP-0317 v0.3): names a room gives to users beside role and affiliation, seen in their presence. Owners make
//! them, admins hand them out, by ad-hoc commands; a hat is kept for the user, inside or not.

mod hand;
mod list;
mod make;
mod worn;

pub(super) use worn::Hats;

use super::command::RoomCommand;
use crate::muc::{Affiliation, Role};
use crate::ns;
use crate::protocol::command::{Command, Field, FieldKind, Stage};

/// The hat meant.
pub(super) const URI: &str = "hats#uri";
/// The hat meant, as v0.2 calls it.
pub(super) const OLD_URI: &str = "hat";
const TITLE: &str = "hats#title";
const HUE: &str = "hats#hue";
const WHO: &str = "hats#jid";
const OLD_WHO: &str = "accountjid";

const WHICH: Field = Field { var: URI, label: "Hat", kind: FieldKind::Choice, is_required: true };
const OLD_WHICH: Field = Field { var: OLD_URI, label: "Hat", kind: FieldKind::Choice, is_required: true };
const USER: Field = Field { var: WHO, label: "User", kind: FieldKind::Jid, is_required: true };
const OLD_USER: Field = Field { var: OLD_WHO, label: "User", kind: FieldKind::Jid, is_required: true };

const MAKING: &[Stage] = &[Stage {
    instructions: "Name the hat. A hat of the same URI is changed.",
    fields: &[
        Field { var: TITLE, label: "Title", kind: FieldKind::Text, is_required: true },
        Field { var: URI, label: "URI", kind: FieldKind::Text, is_required: true },
        Field { var: HUE, label: "Hue, an angle from 0 to 360", kind: FieldKind::Text, is_required: false },
    ],
}];
const DESTROYING: &[Stage] = &[Stage { instructions: "Choose the hat that nobody wears any more.", fields: &[WHICH] }];
const HANDING: &[Stage] = &[Stage { instructions: "Choose who wears which hat.", fields: &[USER, WHICH] }];
const OLD_HANDING: &[Stage] = &[Stage { instructions: "Choose who wears which hat.", fields: &[OLD_USER, OLD_WHICH] }];
const TAKING: &[Stage] = &[Stage { instructions: "Choose whose hat is taken off.", fields: &[USER, WHICH] }];
const OLD_TAKING: &[Stage] =
    &[Stage { instructions: "Choose whose hat is taken off.", fields: &[OLD_USER, OLD_WHICH] }];

const fn command(node: &'static str, name: &'static str, stages: &'static [Stage]) -> Command {
    Command { node, name, form_type: ns::HATS_COMMANDS, stages }
}

/// The commands about hats; those of v0.2 are understood under their names of then.
pub(super) static COMMANDS: &[RoomCommand] = &[
    RoomCommand {
        command: command("urn:xmpp:hats:commands:list", "List hats", &[]),
        is_listed: true,
        may: |_, actor| actor.affiliation >= Affiliation::Member || actor.role > Role::None,
        run: |room, _, _, _| Ok(list::hats(room)),
    },
    RoomCommand {
        command: command("urn:xmpp:hats:commands:list-assigned", "List who wears hats", &[]),
        is_listed: true,
        may: |_, actor| actor.affiliation >= Affiliation::Admin,
        run: |room, _, _, _| Ok(list::wearers(room)),
    },
    RoomCommand {
        command: command("urn:xmpp:hats:commands:create", "Make a hat", MAKING),
        is_listed: true,
        may: |_, actor| actor.affiliation == Affiliation::Owner,
        run: make::make,
    },
    RoomCommand {
        command: command("urn:xmpp:hats:commands:destroy", "Destroy a hat", DESTROYING),
        is_listed: true,
        may: |_, actor| actor.affiliation == Affiliation::Owner,
        run: |room, _, values, turn| Ok(make::destroy(room, values, turn)),
    },
    RoomCommand {
        command: command("urn:xmpp:hats:commands:assign", "Put a hat on somebody", HANDING),
        is_listed: true,
        may: |_, actor| actor.affiliation >= Affiliation::Admin,
        run: hand::put_on,
    },
    RoomCommand {
        command: command("urn:xmpp:hats:commands:unassign", "Take a hat off somebody", TAKING),
        is_listed: true,
        may: |_, actor| actor.affiliation >= Affiliation::Admin,
        run: hand::take_off,
    },
    RoomCommand {
        command: command("urn:xmpp:hats:commands:don", "Put a hat on somebody", OLD_HANDING),
        is_listed: false,
        may: |_, actor| actor.affiliation >= Affiliation::Admin,
        run: hand::put_on,
    },
    RoomCommand {
        command: command("urn:xmpp:hats:commands:doff", "Take a hat off somebody", OLD_TAKING),
        is_listed: false,
        may: |_, actor| actor.affiliation >= Affiliation::Admin,
        run: hand::take_off,
    },
];
