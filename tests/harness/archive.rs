//! What looking into an archive means, said a second time and as plainly as can be: a list of messages in memory.
//! Scenarios read from it, the stores are held against it.

use std::sync::Arc;

use tandem_muc_core::name::Nick;
use tandem_muc_core::record::Message;
use tandem_muc_core::room::{Found, PageSearch, Search};

/// What `said`, oldest first, has to say to `search`.
pub fn look(said: &[Arc<Message>], search: &Search) -> Found {
    let found = |messages: Vec<&Arc<Message>>, is_complete| Found::Messages {
        messages: messages.into_iter().map(|message| (**message).clone()).collect(),
        is_complete,
    };
    match search {
        Search::Vcard => Found::Vcard(None),
        Search::Ends => found(said.first().into_iter().chain(said.last()).collect(), true),
        Search::Page(search) => {
            let is_known = |id: &String| said.iter().any(|message| message.archive_id == *id);
            if ![&search.after, &search.before, &search.ids].into_iter().flatten().all(is_known) {
                return Found::UnknownId;
            }
            let mut fitting: Vec<&Arc<Message>> = said.iter().filter(|message| fits(said, message, search)).collect();
            if search.is_last_page {
                fitting.reverse();
            }
            let mut bytes = 0;
            let has_room = |nth: usize, message: &Arc<Message>| {
                bytes += message.stanza_xml.len();
                nth < search.max && (nth == 0 || bytes <= search.bytes_max)
            };
            let mut has_room = has_room;
            let count = fitting.iter().enumerate().take_while(|(nth, message)| has_room(*nth, message)).count();
            let is_complete = count == fitting.len();
            fitting.truncate(count);
            if search.is_last_page {
                fitting.reverse();
            }
            found(fitting, is_complete)
        }
    }
}

fn fits(said: &[Arc<Message>], message: &Message, search: &PageSearch) -> bool {
    let place = |id: &String| said.iter().find(|other| other.archive_id == *id).map(|other| other.seq);
    let nick = message.nick.as_ref().map(Nick::as_str);
    search.after.iter().all(|id| place(id) < Some(message.seq))
        && search.before.iter().all(|id| place(id) > Some(message.seq))
        && (search.ids.is_empty() || search.ids.contains(&message.archive_id))
        && search.fits(message.at, &message.sender, nick, message.body.as_deref())
}
