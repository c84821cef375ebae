//! What a room wants to know of its archive, and what there is: plain values, for the database lies outside.

use crate::name::{BareJid, Jid, Nick};
use crate::record::{Message, RoomId};
use crate::time::Utc;

use super::answer::Purpose;

/// A look into the archive that a room asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// Whose archive.
    pub room: RoomId,
    /// What is wanted.
    pub search: Search,
    /// What the room does with it.
    pub(in super::super) purpose: Purpose,
}

/// What is wanted of an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Search {
    /// Some messages in a row.
    Page(Box<PageSearch>),
    /// The first and the last message.
    Ends,
    /// The room's vCard, which is kept beside what was said.
    Vcard,
}

/// Messages in a row: all that fit what is set here, cut to one page.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageSearch {
    /// Said at this time or later.
    pub from: Option<Utc>,
    /// Said at this time or earlier.
    pub until: Option<Utc>,
    /// Said after each of these.
    pub after: Vec<String>,
    /// Said before each of these.
    pub before: Vec<String>,
    /// One of these; any where there are none.
    pub ids: Vec<String>,
    /// Said by.
    pub sender: Option<Sender>,
    /// With all these in the text, in small letters.
    pub words: Vec<String>,
    /// The page lies at the end of all that fit, else at their beginning.
    pub is_last_page: bool,
    /// At most so many.
    pub max: usize,
    /// At most so many bytes of stanzas, or a single one.
    pub bytes_max: usize,
}

/// Who said something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sender {
    /// This user, under whatever nick.
    User(BareJid),
    /// This very session.
    Session(Jid),
    /// Whoever had this nick.
    Nick(Nick),
}

/// What an archive has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// These, oldest first.
    Messages {
        /// The messages of the page.
        messages: Vec<Message>,
        /// Whether the page has all that fit, in the direction it was cut.
        is_complete: bool,
    },
    /// No message has one of the ids that were named.
    UnknownId,
    /// Nothing that fits, as far as one look goes; there is more beyond.
    NothingNear,
    /// The room's vCard as XML, if it has one.
    Vcard(Option<String>),
}

impl PageSearch {
    /// Whether time, sender and text of a message fit.
    pub fn fits(&self, at: Utc, sender: &Jid, nick: Option<&str>, body: Option<&str>) -> bool {
        let is_timely = self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at <= until);
        let is_theirs = match &self.sender {
            None => true,
            Some(Sender::User(user)) => sender.is_same_bare(user.as_jid()),
            Some(Sender::Session(session)) => sender == session,
            Some(Sender::Nick(wanted)) => nick == Some(wanted.as_str()),
        };
        is_timely && is_theirs && self.has_words(body)
    }

    fn has_words(&self, body: Option<&str>) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let text = body.unwrap_or_default().to_lowercase();
        self.words.iter().all(|word| text.contains(word.as_str()))
    }

    /// Whether messages have to be read one by one to know whether they fit.
    pub fn is_picky(&self) -> bool {
        self.sender.is_some() || !self.words.is_empty()
    }
}
