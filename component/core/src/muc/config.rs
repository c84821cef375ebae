//! What an owner can set (XEP-0045 §15.5.3), as kept: the form that edits it lives with the owner's use cases.

use serde::{Deserialize, Serialize};

use super::Role;

/// Who may see real JIDs (`muc#roomconfig_whois`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whois {
    /// Moderators only: a semi-anonymous room.
    Moderators,
    /// Everyone: a non-anonymous room. The default, for Cisco Jabber cannot enter others.
    #[default]
    Anyone,
}

impl Whois {
    /// All of them.
    pub const ALL: [Whois; 2] = [Whois::Moderators, Whois::Anyone];

    /// The word of the form.
    pub fn as_str(self) -> &'static str {
        match self {
            Whois::Moderators => "moderators",
            Whois::Anyone => "anyone",
        }
    }
}

/// Who may send private messages (`muc#roomconfig_allowpm`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AllowPm {
    /// Everyone inside.
    #[default]
    Anyone,
    /// Participants and moderators.
    Participants,
    /// Moderators.
    Moderators,
    /// Nobody.
    None,
}

impl AllowPm {
    /// All of them.
    pub const ALL: [AllowPm; 4] = [AllowPm::Anyone, AllowPm::Participants, AllowPm::Moderators, AllowPm::None];

    /// The word of the form.
    pub fn as_str(self) -> &'static str {
        match self {
            AllowPm::Anyone => "anyone",
            AllowPm::Participants => "participants",
            AllowPm::Moderators => "moderators",
            AllowPm::None => "none",
        }
    }
}

/// What becomes of a registered user who comes under another nick than the registered one (`lock_nicks`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NickLock {
    /// It has that other nick.
    #[default]
    Free,
    /// It is given the registered one (210).
    Assign,
    /// It is refused (`not-acceptable`).
    Refuse,
}

impl NickLock {
    /// All of them.
    pub const ALL: [NickLock; 3] = [NickLock::Free, NickLock::Assign, NickLock::Refuse];

    /// The word of the form.
    pub fn as_str(self) -> &'static str {
        match self {
            NickLock::Free => "free",
            NickLock::Assign => "assign",
            NickLock::Refuse => "refuse",
        }
    }
}

/// The configuration of a room. Missing keys in a stored one take the default: a newer version adds keys freely.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomConfig {
    /// Natural-language name (`roomname`).
    pub title: String,
    /// Description (`roomdesc`).
    pub description: String,
    /// Language tag of the discussion (`lang`).
    pub lang: String,
    /// Stays when the last occupant leaves (`persistentroom`).
    pub is_persistent: bool,
    /// Listed in disco#items (`publicroom`).
    pub is_public: bool,
    /// Only members enter (`membersonly`).
    pub is_members_only: bool,
    /// Newcomers without affiliation are visitors (`moderatedroom`).
    pub is_moderated: bool,
    /// They are participants all the same (`membersbydefault`), until a moderator takes their voice.
    pub are_newcomers_participants: bool,
    /// Needed to enter (`passwordprotectedroom`, `roomsecret`); `None`: no password.
    pub password: Option<String>,
    /// Who may see real JIDs (`whois`).
    pub whois: Whois,
    /// Participants may change the subject (`changesubject`).
    pub may_participants_change_subject: bool,
    /// Everyone inside may invite, not admins only (`allowinvites`).
    pub may_occupants_invite: bool,
    /// Who may send private messages (`allowpm`).
    pub allow_pm: AllowPm,
    /// Occupants at once (`maxusers`); `None`: the service's limit.
    pub occupants_max: Option<u32>,
    /// Messages of history kept ready for newcomers (`historylength`).
    pub history_max: u32,
    /// Messages of history sent where the client asks for none in particular (`defaulthistorymessages`).
    pub history_default: u32,
    /// Messages go to the archive (`enablearchiving`, `enablelogging`).
    pub is_archived: bool,
    /// Days after which messages leave the archive (`archive_days`); 0: never, as far as the service lets them stay.
    pub archive_days: u32,
    /// Roles whose presence is told to others (`presencebroadcast`).
    pub presence_of: Vec<RoleName>,
    /// Roles that may read the member list of a non-anonymous room (`getmemberlist`).
    pub member_list_for: Vec<RoleName>,
    /// Which nick registered users come under (`lock_nicks`).
    pub nick_lock: NickLock,
    /// URI of the publish-subscribe node that goes with the room (`pubsub`); empty: none.
    pub pubsub_uri: String,
    /// Visitors may change their nick (`allowvisitornickchange`).
    pub may_visitors_change_nick: bool,
    /// Visitors' status texts are passed on (`allowvisitorstatus`).
    pub may_visitors_set_status: bool,
    /// Visitors may ask for voice (`allow_voice_requests`).
    pub may_visitors_request_voice: bool,
    /// Seconds between two messages of one user (`slow_mode_duration`, XEP-0500); 0: as they come.
    pub slow_mode_seconds: u32,
    /// Messages that mention a member who is not inside are forwarded (`forwardmentions`, XEP-0452).
    pub forwards_mentions: bool,
    /// Members who are not inside are told once that something was said (`notify_absent`).
    pub notifies_absent: bool,
    /// Members who are not inside are shown to those who enter (`show_absent`).
    pub shows_absent: bool,
}

/// A role as a configuration names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// See [`Role::Moderator`].
    Moderator,
    /// See [`Role::Participant`].
    Participant,
    /// See [`Role::Visitor`].
    Visitor,
}

impl RoleName {
    /// All of them.
    pub const ALL: [RoleName; 3] = [RoleName::Moderator, RoleName::Participant, RoleName::Visitor];

    /// The role it names.
    pub fn role(self) -> Role {
        match self {
            RoleName::Moderator => Role::Moderator,
            RoleName::Participant => Role::Participant,
            RoleName::Visitor => Role::Visitor,
        }
    }

    /// The word of the form.
    pub fn as_str(self) -> &'static str {
        self.role().as_str()
    }
}

impl Default for RoomConfig {
    fn default() -> RoomConfig {
        RoomConfig {
            title: String::new(),
            description: String::new(),
            lang: String::new(),
            is_persistent: true,
            is_public: true,
            is_members_only: false,
            is_moderated: false,
            are_newcomers_participants: false,
            password: None,
            whois: Whois::Anyone,
            may_participants_change_subject: false,
            may_occupants_invite: true,
            allow_pm: AllowPm::Anyone,
            occupants_max: None,
            history_max: 50,
            history_default: 20,
            is_archived: true,
            archive_days: 0,
            presence_of: RoleName::ALL.to_vec(),
            member_list_for: RoleName::ALL.to_vec(),
            nick_lock: NickLock::Free,
            pubsub_uri: String::new(),
            may_visitors_change_nick: true,
            may_visitors_set_status: true,
            may_visitors_request_voice: true,
            slow_mode_seconds: 0,
            forwards_mentions: false,
            notifies_absent: false,
            shows_absent: false,
        }
    }
}

impl RoomConfig {
    /// Whether presences of occupants with `role` are told to others.
    pub fn broadcasts(&self, role: Role) -> bool {
        self.presence_of.iter().any(|name| name.role() == role)
    }
}
