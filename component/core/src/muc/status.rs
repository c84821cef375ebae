//! Status codes (XEP-0045 §15.6.2); they live in `muc#user`, never in `muc`.

/// A status code by its meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u16)]
pub enum Status {
    /// Entering: everyone may see your real JID.
    NonAnonymousNotice = 100,
    /// Your affiliation changed while you were not inside.
    AffiliationChangedAbsent = 101,
    /// The room now shows unavailable members.
    ShowsUnavailableMembers = 102,
    /// The room no longer shows unavailable members.
    HidesUnavailableMembers = 103,
    /// The configuration changed in a way that does not touch privacy.
    ConfigChanged = 104,
    /// This presence is your own.
    SelfPresence = 110,
    /// The room is logged from now on.
    LoggingOn = 170,
    /// The room is no longer logged.
    LoggingOff = 171,
    /// The room is now non-anonymous.
    NonAnonymous = 172,
    /// The room is now semi-anonymous.
    SemiAnonymous = 173,
    /// A new room was created for you.
    Created = 201,
    /// The room chose or changed your nick.
    NickAssigned = 210,
    /// Banned.
    Banned = 301,
    /// A new nick follows.
    NickChanged = 303,
    /// Kicked.
    Kicked = 307,
    /// Put out by a change of affiliation.
    AffiliationLost = 321,
    /// Put out because the room became members-only.
    MembersOnlyNow = 322,
    /// Put out because the service shuts down.
    ShuttingDown = 332,
    /// Put out because of an error: connection lost.
    ConnectionLost = 333,
}

impl Status {
    /// The number of the protocol.
    pub fn code(self) -> u16 {
        self as u16
    }
}
