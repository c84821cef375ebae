//! Table `muc_echo`: what is to be heard of a group beside its archived messages - who came, left, was put out, what
//! is configured now, what was answered -, from the commit until a mark proves it heard. With the messages of the same
//! groups it is the tail that a successor repeats.

use tandem_muc_core::name::{BareJid, Jid};
use tandem_muc_core::record::{Message, Seq};
use tandem_muc_core::stanza::{Audience, Inbound, Outbound, Stanza};

use super::connection::{Columns, Kind, Row, Value};
use super::error::StoreError;
use super::messages;
use super::session::{Session, Statement};

const TABLE: &str = "muc_echo";

pub(super) const COLUMNS: Columns = Columns {
    table: TABLE,
    columns: &[
        ("service_txt", Kind::Text),
        ("grp_seq", Kind::Int),
        ("nth", Kind::Int),
        ("name_txt", Kind::Text),
        ("after_seq", Kind::Int),
        ("to_txt", Kind::Text),
        ("stanza_xml", Kind::Text),
    ],
};
/// What was heard.
pub(super) const LET_GO: Statement =
    Statement::on(TABLE, "DELETE FROM muc_echo WHERE service_txt = ? AND grp_seq <= ?");
const TAIL: Statement = Statement::on(
    TABLE,
    "SELECT grp_seq, nth, name_txt, after_seq, to_txt, stanza_xml FROM muc_echo
     WHERE service_txt = ? AND grp_seq > ? ORDER BY grp_seq, nth",
);

/// Words of a group, kept until they are heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Echo {
    /// The room they come from.
    pub room: BareJid,
    /// The last archived message of that room in the same group that comes before them; 0 where none does.
    pub after: Seq,
    /// Who hears them, a line each; `None` where the stanza is one that came in, and is told again what it led to.
    to: Option<String>,
    stanza_xml: String,
}

impl Echo {
    /// Of a word.
    pub fn of_word(room: BareJid, after: Seq, word: &Outbound) -> Echo {
        let addressees = word.to.as_slice();
        let mut to = String::with_capacity(addressees.iter().map(|jid| jid.as_str().len() + 1).sum());
        for addressee in addressees {
            if !to.is_empty() {
                to.push('\n');
            }
            to.push_str(addressee.as_str());
        }
        Echo { room, after, to: Some(to), stanza_xml: word.stanza.to_xml() }
    }

    /// Of all that a session hears when it enters by `ask`: told again as long as it is inside.
    pub fn of_entry(room: BareJid, after: Seq, ask: &Inbound) -> Echo {
        Echo { room, after, to: None, stanza_xml: ask.to_xml() }
    }

    /// What it takes to keep.
    pub fn bytes(&self) -> usize {
        self.stanza_xml.len() + self.to.as_ref().map_or(0, String::len)
    }
}

/// One thing of the tail: durable, and perhaps not heard.
#[derive(Clone, Debug)]
pub enum Unheard {
    /// An archived message, for everyone inside.
    Message(Message),
    /// A word as it was said, to whom it was said.
    Word(Outbound),
    /// Somebody entered by this.
    Entry(Inbound),
}

pub(super) fn rows<'a>(service: &'a str, group: i64, echoes: &[&'a Echo]) -> Vec<Vec<Value<'a>>> {
    let row = |(nth, echo): (i64, &&'a Echo)| {
        vec![
            service.into(),
            group.into(),
            nth.into(),
            echo.room.as_jid().local().unwrap_or_default().into(),
            echo.after.0.into(),
            echo.to.as_deref().into(),
            echo.stanza_xml.as_str().into(),
        ]
    };
    (0..).zip(echoes).map(row).collect()
}

/// See [`super::SqlStore::tail`].
pub(super) async fn tail(
    session: &mut Session,
    service: &str,
    mark: i64,
) -> Result<Vec<(BareJid, Unheard)>, StoreError> {
    let mut tail = Vec::new();
    for (group, room, message) in messages::tail(session, service, mark).await? {
        tail.push(((group, room, message.seq.0, -1), Unheard::Message(message)));
    }
    for row in session.fetch(TAIL, &[service.into(), mark.into()]).await? {
        tail.push(read(row, service).map_err(|what| StoreError::Damaged { table: TABLE, what })?);
    }
    tail.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(tail.into_iter().map(|((_, room, ..), unheard)| (room, unheard)).collect())
}

/// Group, room, the message it comes after, its place among those that do.
type Place = (i64, BareJid, i64, i64);

fn read(mut row: Row, service: &str) -> Result<(Place, Unheard), String> {
    let (group, nth, name, after) = (row.int()?, row.int()?, row.text()?, row.int()?);
    let (to, xml) = (row.maybe_text()?, row.text()?);
    let room = BareJid::parse(&format!("{name}@{service}")).map_err(|why| format!("room {name:?}: {why}"))?;
    let unheard = match to {
        None => Inbound::from_xml(&xml).map(Unheard::Entry),
        Some(to) => Stanza::from_xml(&xml).map(|stanza| Unheard::Word(Outbound { stanza, to: audience(&to) })),
    };
    let unheard = unheard.ok_or_else(|| format!("stanza_xml of group {group}, number {nth}"))?;
    Ok(((group, room, after, nth), unheard))
}

/// Whoever cannot be read is left out.
fn audience(to: &str) -> Audience {
    let mut to: Vec<Jid> = to.split('\n').filter_map(|jid| Jid::parse(jid).ok()).collect();
    if to.len() == 1
        && let Some(one) = to.pop()
    {
        return Audience::One(one);
    }
    Audience::Many(to.into())
}
