//! Affiliations (XEP-0045 §5.2): the long-lived tie between a user and a room.

/// The long-lived tie between a user and a room, lowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// No tie.
    #[default]
    None,
    /// May enter a members-only room.
    Member,
    /// Runs the room's lists.
    Admin,
    /// Owns the room.
    Owner,
}

impl Affiliation {
    /// The word of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Affiliation::Outcast => "outcast",
            Affiliation::None => "none",
            Affiliation::Member => "member",
            Affiliation::Admin => "admin",
            Affiliation::Owner => "owner",
        }
    }

    /// The affiliation of that word.
    pub fn parse(word: &str) -> Option<Affiliation> {
        Some(match word {
            "outcast" => Affiliation::Outcast,
            "none" => Affiliation::None,
            "member" => Affiliation::Member,
            "admin" => Affiliation::Admin,
            "owner" => Affiliation::Owner,
            _ => return None,
        })
    }
}
