//! Pieces of stanzas: extensions and texts, of the room's own protocols and of strangers', in and out of place.

use super::dice::Dice;

/// What people type of somebody, in their own words: not for the room to hide (see `leaks`).
pub(super) const TYPED: &str = "ask nils@example.org";

/// A text somebody types.
pub(super) fn text(dice: &mut Dice) -> &'static str {
    dice.pick(&["hello", "tea", TYPED, "so", "", "1 &lt; 2 &amp; 'x'"])
}

/// What is said to the room itself: invitations and what answers them, requests and approvals.
pub(super) fn note(dice: &mut Dice) -> String {
    let to = dice.pick(&["nora", "nils", "olga", "hall/Olga", "hall/Nils", "hall/Mia", "elsewhere.net", "@"]);
    let reason = format!("<reason>{}</reason>", text(dice));
    match dice.below(4) {
        0 => format!("<x xmlns='#user'><invite to='{to}'>{reason}</invite></x>"),
        1 | 2 => format!("<x xmlns='#user'><decline to='{to}'>{reason}</decline></x>"),
        _ => fragments(dice),
    }
}

/// Things the room knows from elsewhere, half knows, or does not know at all.
pub(super) fn fragments(dice: &mut Dice) -> String {
    const POOL: [&str; 42] = [
        "<show>away</show>",
        "<status>tea</status>",
        "<status>ask nils@example.org</status>",
        "<x xmlns='#user'><item affiliation='owner' role='moderator' jid='nora'/><status code='110'/></x>",
        "<x xmlns='#user'><invite to='nora'><reason>tea</reason></invite></x>",
        "<x xmlns='#user'><invite to='hall/Nils'><continue thread='x'/></invite></x>",
        "<x xmlns='#user'><invite/></x>",
        "<x xmlns='#user'><decline to='hall/Nils'/></x>",
        "<x xmlns='#user'><decline to='olga'><reason>ask nils@example.org</reason></decline></x>",
        "<x xmlns='#user'><decline to='nora'/></x>",
        "<x xmlns='#muc'/>",
        "<stanza-id xmlns='#sid' by='hall' id='forged'/>",
        "<origin-id xmlns='#sid' id='mine'/>",
        "<occupant-id xmlns='#occupant' id='forged'/>",
        "<delay xmlns='#delay' from='hall' stamp='2001-01-01T00:00:00Z'/>",
        "<error type='cancel'><service-unavailable/></error>",
        "<error type='cancel' by='nora'><gone>xmpp:nora@elsewhere.net</gone></error>",
        "<error type='modify'><bad-request/></error>",
        "<error type='cancel'><recipient-unavailable/></error>",
        "<error/>",
        "<retract xmlns='#retract' id='m1'/>",
        "<retract xmlns='#retract' id=''><moderated xmlns='#moderate' by='hall'/></retract>",
        "<apply-to xmlns='#fasten' id='m2'><retract xmlns='#retract0'/></apply-to>",
        "<moderate xmlns='#moderate' id='m'><retract xmlns='#retract'/></moderate>",
        "<retracted xmlns='#retract' id='m'/>",
        "<hats xmlns='#hats'><hat uri='urn:x' title='King'/></hats>",
        "<addresses xmlns='#address'><address type='ofrom' jid='olga'/></addresses>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_jid'><value>someone@elsewhere.net</value></field><field var='muc#register_roomnick'><value>NILS</value></field><field var='muc#register_allow'><value>1</value></field></x>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_jid'><value>nora@elsewhere.net</value></field><field var='muc#register_roomnick'><value>Nora</value></field><field var='muc#register_allow'><value>true</value></field></x>",
        "<no-store xmlns='#hints'/>",
        "<no-permanent-store xmlns='#hints'/>",
        "<composing xmlns='#states'/>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#roomnick'><value>Nils</value></field><field var='muc#request_allow'><value>1</value></field></x>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#jid'><value>nora@elsewhere.net/1</value></field><field var='muc#request_allow'><value>false</value></field></x>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field></x>",
        "<x xmlns='#data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field><field var='muc#role'><value>moderator</value></field></x>",
        "<x xmlns='#data' type='form'><field/></x>",
        "<x xmlns='#data' type='submit'/>",
        "<x xmlns='#conference' jid='attic'/>",
        "<query xmlns='#register'><username>x</username></query>",
        "<query xmlns='#admin'><item nick='Nils' role='none'/></query>",
        "<a xmlns='urn:example:x'><b xmlns=''/>text &amp; more<c xml:lang='de'/></a>",
    ];
    let mut all = String::new();
    for _ in 0..dice.below(3) {
        all.push_str(dice.pick(&POOL));
    }
    // What the sender's server may have put there on the way.
    if dice.one_in(10) {
        all.push_str("<delay xmlns='#delay' from='SENDER' stamp='2026-01-01T11:00:00Z'/>");
    }
    all
}
