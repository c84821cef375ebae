//! The scenarios: what a room does, told as the examples of XEP-0045 v1.35 tell it and played on the real
//! engine. One folder per section, one script per rule; `README.md` beside this file tells the language.
//!
//! `hostile` throws seeded nonsense at rooms and holds them to their promises.

mod cast;
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
    s08_2_kick "08.2-kick"
}

#[test]
fn every_folder_is_played() {
    let mut folders: Vec<String> = std::fs::read_dir(home())
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    assert_eq!(folders, SECTIONS, "scenarios/main.rs lists the folders in order");
}
