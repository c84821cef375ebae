//! Two kinds of time, never compared with each other: [`Utc`], what a calendar says and the database
//! keeps, and [`Moment`], what a monotonic clock says and deadlines use. [`Now`] brings both into an
//! engine, with the chance it may use.

use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Utc(pub i64);

/// Milliseconds of a monotonic clock since some start; good for deadlines only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(pub u64);

/// What an engine learns of the world at one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The calendar.
    pub utc: Utc,
    /// The monotonic clock.
    pub moment: Moment,
    /// 128 fresh random bits; ids are made of them, never decisions.
    pub chance: u128,
}

impl Now {
    /// An opaque id, unique over both nodes of a pair and ordered by time: a UUID of version 7
    /// (RFC 9562 §5.7), its random bits varied by `nth` so that one call can hand out several.
    pub fn id(&self, nth: u64) -> String {
        let millis = (self.utc.0.max(0).cast_unsigned()) & 0xffff_ffff_ffff;
        let spread = self.chance ^ u128::from(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let rand_a = (spread >> 64) & 0x0fff;
        let rand_b = spread & 0x3fff_ffff_ffff_ffff;
        let bits = (u128::from(millis) << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b;
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Display for Utc {
    /// Date and time as XEP-0082 §3.2 has it, milliseconds only where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{stamp}")
    }
}

impl FromStr for Utc {
    type Err = ();

    /// Reads XEP-0082 date and time, and the older `CCYYMMDDThh:mm:ss` of XEP-0091.
    fn from_str(text: &str) -> Result<Utc, ()> {
        if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
            return Ok(Utc(stamp.as_millisecond()));
        }
        let legacy = text.len() == 17 && text.as_bytes()[8] == b'T' && text.is_ascii();
        if !legacy {
            return Err(());
        }
        let spelt = format!("{}-{}-{}Z", &text[..4], &text[4..6], &text[6..]);
        spelt.parse::<jiff::Timestamp>().map(|stamp| Utc(stamp.as_millisecond())).map_err(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_as_xep_0082_has_them() {
        assert_eq!(Utc(1_031_702_711_000).to_string(), "2002-09-11T00:05:11Z");
        assert_eq!("2002-09-11T00:05:11Z".parse(), Ok(Utc(1_031_702_711_000)));
        assert_eq!("1970-01-01T00:00Z".parse(), Ok(Utc(0)));
        assert_eq!("20020911T00:05:11".parse(), Ok(Utc(1_031_702_711_000)));
        assert_eq!("yesterday".parse::<Utc>(), Err(()));
    }

    #[test]
    fn ids_of_one_call_differ_and_carry_the_time() {
        let now = Now { utc: Utc(1_700_000_000_000), moment: Moment(0), chance: 42 };
        assert_ne!(now.id(0), now.id(1));
        assert_eq!(&now.id(0)[14..15], "7");
    }
}
