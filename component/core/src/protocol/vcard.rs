//! vcard-temp (XEP-0054 v1.2) of a room or a service, and the hashes its avatar is announced by (XEP-0153 v1.1 §2.1,
//! XEP-0486 v0.1 §4.1). The card stays as it came; pictures in it are what they say they are.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use minidom::Element;
use sha1::{Digest, Sha1};

use crate::ns;
use crate::stanza::element::{Build, el, parse};
use crate::stanza::write_element;

/// The most pictures in one card: one of each type we know.
const PHOTOS_MAX: usize = 5;
/// How far into a text it must be clear that it is an SVG picture.
const SVG_HEAD: usize = 1_024;
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A card, as kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vcard {
    /// The whole `<vCard/>` as XML.
    pub xml: Arc<str>,
    /// SHA-1 of each of its pictures, in hex; all show the same.
    pub avatars: Arc<[String]>,
}

/// Why a card is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VcardFault {
    /// More bytes as XML than may be.
    TooLong,
    /// More pictures than there are types.
    TooManyPhotos,
    /// A picture that is no base64.
    NotBase64,
    /// A picture of a type we do not know, or of another type than it says.
    NotAPicture,
}

impl Vcard {
    /// The card that `element` is; `None` for an empty one, which takes a card away.
    /// # Errors
    /// The card is longer than `bytes_max`, or its pictures are none.
    pub fn read(element: &Element, bytes_max: usize) -> Result<Option<Vcard>, VcardFault> {
        if element.children().next().is_none() {
            return Ok(None);
        }
        let mut xml = String::new();
        write_element(element, ns::CLIENT, &mut xml);
        if xml.len() > bytes_max {
            return Err(VcardFault::TooLong);
        }
        let photos = element.children().filter(|child| child.is("PHOTO", ns::VCARD));
        let avatars: Vec<String> = photos.filter_map(|photo| hash_of(photo).transpose()).collect::<Result<_, _>>()?;
        if avatars.len() > PHOTOS_MAX {
            return Err(VcardFault::TooManyPhotos);
        }
        Ok(Some(Vcard { xml: xml.into(), avatars: avatars.into() }))
    }

    /// The card with these texts, in this order, and a picture.
    pub fn write(texts: &[(&str, &str)], picture: Option<&[u8]>) -> Option<Element> {
        let mut card = el("vCard", ns::VCARD);
        for (name, text) in texts {
            card = card.with_text_child(name, text);
        }
        if let Some(picture) = picture {
            let photo = el("PHOTO", ns::VCARD).with_text_child("TYPE", media_type_of(picture)?);
            card.append_child(photo.with_text_child("BINVAL", &LENIENT.encode(picture)));
        }
        Some(card)
    }

    /// The card as an answer; an empty one where there is none.
    pub fn element_of(xml: Option<&str>) -> Element {
        xml.and_then(parse).unwrap_or_else(|| el("vCard", ns::VCARD))
    }
}

/// What announces a picture, or that there is none any more, in presence (XEP-0153 §2.2).
pub fn update(avatar: Option<&str>) -> Element {
    let photo = el("photo", ns::VCARD_UPDATE);
    let photo = match avatar {
        Some(hash) => photo.with_text(hash),
        None => photo,
    };
    el("x", ns::VCARD_UPDATE).with_child(photo)
}

/// The hash of the picture inside a `<PHOTO/>`; `None` for one that lies elsewhere or nowhere.
fn hash_of(photo: &Element) -> Result<Option<String>, VcardFault> {
    let text = |name| photo.get_child(name, ns::VCARD).map(Element::text).unwrap_or_default();
    let encoded: String = text("BINVAL").split_ascii_whitespace().collect();
    if encoded.is_empty() {
        return Ok(None);
    }
    let picture = LENIENT.decode(&encoded).map_err(|_| VcardFault::NotBase64)?;
    let is = media_type_of(&picture).ok_or(VcardFault::NotAPicture)?;
    let told = text("TYPE").trim().to_ascii_lowercase();
    // COMPAT(clients that write image/jpg, 2026): there is no such type, and no doubt what is meant.
    let told = if told == "image/jpg" { "image/jpeg" } else { &told };
    if !told.is_empty() && told != is {
        return Err(VcardFault::NotAPicture);
    }
    let mut hash = String::with_capacity(40);
    for byte in Sha1::digest(&picture) {
        let _ = write!(hash, "{byte:02x}");
    }
    Ok(Some(hash))
}

/// The type of a picture, told by how it begins.
fn media_type_of(picture: &[u8]) -> Option<&'static str> {
    match picture {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => is_svg(picture).then_some("image/svg+xml"),
    }
}

fn is_svg(picture: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(picture) else { return false };
    let head = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let begins = ["<svg", "<?xml", "<!"].iter().any(|start| head.starts_with(start));
    let end = head.char_indices().map(|(at, _)| at).take_while(|at| *at <= SVG_HEAD).last().unwrap_or(0);
    begins && head[..end].contains("<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: &str = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSIzMiIgaGVpZ2h0PSIzMiI+CiA8cmVjdCB4PSIwIiB5PSIwIiB3aWR0aD0iMzIiIGhlaWdodD0iMzIiIGZpbGw9InJlZCIvPgo8L3N2Zz4K";

    fn read(inside: &str) -> Result<Option<Vcard>, VcardFault> {
        let card = parse(&format!("<vCard xmlns='vcard-temp'>{inside}</vCard>")).expect("an element");
        Vcard::read(&card, 1_000)
    }

    fn photo(type_: &str, data: &str) -> String {
        format!("<PHOTO><TYPE>{type_}</TYPE><BINVAL>{data}</BINVAL></PHOTO>")
    }

    #[test]
    fn the_hash_is_the_one_of_the_example() {
        let card = read(&photo("image/svg+xml", RED)).expect("taken").expect("a card");
        assert_eq!(*card.avatars, ["a31c4bd04de69663cfd7f424a8453f4674da37ff".to_owned()]);
        assert_eq!(Vcard::element_of(Some(&card.xml)).children().count(), 1);
    }

    #[test]
    fn a_picture_is_what_it_says() {
        assert_eq!(read(&photo("image/png", RED)), Err(VcardFault::NotAPicture));
        assert_eq!(read(&photo("image/png", "aGVsbG8=")), Err(VcardFault::NotAPicture));
        assert_eq!(read(&photo("image/png", "%%%")), Err(VcardFault::NotBase64));
        let jpeg = read(&photo("image/jpg", "/9j/\n4AAQ")).expect("taken").expect("a card");
        assert_eq!(jpeg.avatars.len(), 1);
        let elsewhere = "<FN>Hall</FN><PHOTO><EXTVAL>http://x/</EXTVAL></PHOTO><PHOTO><BINVAL/></PHOTO>";
        assert!(read(elsewhere).expect("taken").expect("a card").avatars.is_empty());
    }

    #[test]
    fn a_card_has_its_bounds_and_an_empty_one_is_none() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(&format!("<DESC>{}</DESC>", "x".repeat(1_000))), Err(VcardFault::TooLong));
        let many = photo("image/jpeg", "/9j/4AAQ").repeat(PHOTOS_MAX + 1);
        assert_eq!(read(&many), Err(VcardFault::TooManyPhotos));
    }

    #[test]
    fn a_written_card_reads_back() {
        let card = Vcard::write(&[("FN", "Rooms")], Some(b"GIF89a...")).expect("a picture");
        let read = Vcard::read(&card, 1_000).expect("taken").expect("a card");
        assert_eq!(read.avatars.len(), 1);
        assert!(read.xml.contains("<FN>Rooms</FN>") && read.xml.contains("image/gif"));
        assert_eq!(Vcard::write(&[], Some(b"hello")), None);
    }
}
