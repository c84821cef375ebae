//! Result set management (XEP-0059): which page was asked for, which page it is.

use minidom::Element;

use crate::ns;
use crate::stanza::element::{Build, el};

/// A page somebody asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PageRequest {
    /// At most so many.
    pub max: Option<usize>,
    /// After the item with this id.
    pub after: Option<String>,
    /// Before the item with this id; an empty one asks for the last page.
    pub before: Option<String>,
    /// From this position on.
    pub index: Option<usize>,
}

/// A page: where it lies among all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// The position of its first item.
    pub from: usize,
    /// The position after its last.
    pub to: usize,
    /// How many there are.
    pub count: usize,
}

/// The id a page was to start from is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownId;

impl PageRequest {
    /// Reads the `<set/>` inside `query`, if there is one.
    pub fn read(query: &Element) -> Option<PageRequest> {
        let set = query.get_child("set", ns::RSM)?;
        let text = |name| set.get_child(name, ns::RSM).map(Element::text);
        let number = |name| text(name).and_then(|text: String| text.trim().parse().ok());
        Some(PageRequest { max: number("max"), after: text("after"), before: text("before"), index: number("index") })
    }

    /// The page of `count` items, of which `position` finds an id; at most `limit` long.
    pub fn cut(&self, count: usize, limit: usize, position: impl Fn(&str) -> Option<usize>) -> Result<Page, UnknownId> {
        let max = self.max.map_or(limit, |max| max.min(limit));
        let page = |from: usize, to: usize| Page { from, to, count };
        if let Some(after) = &self.after {
            let from = position(after).ok_or(UnknownId)? + 1;
            return Ok(page(from, (from + max).min(count)));
        }
        if let Some(before) = &self.before {
            let to = if before.is_empty() { count } else { position(before).ok_or(UnknownId)? };
            return Ok(page(to.saturating_sub(max), to));
        }
        let from = self.index.unwrap_or(0).min(count);
        Ok(page(from, from.saturating_add(max).min(count)))
    }
}

impl Page {
    /// The `<set/>` that goes with the page, given the ids of its ends.
    pub fn to_element(self, first: Option<&str>, last: Option<&str>) -> Element {
        let mut set = el("set", ns::RSM);
        if let (Some(first), Some(last)) = (first, last) {
            set.append_child(el("first", ns::RSM).with_attr("index", self.from.to_string()).with_text(first));
            set.append_child(el("last", ns::RSM).with_text(last));
        }
        set.with_text_child("count", &self.count.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(request: &PageRequest) -> Result<(usize, usize), UnknownId> {
        let ids = ["a", "b", "c", "d", "e"];
        request.cut(5, 3, |id| ids.iter().position(|x| *x == id)).map(|page| (page.from, page.to))
    }

    #[test]
    fn pages_go_forward_backward_and_by_index() {
        let request = |after: Option<&str>, before: Option<&str>, index| PageRequest {
            max: Some(2),
            after: after.map(str::to_owned),
            before: before.map(str::to_owned),
            index,
        };
        assert_eq!(cut(&request(None, None, None)), Ok((0, 2)));
        assert_eq!(cut(&request(Some("b"), None, None)), Ok((2, 4)));
        assert_eq!(cut(&request(None, Some(""), None)), Ok((3, 5)));
        assert_eq!(cut(&request(None, Some("b"), None)), Ok((0, 1)));
        assert_eq!(cut(&request(None, None, Some(4))), Ok((4, 5)));
        assert_eq!(cut(&request(Some("x"), None, None)), Err(UnknownId));
        assert_eq!(cut(&request(Some("e"), None, None)), Ok((5, 5)));
    }
}
