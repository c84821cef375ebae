//! The scenarios: what a room does, told as the examples of XEP-0045 v1.35 tell it and played on the real
//! engine. One folder per section, one script per rule; `README.md` beside this file tells the language.
//!
//! `hostile` throws seeded nonsense at rooms and holds them to their promises.

mod cast;
mod hostile;
mod promises;
mod script;
mod stage;
mod tree;

use std::path::{Path, PathBuf};

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Plays every script of a folder and reports each by name; the ones that fail with their reasons.
fn play_section(folder: &str) {
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(home().join(folder))
        .unwrap_or_else(|why| panic!("{folder}: {why}"))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "muc"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "{folder} has no scripts");
    let mut failures = Vec::new();
    for path in &scripts {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let verdict = stage::play(path);
        eprintln!("{folder}/{name} ... {}", if verdict.is_ok() { "ok" } else { "FAILED" });
        failures.extend(verdict.err());
    }
    assert!(
        failures.is_empty(),
        "{} of {} scripts failed\n\n{}\n",
        failures.len(),
        scripts.len(),
        failures.join("\n\n")
    );
}

macro_rules! sections {
    ($($test:ident $folder:literal)*) => {
        const SECTIONS: &[&str] = &[$($folder),*];
        $(#[test]
        fn $test() {
            play_section($folder);
        })*
    };
}

sections! {
    s06_4_room_information "06.4-room-information"
    s06_5_room_items "06.5-room-items"
    s06_6_querying_an_occupant "06.6-querying-an-occupant"
    s07_01_order_of_events "07.01-order-of-events"
    s07_02_entering "07.02-entering"
    s07_04_speaking "07.04-speaking"
    s07_05_private_message "07.05-private-message"
    s07_06_nick "07.06-nick"
    s07_07_presence "07.07-presence"
    s07_08_inviting "07.08-inviting"
    s07_10_registering "07.10-registering"
    s07_12_reserved_nick "07.12-reserved-nick"
    s07_13_requesting_voice "07.13-requesting-voice"
    s07_14_exiting "07.14-exiting"
    s08_1_subject "08.1-subject"
    s08_2_kick "08.2-kick"
    s08_3_grant_voice "08.3-grant-voice"
    s08_4_revoke_voice "08.4-revoke-voice"
    s08_5_voice_list "08.5-voice-list"
    s08_6_approving_voice "08.6-approving-voice"
    s09_1_ban "09.1-ban"
    s09_2_ban_list "09.2-ban-list"
    s09_3_grant_membership "09.3-grant-membership"
    s09_4_revoke_membership "09.4-revoke-membership"
    s09_5_member_list "09.5-member-list"
    s09_6_grant_moderator "09.6-grant-moderator"
    s09_7_revoke_moderator "09.7-revoke-moderator"
    s09_8_moderator_list "09.8-moderator-list"
    s10_01_creating "10.01-creating"
    s10_02_configuring "10.02-configuring"
    s10_03_grant_owner "10.03-grant-owner"
    s10_04_revoke_owner "10.04-revoke-owner"
    s10_05_owner_list "10.05-owner-list"
    s10_06_grant_admin "10.06-grant-admin"
    s10_07_revoke_admin "10.07-revoke-admin"
    s10_08_admin_list "10.08-admin-list"
    s10_09_destroying "10.09-destroying"
    s18_errors "18-errors"
    absent_members "absent-members"
    cisco_jabber "cisco-jabber"
    xep_0050_commands "xep-0050-commands"
    xep_0092_version "xep-0092-version"
    xep_0199_ping "xep-0199-ping"
    xep_0313_archive "xep-0313-archive"
    xep_0317_hats "xep-0317-hats"
    xep_0410_self_ping "xep-0410-self-ping"
    xep_0421_occupant_id "xep-0421-occupant-id"
    xep_0424_retraction "xep-0424-retraction"
    xep_0425_moderation "xep-0425-moderation"
    xep_0452_mentions "xep-0452-mentions"
    xep_0463_affiliation_versions "xep-0463-affiliation-versions"
    xep_0486_room_avatar "xep-0486-room-avatar"
    xep_0500_slow_mode "xep-0500-slow-mode"
    xep_0502_activity "xep-0502-activity"
}

#[test]
fn every_folder_is_played() {
    let mut folders: Vec<String> = std::fs::read_dir(home())
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry"))
        .filter(|entry| entry.path().is_dir() && entry.file_name() != "hostile")
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    assert_eq!(folders, SECTIONS, "scenarios/main.rs lists the folders in order");
}
