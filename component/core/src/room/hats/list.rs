//! The hats there are and who wears them, as tables (XEP-0317 v0.3 §3.4, §3.7).

use super::super::Room;
use super::{HUE, TITLE, URI, WHO};
use crate::ns;
use crate::protocol::command::Done;
use crate::protocol::form::{Form, FormType};
use crate::record::Hat;

/// Rows of one answer; servers close the stream on a stanza that is too long.
const ROWS_MAX: usize = 1_000;
const HAT_COLUMNS: [(&str, &str, &str); 3] =
    [(TITLE, "text-single", "Title"), (URI, "text-single", "URI"), (HUE, "text-single", "Hue")];

/// The hats of the room.
pub(super) fn hats(room: &Room) -> Done {
    let table = Form::new(FormType::Result, ns::HATS_COMMANDS).reported(&HAT_COLUMNS);
    let table = room.hats.made().take(ROWS_MAX).fold(table, |table, hat| table.row(&cells(hat)));
    Done { note: None, form: Some(table.into_element()) }
}

/// Who wears which hat.
pub(super) fn wearers(room: &Room) -> Done {
    let mut columns = vec![(WHO, "jid-single", "User")];
    columns.extend(HAT_COLUMNS);
    let mut table = Form::new(FormType::Result, ns::HATS_COMMANDS).reported(&columns);
    for (who, uri) in room.hats.wearers().take(ROWS_MAX) {
        let Some(hat) = room.hats.named(uri) else { continue };
        let mut row = vec![(WHO, who.as_str())];
        row.extend(cells(hat));
        table = table.row(&row);
    }
    let count = room.hats.wearers().count();
    let note = (count > ROWS_MAX).then(|| format!("These are {ROWS_MAX} of {count}."));
    Done { note, form: Some(table.into_element()) }
}

fn cells(hat: &Hat) -> Vec<(&'static str, &str)> {
    let mut cells = vec![(TITLE, hat.title.as_str()), (URI, hat.uri.as_str())];
    cells.extend(hat.hue.as_deref().map(|hue| (HUE, hue)));
    cells
}
