//! What of an entry is kept beside its records until a mark proves it heard: all its words but the archived messages,
//! which the archive has. Whoever comes after a crash says it again, word for word; so what asked for it is handled
//! once its records are durable, and a relay need not bring it again.

use std::collections::BTreeMap;

use tandem_muc_core::ns;
use tandem_muc_core::record::{Message, Record, RoomId, Seq};
use tandem_muc_core::stanza::element::el;
use tandem_muc_core::stanza::{Inbound, Kind, Outbound, Type};

use super::{Entry, Life};
use crate::store::Echo;
use crate::stream::Ticket;

/// The most that is kept of one entry: the leave of one among some thousands. Of more nothing is kept: a relay brings
/// the cause again, without one it may be unheard.
const ENTRY_BYTES_MAX: usize = 256 * 1024;
/// The most that is kept of one group.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the journal writes for one entry beside its facts.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// How many records it has.
    pub(super) records: usize,
    /// What is handled once the records are durable.
    pub(super) ticket: Option<Ticket>,
    pub(super) echoes: Vec<Echo>,
}

/// The parts of a group, an entry each.
pub(super) fn parts(group: &[Entry]) -> Vec<Part> {
    let mut group_so_far = SoFar::default();
    group.iter().map(|entry| group_so_far.part(entry)).collect()
}

/// What of the group was looked at.
#[derive(Default)]
struct SoFar {
    last: BTreeMap<RoomId, Seq>,
    bytes: usize,
}

impl SoFar {
    fn part(&mut self, entry: &Entry) -> Part {
        let Entry::Said { life, records, words, asked, ticket } = entry else { return Part::default() };
        if records.is_empty() {
            return Part::default();
        }
        let archived = records.iter().filter_map(archived).map(|message| message.seq).max();
        if let Some(last) = archived {
            self.last.insert(life.room, last);
        }
        let echoes = self.echoes(life, records, words, asked.as_deref());
        Part { records: records.len(), ticket: ticket.filter(|_| echoes.is_some()), echoes: echoes.unwrap_or_default() }
    }

    /// Nothing where it is too much.
    fn echoes(
        &mut self,
        life: &Life,
        records: &[Record],
        words: &[Outbound],
        asked: Option<&Inbound>,
    ) -> Option<Vec<Echo>> {
        let after = self.last.get(&life.room).copied().unwrap_or_default();
        let newcomer = asked.filter(|asked| has_entered(records, asked));
        let (mut echoes, mut bytes) = (Vec::new(), 0);
        for word in words {
            let is_own = |asked: &Inbound| word.to.as_slice() == std::slice::from_ref(&asked.stanza.from);
            if newcomer.is_some_and(is_own) || is_archived(word, records) {
                continue;
            }
            let echo = Echo::of_word(life.jid.clone(), after, word);
            bytes += echo.bytes();
            if bytes > ENTRY_BYTES_MAX || self.bytes + bytes > GROUP_BYTES_MAX {
                return None;
            }
            echoes.push(echo);
        }
        echoes.extend(newcomer.map(|asked| Echo::of_entry(life.jid.clone(), after, &entry_of(asked))));
        self.bytes += bytes;
        Some(echoes)
    }
}

/// Whether who asked has come in by it. What it hears is told anew rather than kept: most of it is what the database
/// has anyway. Whoever made the room hears little.
fn has_entered(records: &[Record], asked: &Inbound) -> bool {
    let is_new = |record: &Record| matches!(record, Record::Created(_));
    let comes = |record: &Record| matches!(record, Record::Entered(entry) if entry.who == asked.stanza.from);
    records.iter().any(comes) && !records.iter().any(is_new)
}

/// As much of it as says what is wanted: no password, no presence.
fn entry_of(asked: &Inbound) -> Inbound {
    let mut x = el("x", ns::MUC);
    let wanted = asked.stanza.child("x", ns::MUC).and_then(|x| x.get_child("history", ns::MUC));
    if let Some(wanted) = wanted {
        x.append_child(wanted.clone());
    }
    let mut entry = asked.clone();
    entry.stanza.payload = vec![x];
    entry
}

fn archived(record: &Record) -> Option<&Message> {
    let Record::Spoken(message) = record else { return None };
    message.is_archived.then_some(message)
}

/// Whether the word is one of the messages the archive has.
fn is_archived(word: &Outbound, records: &[Record]) -> bool {
    let stanza = &word.stanza;
    if stanza.kind != Kind::Message || stanza.type_ != Type::Groupchat {
        return false;
    }
    let is_it = |id: &str| records.iter().filter_map(archived).any(|message| message.archive_id == id);
    let ids = stanza.payload.iter().filter(|child| child.is("stanza-id", ns::SID));
    ids.filter_map(|child| child.attr("id")).any(is_it)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tandem_muc_core::name::{BareJid, Jid, Nick};
    use tandem_muc_core::record::{Leaving, MessageKind};
    use tandem_muc_core::stanza::element::Build;
    use tandem_muc_core::stanza::{Audience, Stanza};
    use tandem_muc_core::time::Utc;

    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("a JID")
    }

    fn entry(records: Vec<Record>, words: Vec<Outbound>, asked: Option<&str>) -> Entry {
        let life =
            Life { room: RoomId(1), jid: BareJid::parse("hall@muc.example.org").expect("a JID"), nth: 1, shard: 0 };
        let asked = asked.map(|xml| Arc::new(Inbound::from_xml(xml).expect("a stanza")));
        Entry::Said { life, records, words, asked, ticket: None }
    }

    fn word(kind: Kind, type_: Type, to: &[&str]) -> Outbound {
        let to: Vec<Jid> = to.iter().map(|to| jid(to)).collect();
        Outbound { stanza: Stanza::new(kind, type_, jid("hall@muc.example.org/Nils")), to: Audience::Many(to.into()) }
    }

    fn spoken(seq: i64, is_archived: bool) -> (Record, Outbound) {
        let message = Message {
            seq: Seq(seq),
            archive_id: format!("id{seq}"),
            at: Utc(0),
            kind: MessageKind::Speech,
            sender: jid("nils@example.org/1"),
            nick: None,
            origin_id: None,
            body: None,
            stanza_xml: "<message/>".into(),
            is_archived,
        };
        let id = el("stanza-id", ns::SID).with_attr("id", format!("id{seq}"));
        let mut said = word(Kind::Message, Type::Groupchat, &["mia@example.org/1", "nils@example.org/1"]);
        said.stanza.payload.push(id);
        (Record::Spoken(Arc::new(message)), said)
    }

    fn left() -> (Record, Outbound) {
        let nick = Nick::parse("Nils").expect("a nick");
        let record = Record::Left { who: jid("nils@example.org/1"), nick, why: Leaving::Exit };
        (record, word(Kind::Presence, Type::Unavailable, &["mia@example.org/1"]))
    }

    #[test]
    fn what_the_archive_has_is_not_kept_twice_and_what_it_has_not_is() {
        let (archived, others) = (spoken(7, true), spoken(8, false));
        let (leaving, gone) = left();
        let group = [
            entry(vec![archived.0], vec![archived.1], None),
            entry(vec![others.0], vec![others.1], None),
            entry(vec![leaving], vec![gone], None),
            entry(Vec::new(), vec![word(Kind::Iq, Type::Result, &["mia@example.org/1"])], None),
        ];
        let parts = parts(&group);
        assert_eq!(parts.iter().map(|part| part.echoes.len()).collect::<Vec<_>>(), [0, 1, 1, 0]);
        assert_eq!(parts[2].echoes[0].after, Seq(7));
        assert_eq!(parts.iter().map(|part| part.records).collect::<Vec<_>>(), [1, 1, 1, 0]);
    }

    #[test]
    fn of_who_enters_the_others_words_are_kept_and_the_cause_without_its_password() {
        let record = Record::Entered(Box::new(tandem_muc_core::record::OccupantEntry {
            who: jid("nils@example.org/1"),
            nick: Nick::parse("Nils").expect("a nick"),
            role: tandem_muc_core::muc::Role::Participant,
            presence_xml: "".into(),
            at: Utc(0),
        }));
        let words = vec![
            word(Kind::Presence, Type::None, &["mia@example.org/1"]),
            word(Kind::Presence, Type::None, &["nils@example.org/1"]),
        ];
        let asked = "<presence from='nils@example.org/1' to='hall@muc.example.org/Nils'><x xmlns='http://jabber.org/protocol/muc'><password>secret</password><history maxstanzas='3'/></x><show>away</show></presence>";
        let parts = parts(&[entry(vec![record], words, Some(asked))]);
        let [others, own] = &parts[0].echoes[..] else { panic!("{parts:?}") };
        assert!(format!("{others:?}").contains("mia@") && !format!("{others:?}").contains("nils@"));
        let own = format!("{own:?}");
        assert!(own.contains("maxstanzas") && !own.contains("secret") && !own.contains("away"), "{own}");
    }

    #[test]
    fn too_much_is_not_kept() {
        let everyone: Vec<String> =
            (0..9_000).map(|nth| format!("somebody{nth}@a.very.long.domain.example.org/1")).collect();
        let everyone: Vec<&str> = everyone.iter().map(String::as_str).collect();
        let (leaving, _) = left();
        let parts = parts(&[entry(vec![leaving], vec![word(Kind::Presence, Type::Unavailable, &everyone)], None)]);
        assert!(parts[0].echoes.is_empty() && parts[0].ticket.is_none());
    }
}
