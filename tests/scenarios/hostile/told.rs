//! What a room tells of itself, held against how it is configured: discovery says neither more nor less, and the owners'
//! form, sent back as it is shown, changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use tandem_muc_core::muc::{Affiliation, Whois};
use tandem_muc_core::name::Jid;
use tandem_muc_core::ns;
use tandem_muc_core::record::RoomImage;
use tandem_muc_core::room::Input;

use crate::stage::{Stage, inbound};
use crate::tree::{self, Branch, Tree};

/// Of a feature that is announced in one of two ways, or not at all.
const NEITHER: &str = "";

/// Discovery of an open room is its configuration.
pub(super) fn discovery_is_the_configuration(stage: &mut Stage) -> Result<(), String> {
    if !is_open(stage) {
        return Ok(());
    }
    let query = ask(stage, "stranger@elsewhere.net/1", "<iq type='get' id='d' to='hall'><query xmlns='#info'/></iq>")?;
    if !is_open(stage) {
        return Ok(());
    }
    let query = query.trees().next().ok_or("disco has no query")?;
    let image = stage.room.image();
    let wrong = features_wrong(query, &image).or_else(|| form_wrong(query, &image));
    wrong.map_or(Ok(()), |wrong| Err(format!("disco: {wrong}\n  of {:?}", image.config)))
}

fn features_wrong(query: &Tree, image: &RoomImage) -> Option<String> {
    let features: BTreeSet<&str> = query.trees().filter_map(|child| child.attr("var")).collect();
    let config = &image.config;
    let table = [
        (config.is_public, "muc_public", "muc_hidden"),
        (config.is_members_only, "muc_membersonly", "muc_open"),
        (config.is_moderated, "muc_moderated", "muc_unmoderated"),
        (config.whois == Whois::Anyone, "muc_nonanonymous", "muc_semianonymous"),
        (config.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
        (config.is_persistent, "muc_persistent", "muc_temporary"),
        (config.may_visitors_request_voice, ns::MUC_REQUEST, NEITHER),
        (config.is_archived, ns::MAM, NEITHER),
        (config.is_archived, ns::MAM_EXTENDED, NEITHER),
        (config.is_archived, ns::FULLTEXT, NEITHER),
        (config.is_archived, ns::RETRACT, NEITHER),
    ];
    let is_wrong = |(is, yes, no): &(bool, &str, &str)| features.contains(yes) != *is || features.contains(no) == *is;
    let is_wrong = |row: &(bool, &str, &str)| {
        if row.2 == NEITHER { features.contains(row.1) != row.0 } else { is_wrong(row) }
    };
    table.iter().find(|row| is_wrong(row)).map(|(is, yes, no)| format!("{yes} is {is}, else {no:?}: {features:?}"))
}

fn form_wrong(query: &Tree, image: &RoomImage) -> Option<String> {
    let form = query.trees().find(|child| child.ns == ns::DATA)?;
    let told: BTreeMap<&str, Vec<String>> = fields(form).into_iter().map(|field| (field.var, field.values)).collect();
    let config = &image.config;
    let nicks: BTreeSet<&str> = image.occupants.iter().map(|session| session.nick.key()).collect();
    let subject = image.subject.as_ref().and_then(|message| message.body.clone()).unwrap_or_default();
    let owners = image.affiliations.iter().filter(|entry| entry.affiliation == Affiliation::Owner);
    let owners: Vec<String> = owners.map(|entry| entry.who.to_string()).collect();
    let bit = |is| Some(vec![if is { "1" } else { "0" }.to_owned()]);
    let some = |text: &str| Some(vec![text.to_owned()]);
    let wanted = [
        ("muc#roomconfig_roomname", some(&config.title)),
        ("muc#roominfo_description", some(&config.description)),
        ("muc#roominfo_subject", some(&subject)),
        ("muc#roominfo_subjectmod", bit(config.may_participants_change_subject)),
        ("muc#roominfo_occupants", some(&nicks.len().to_string())),
        ("muc#maxhistoryfetch", some(&config.history_max.to_string())),
        ("muc#roominfo_slow_mode_duration", some(&config.slow_mode_seconds.to_string())),
        ("muc#roominfo_lang", some(&config.lang).filter(|_| !config.lang.is_empty())),
        ("muc#roominfo_contactjid", (config.whois == Whois::Anyone).then_some(owners)),
    ];
    // What is empty need not be told.
    let nothing = vec![String::new()];
    let is_wrong = |(var, wanted): &(&str, Option<Vec<String>>)| {
        told.get(var).unwrap_or(&nothing) != wanted.as_ref().unwrap_or(&nothing)
    };
    wanted.into_iter().find(is_wrong).map(|(var, wanted)| format!("{var} is {:?}, not {wanted:?}", told.get(var)))
}

/// The form as it is shown is taken back, and then nothing has happened.
pub(super) fn the_form_is_the_configuration(stage: &mut Stage) -> Result<(), String> {
    if !is_open(stage) {
        return Ok(());
    }
    let shown = form(stage)?;
    if !is_open(stage) {
        return Ok(());
    }
    let before = stage.room.image();
    if before.occupants.is_empty() && !before.config.is_persistent {
        // It ends once it is configured with nobody inside.
        return Ok(());
    }
    let mut fields = String::new();
    for field in fields_of(&shown)? {
        let values: Vec<String> =
            field.values.iter().map(|value| format!("<value>{}</value>", tree::escaped(value))).collect();
        let _ = write!(fields, "<field var='{}'>{}</field>", field.var, values.concat());
    }
    let submit = format!(
        "<iq type='set' id='f' to='hall'><query xmlns='#owner'><x xmlns='#data' type='submit'>{fields}</x></query></iq>"
    );
    let answer = ask(stage, "sven@example.org/form", &submit)?;
    let after = stage.room.image();
    if answer.attr("type") == Some("result") && before == after {
        return Ok(());
    }
    Err(format!("the form sent back is answered {answer:?}\n  {:?}\n  {:?}", before.config, after.config))
}

/// A field as a form has it.
pub(super) struct Field<'a> {
    pub(super) var: &'a str,
    pub(super) type_: &'a str,
    pub(super) values: Vec<String>,
    pub(super) options: Vec<String>,
}

/// The owners' form as it stands.
pub(super) fn form(stage: &mut Stage) -> Result<Tree, String> {
    ask(stage, "sven@example.org/form", "<iq type='get' id='f' to='hall'><query xmlns='#owner'/></iq>")
}

/// What the answer to a request for a form holds.
pub(super) fn fields_of(answer: &Tree) -> Result<Vec<Field<'_>>, String> {
    let form = answer.trees().next().and_then(|query| query.trees().find(|child| child.ns == ns::DATA));
    Ok(fields(form.ok_or_else(|| format!("there is no form in {answer:?}"))?))
}

fn fields(form: &Tree) -> Vec<Field<'_>> {
    let texts = |tree: &Tree| -> String {
        let texts = tree.children.iter().filter_map(|child| match child {
            Branch::Text(text) => Some(text.as_str()),
            Branch::Tree(_) | Branch::More => None,
        });
        texts.collect()
    };
    let named = |tree: &Tree, name: &str| -> Vec<String> {
        tree.trees().filter(|child| child.name == name).map(texts).collect()
    };
    let field =
        |tree: &'_ Tree| (named(tree, "value"), tree.trees().flat_map(|option| named(option, "value")).collect());
    form.trees()
        .filter(|child| child.name == "field")
        .filter_map(|tree| {
            let (values, options) = field(tree);
            Some(Field { var: tree.attr("var")?, type_: tree.attr("type").unwrap_or("text-single"), values, options })
        })
        .collect()
}

/// What `who` is answered.
fn ask(stage: &mut Stage, who: &str, text: &str) -> Result<Tree, String> {
    let who = Jid::parse(who).map_err(|why| why.to_string())?;
    let asked = inbound(&who, &tree::read(text)?)?;
    stage.hand_in(Input::Stanza(&asked))?;
    let mut heard: Vec<(Jid, Tree)> = stage.drain().collect();
    match (heard.pop(), heard.first()) {
        (Some((hearer, answer)), None) if hearer == who => Ok(answer),
        (last, first) => Err(format!("one answer to {text}, not {first:?} and {last:?}")),
    }
}

fn is_open(stage: &Stage) -> bool {
    let image = stage.room.image();
    !stage.room.is_vacant() && !image.is_locked && image.tombstone.is_none()
}
