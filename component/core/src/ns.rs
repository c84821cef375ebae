//! XML namespaces, one constant each. Inside the program the default namespace of a stanza is
//! `jabber:client`, whatever the wire calls it.

/// Stanzas (RFC 6120 §4.8.2); the wire of a component says `jabber:component:accept`.
pub const CLIENT: &str = "jabber:client";
/// Stanza errors (RFC 6120 §8.3.3).
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// The XML namespace of `xml:lang`.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Multi-user chat, entering (XEP-0045 §7.2).
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// Multi-user chat, what occupants hear (XEP-0045 §7).
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// Multi-user chat, moderators and admins (XEP-0045 §8, §9).
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Multi-user chat, owners (XEP-0045 §10).
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Form type of the room configuration (XEP-0045 §15.5.3).
pub const MUC_ROOMCONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// Form type of the room information (XEP-0045 §15.5.4).
pub const MUC_ROOMINFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// Form type of a voice request (XEP-0045 §8.6).
pub const MUC_REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// Names for rooms that nobody has yet (XEP-0307).
pub const MUC_UNIQUE: &str = "http://jabber.org/protocol/muc#unique";
/// disco feature: ids are reflected unchanged (XEP-0045 §18).
pub const MUC_STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// disco node: what may be sent through a room (XEP-0045 §17.1.1).
pub const MUC_TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic";
/// disco feature: self-pings are answered by the room (XEP-0410 §3.3).
pub const MUC_SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// disco node: the nick a user has reserved (XEP-0045 §6.6).
pub const X_ROOMUSER_ITEM: &str = "x-roomuser-item";
/// Direct invitations (XEP-0249).
pub const CONFERENCE: &str = "jabber:x:conference";
/// Service discovery information (XEP-0030).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Service discovery items (XEP-0030).
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Data forms (XEP-0004).
pub const DATA: &str = "jabber:x:data";
/// Result set management (XEP-0059).
pub const RSM: &str = "http://jabber.org/protocol/rsm";
/// Delayed delivery (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// Legacy delayed delivery (XEP-0091).
pub const LEGACY_DELAY: &str = "jabber:x:delay";
/// Stanza and origin ids (XEP-0359).
pub const SID: &str = "urn:xmpp:sid:0";
/// Occupant ids (XEP-0421).
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// XMPP ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Software version (XEP-0092).
pub const VERSION: &str = "jabber:iq:version";
/// Message processing hints (XEP-0334).
pub const HINTS: &str = "urn:xmpp:hints";
/// Chat states (XEP-0085).
pub const CHATSTATES: &str = "http://jabber.org/protocol/chatstates";
/// vcard-temp (XEP-0054).
pub const VCARD: &str = "vcard-temp";
/// What the picture in a vCard is announced by (XEP-0153).
pub const VCARD_UPDATE: &str = "vcard-temp:x:update";
/// Ad-hoc commands (XEP-0050), also the node under which they are listed.
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
/// Hats (XEP-0317).
pub const HATS: &str = "urn:xmpp:hats:0";
/// Form type of the commands about hats (XEP-0317).
pub const HATS_COMMANDS: &str = "urn:xmpp:hats:commands";
/// Extended stanza addressing (XEP-0033), used in history by old clients.
pub const ADDRESS: &str = "http://jabber.org/protocol/address";
/// Publish-subscribe (XEP-0060), here of the account (XEP-0163).
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Archive queries (XEP-0313), also the type of their form.
pub const MAM: &str = "urn:xmpp:mam:2";
/// disco feature: archive queries by id, flipped pages, metadata (XEP-0313 §7).
pub const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended";
/// disco feature: archives are searched for text (XEP-0431).
pub const FULLTEXT: &str = "urn:xmpp:fulltext:0";
/// A stanza inside another (XEP-0297).
pub const FORWARD: &str = "urn:xmpp:forward:0";
/// What values a form's field takes (XEP-0122).
pub const VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";
/// Messages retracted by their authors (XEP-0424).
pub const RETRACT: &str = "urn:xmpp:message-retract:1";
/// disco feature: retracted messages leave a mark in the archive (XEP-0424 §4).
pub const RETRACT_TOMBSTONE: &str = "urn:xmpp:message-retract:1#tombstone";
/// Retraction as XEP-0424 had it up to 0.3.
pub const RETRACT_0: &str = "urn:xmpp:message-retract:0";
/// Messages retracted by moderators (XEP-0425).
pub const MODERATE: &str = "urn:xmpp:message-moderate:1";
/// Moderation as XEP-0425 had it up to 0.2.
pub const MODERATE_0: &str = "urn:xmpp:message-moderate:0";
/// Message fastening (XEP-0422), in which the older forms of both came.
pub const FASTEN: &str = "urn:xmpp:fasten:0";
/// Registration (XEP-0077), here with a room (XEP-0045 §7.10).
pub const REGISTER: &str = "jabber:iq:register";
/// Form type of a registration with a room (XEP-0045 §15.5.1).
pub const MUC_REGISTER: &str = "http://jabber.org/protocol/muc#register";
/// Corrections of the last message (XEP-0308).
pub const CORRECT: &str = "urn:xmpp:message-correct:0";
/// How much is said in a room (XEP-0502): the field of `muc#roominfo`.
pub const MESSAGE_ACTIVITY: &str = "{urn:xmpp:muc-activity}message-activity";
/// Room activity (XEP-0437).
pub const RAI: &str = "urn:xmpp:rai:0";
/// References (XEP-0372), here mentions of people.
pub const REFERENCE: &str = "urn:xmpp:reference:0";
/// Mentions of those who are not inside (XEP-0452).
pub const MENTIONS: &str = "urn:xmpp:mmn:0";
/// Versions of the affiliation lists (XEP-0463).
pub const MAV: &str = "urn:xmpp:muc:affiliations:1";
/// Jabber search (XEP-0055), also the type of its form.
pub const SEARCH: &str = "jabber:iq:search";
/// Channel search (XEP-0433).
pub const CHANNEL_SEARCH: &str = "urn:xmpp:channel-search:0:search";
/// Form type of a channel search.
pub const CHANNEL_SEARCH_PARAMS: &str = "urn:xmpp:channel-search:0:search-params";
/// What is wrong with a channel search.
pub const CHANNEL_SEARCH_ERROR: &str = "urn:xmpp:channel-search:0:error";
/// Form type of the contact addresses of a service (XEP-0157).
pub const SERVERINFO: &str = "http://jabber.org/network/serverinfo";
/// disco feature Cisco Jabber looks for, and its mark on messages of the past.
pub const CISCO_HISTORY: &str = "http://www.jabber.com/protocol/muc#history";
/// disco feature Cisco Jabber looks for: the room stays when everyone leaves.
pub const CISCO_PERSISTENT: &str = "http://www.jabber.com/schemas/muc#persistent";
