//! The way through a command: stages there and back, sessions of one user and for a time.

use super::*;
use crate::stanza::element::parse;

const MOVE: Command = Command {
    node: "urn:example:move",
    name: "Move",
    form_type: "urn:example",
    stages: &[
        Stage {
            instructions: "Who?",
            fields: &[Field { var: "who", label: "Who", kind: FieldKind::Jid, is_required: true }],
        },
        Stage {
            instructions: "Where to?",
            fields: &[
                Field { var: "where", label: "Where", kind: FieldKind::Choice, is_required: true },
                Field { var: "why", label: "Why", kind: FieldKind::Text, is_required: false },
            ],
        },
    ],
};

fn seal(text: &str) -> String {
    format!("sealed {}", text.replace('\n', "|"))
}

fn choices(_: &str) -> Vec<(String, String)> {
    vec![("attic".into(), "Up".into()), ("cellar".into(), "Down".into())]
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("a JID")
}

fn request(session: Option<&str>, action: &str, fields: &[(&str, &str)]) -> Request {
    let session = session.map(|session| format!("sessionid='{session}'")).unwrap_or_default();
    let fields: String =
        fields.iter().map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>")).collect();
    let form =
        if fields.is_empty() { String::new() } else { format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>") };
    let xml = format!(
        "<command xmlns='http://jabber.org/protocol/commands' node='urn:example:move' {session} action='{action}'>{form}</command>"
    );
    Request::read(&parse(&xml).expect("an element")).expect("a request")
}

fn advance(request: &Request, at: i64) -> Result<Step, Fault> {
    MOVE.advance(request, &jid("olga@x/1"), Utc(at), &seal, &choices)
}

fn session_at(stage: usize) -> String {
    let form = MOVE.ask(stage, &Values::new(), &jid("olga@x/1"), Utc(0), &seal, &choices);
    form.attr("sessionid").expect("a session").to_owned()
}

#[test]
fn a_command_goes_from_form_to_form_and_back() {
    assert_eq!(advance(&request(None, "execute", &[]), 0), Ok(Step::Ask(0, Values::new())));
    let who = Values::from([("who", "nils@x".to_owned())]);
    let (first, second) = (session_at(0), session_at(1));
    assert_eq!(advance(&request(Some(&first), "", &[("who", " nils@x ")]), 1), Ok(Step::Ask(1, who.clone())));
    assert_eq!(advance(&request(Some(&first), "next", &[("who", "nils@x")]), 1), Ok(Step::Ask(1, who.clone())));
    let form = MOVE.ask(1, &who, &jid("olga@x/1"), Utc(0), &seal, &choices);
    let xml = String::from(&form);
    assert!(
        xml.contains("<prev") && xml.contains("hidden") && xml.contains("nils@x") && xml.contains("attic"),
        "{xml}"
    );
    assert_eq!(advance(&request(Some(&second), "prev", &[("who", "nils@x")]), 1), Ok(Step::Ask(0, who)));
    let all = [("who", "nils@x"), ("where", "attic")];
    let run = Step::Run(all.iter().map(|(var, value)| (*var, (*value).to_owned())).collect());
    assert_eq!(advance(&request(Some(&second), "", &all), 1), Ok(run.clone()));
    assert_eq!(advance(&request(Some(&second), "complete", &all), 1), Ok(run));
    assert_eq!(advance(&request(Some(&second), "cancel", &[]), 1), Ok(Step::Cancel));
}

#[test]
fn an_action_is_refused_where_it_is_not_offered() {
    let (first, second) = (session_at(0), session_at(1));
    for (session, action) in
        [(Some(&first), "prev"), (Some(&first), "complete"), (Some(&second), "next"), (None, "prev")]
    {
        let asked = request(session.map(String::as_str), action, &[("who", "nils@x")]);
        assert_eq!(advance(&asked, 1), Err(Fault::BadAction), "{action}");
    }
    assert_eq!(advance(&request(None, "cancel", &[]), 1), Err(Fault::BadSession));
}

#[test]
fn what_cannot_be_is_refused_at_every_stage() {
    let (first, second) = (session_at(0), session_at(1));
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    for (session, fields) in [
        (&first, vec![]),
        (&first, vec![("why", "x")]),
        (&first, vec![("who", "@")]),
        (&second, vec![("where", "attic")]),
        (&second, vec![("who", "@"), ("where", "attic")]),
        (&second, vec![("who", "nils@x"), ("where", "roof")]),
        (&second, vec![("who", "nils@x"), ("where", "attic"), ("why", &long)]),
    ] {
        let answer = advance(&request(Some(session), "", &fields), 1);
        assert!(matches!(answer, Err(Fault::BadPayload(_))), "{fields:?}: {answer:?}");
    }
}

#[test]
fn a_session_is_one_users_for_one_command_and_for_a_time() {
    let session = session_at(0);
    let asked = request(Some(&session), "", &[("who", "nils@x")]);
    assert_eq!(advance(&asked, 3_600_000), Err(Fault::SessionExpired));
    let by_other = MOVE.advance(&asked, &jid("olga@x/2"), Utc(1), &seal, &choices);
    assert_eq!(by_other, Err(Fault::BadSession));
    let with_other_seal = MOVE.advance(&asked, &jid("olga@x/1"), Utc(1), &|text| text.to_owned(), &choices);
    assert_eq!(with_other_seal, Err(Fault::BadSession));
    for forged in ["", "x", "0", "0.1", "1.99999999999.", "-1.5.x", &session.replacen('0', "1", 1)] {
        let asked = Request { session: Some(forged.to_owned()), ..asked.clone() };
        assert_eq!(advance(&asked, 1), Err(Fault::BadSession), "{forged}");
    }
}
