//! The file's rules: unknown keys, the environment, secrets, sane values.

use std::path::Path;

use secrecy::ExposeSecret;

use super::value::expand;
use super::*;

const LEAST: &str = "[[service]]\ndomain = \"conference.example.org\"\nsecret = \"s\"\n";

fn refusal(text: &str) -> String {
    Config::parse(Path::new("/etc/component.toml"), text).expect_err("refused").to_string()
}

#[test]
fn the_least_file_is_enough() {
    let config = Config::parse(Path::new("x.toml"), LEAST).expect("a configuration");
    assert_eq!(config.node.name, "a");
    assert_eq!(config.services[0].server, ["127.0.0.1:5347"]);
    assert_eq!(config.services[0].secret().expect("a secret").expose_secret(), "s");
}

#[test]
fn an_unknown_key_is_refused_with_line_and_nearest_key() {
    let told = refusal(&format!("{LEAST}domian = \"x\"\n"));
    assert_eq!(told, "config: unknown key \"domian\"; the nearest known one here is \"domain\" (component.toml:4)");
    let told = refusal(&format!("[sotre]\nurl = \"sqlite:x\"\n{LEAST}"));
    assert!(told.contains("nearest known one here is \"store\" (component.toml:1)"), "{told}");
}

#[test]
fn a_bad_value_is_refused_with_line_and_what_is_allowed() {
    let told = refusal(&format!("{LEAST}creation = \"nobody\"\n"));
    assert_eq!(told, "config: \"nobody\": allowed are anyone, local, admins (component.toml:4)");
    let told = refusal(&format!("[store]\nanswer_ms = 5\n{LEAST}"));
    assert_eq!(told, "config: answer_ms = 5 is less than 100 (component.toml:2)");
    let told = refusal(&format!("[store]\nheld_seconds = 0\n{LEAST}"));
    assert_eq!(told, "config: held_seconds = 0 is less than 1 (component.toml:2)");
    let told = refusal("[node]\nname = \"a\"\n");
    assert!(told.contains("no [[service]]"), "{told}");
    let told = refusal(&format!("{LEAST}{LEAST}"));
    assert!(told.contains("stands in two"), "{told}");
    let told = refusal(&format!("{LEAST}blocked = [\"evil.example\", \"*\"]\n"));
    assert_eq!(told, "config: blocked: \"*\" would keep everybody out (component.toml:4)");
    let told = refusal(&format!("{LEAST}server = [\"localhost\"]\n"));
    assert!(told.contains("host:port (component.toml:4)"), "{told}");
    let told = refusal(&format!("{LEAST}relay = [\"a:1\", \"b:1\", \"a:1\"]\n"));
    assert!(told.contains("relay names \"a:1\" twice (component.toml:4)"), "{told}");
    let many: Vec<String> = (1..=9).map(|nth| format!("\"a:{nth}\"")).collect();
    let told = refusal(&format!("{LEAST}relay = [{}]\n", many.join(", ")));
    assert!(told.contains("relay names 9 relays, more than 8"), "{told}");
}

#[test]
fn values_come_from_the_environment() {
    let lookup = |name: &str| (name == "HOST").then(|| "db".to_owned());
    assert_eq!(expand("postgres://${HOST}/x$$y", lookup), Ok("postgres://db/x$y".to_owned()));
    assert_eq!(expand("${NO}", lookup), Err("environment variable NO is not set".to_owned()));
    let told = refusal(&format!("[store]\nanswer_ms = \"${{TANDEM_MUC_NOT_SET}}\"\n{LEAST}"));
    assert!(told.contains("environment variable TANDEM_MUC_NOT_SET is not set (component.toml:2)"), "{told}");
}

#[test]
fn a_secret_comes_from_its_file_and_is_never_printed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("secret");
    std::fs::write(&path, "hush\n").expect("written");
    let text = format!("[[service]]\ndomain = \"c.x\"\nsecret_file = {path:?}\n");
    let config = Config::parse(Path::new("x.toml"), &text).expect("a configuration");
    let secret = config.services[0].secret().expect("a secret");
    assert_eq!(secret.expose_secret(), "hush");
    assert!(!format!("{secret:?}").contains("hush"));
}

#[test]
fn the_vcard_of_a_service_is_made_of_its_identity() {
    let dir = tempfile::tempdir().expect("a directory");
    let (gif, text) = (dir.path().join("rooms.gif"), dir.path().join("rooms.txt"));
    std::fs::write(&gif, b"GIF89a, more or less").expect("written");
    std::fs::write(&text, b"hello").expect("written");
    let with = |avatar: &Path, more: &str| {
        format!("{LEAST}[service.identity]\nname = \"Rooms & more\"\navatar = {avatar:?}\n[service.limits]\n{more}\n")
    };
    let rules = Config::parse(Path::new("x.toml"), &with(&gif, "")).expect("a configuration").services[0].rules();
    let card = rules.identity.vcard_xml.expect("a card");
    assert_eq!(&*rules.identity.name, "Rooms & more");
    assert!(card.contains("<FN>Rooms &amp; more</FN>") && card.contains("<TYPE>image/gif</TYPE>"), "{card}");
    let told = refusal(&with(&text, ""));
    assert!(told.contains("neither a PNG, JPEG, GIF, WebP nor SVG image (component.toml:6)"), "{told}");
    let told = refusal(&with(&dir.path().join("none.png"), ""));
    assert!(told.contains("the picture cannot be read") && told.contains("(component.toml:6)"), "{told}");
    let told = refusal(&with(&gif, "vcard_bytes = 100"));
    assert!(told.contains("take a smaller picture (component.toml:6)"), "{told}");
    let told = refusal(&with(&gif, "vcard_bytes = 300000"));
    assert!(told.contains("no such vCard would ever come in (component.toml:8)"), "{told}");
    let plain = Config::parse(Path::new("x.toml"), LEAST).expect("a configuration").services[0].rules();
    assert_eq!((plain.identity.vcard_xml, &*plain.identity.name), (None, "Chat Rooms"));
}

#[test]
fn contacts_are_uris_and_a_profile_holds_rooms_to_what_its_clients_can() {
    let parse = |more: &str| Config::parse(Path::new("x.toml"), &format!("{LEAST}{more}"));
    let config = parse("[service.contact]\nabuse = [\"mailto:a@x\", \"xmpp:b@x\"]\nadmin = \"xmpp:c@x\"\n");
    let contacts = config.expect("a configuration").services[0].rules().identity.contacts;
    let wanted = [("abuse-addresses", vec!["mailto:a@x", "xmpp:b@x"]), ("admin-addresses", vec!["xmpp:c@x"])];
    assert_eq!(contacts.len(), 2);
    for ((field, uris), (wanted_field, wanted_uris)) in contacts.iter().zip(wanted) {
        assert_eq!((*field, uris.iter().map(String::as_str).collect::<Vec<_>>()), (wanted_field, wanted_uris));
    }
    let told = refusal(&format!("{LEAST}[service.contact]\nabuse = [\"somebody\"]\n"));
    assert!(told.contains("not a URI") && told.contains("(component.toml:5)"), "{told}");
    let cisco = parse("profile = \"cisco\"\n").expect("a configuration").services[0].rules();
    assert_eq!((cisco.identity.is_cisco, cisco.fixed, cisco.nick_chars_max), (true, vec!["whois"], 1_023));
    let told = refusal(&format!("{LEAST}profile = \"cisco\"\n[service.defaults]\nwhois = \"moderators\"\n"));
    assert!(told.contains("Cisco Jabber") && told.contains("(component.toml:6)"), "{told}");
    let told = refusal(&format!("{LEAST}profile = \"pidgin\"\n"));
    assert!(told.contains("allowed are standard, cisco"), "{told}");
}
