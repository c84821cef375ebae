//! Stanza errors (RFC 6120 §8.3): condition, type, one plain sentence.

use minidom::Element;

use super::element::{Build, el};
use crate::ns;

/// What the sender may do about an error (RFC 6120 §8.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorType {
    /// Authenticate, then try again.
    Auth,
    /// Do not try again.
    Cancel,
    /// Only a warning.
    Continue,
    /// Change what was sent, then try again.
    Modify,
    /// Wait, then try again.
    Wait,
}

impl ErrorType {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorType::Auth => "auth",
            ErrorType::Cancel => "cancel",
            ErrorType::Continue => "continue",
            ErrorType::Modify => "modify",
            ErrorType::Wait => "wait",
        }
    }
}

macro_rules! conditions {
    ($($variant:ident $name:literal $type_:ident),* $(,)?) => {
        /// The defined conditions (RFC 6120 §8.3.3).
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "the names are the RFC's")]
        pub enum Condition { $($variant),* }

        impl Condition {
            /// The element's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Condition::$variant => $name),* }
            }

            /// The type that goes with it where nothing speaks for another.
            pub fn default_type(self) -> ErrorType {
                match self { $(Condition::$variant => ErrorType::$type_),* }
            }

            /// The condition of this name.
            pub fn parse(name: &str) -> Option<Condition> {
                match name { $($name => Some(Condition::$variant),)* _ => None }
            }
        }
    };
}

conditions! {
    BadRequest "bad-request" Modify,
    Conflict "conflict" Cancel,
    FeatureNotImplemented "feature-not-implemented" Cancel,
    Forbidden "forbidden" Auth,
    Gone "gone" Cancel,
    InternalServerError "internal-server-error" Cancel,
    ItemNotFound "item-not-found" Cancel,
    JidMalformed "jid-malformed" Modify,
    NotAcceptable "not-acceptable" Modify,
    NotAllowed "not-allowed" Cancel,
    NotAuthorized "not-authorized" Auth,
    PolicyViolation "policy-violation" Modify,
    RecipientUnavailable "recipient-unavailable" Wait,
    Redirect "redirect" Modify,
    RegistrationRequired "registration-required" Auth,
    RemoteServerNotFound "remote-server-not-found" Cancel,
    RemoteServerTimeout "remote-server-timeout" Wait,
    ResourceConstraint "resource-constraint" Wait,
    ServiceUnavailable "service-unavailable" Cancel,
    SubscriptionRequired "subscription-required" Auth,
    UndefinedCondition "undefined-condition" Cancel,
    UnexpectedRequest "unexpected-request" Wait,
}

/// An error to answer with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StanzaError {
    /// What the sender may do.
    pub type_: ErrorType,
    /// What is wrong.
    pub condition: Condition,
    /// One plain sentence; never a real JID.
    pub text: Option<String>,
    /// The address inside `<gone/>`, an `xmpp:` URI.
    pub gone_to: Option<String>,
    /// What a protocol says beyond the condition (RFC 6120 §8.3.4).
    pub detail: Option<Box<Element>>,
}

impl StanzaError {
    /// `condition` with its usual type and a sentence.
    pub fn new(condition: Condition, text: impl Into<String>) -> StanzaError {
        StanzaError { type_: condition.default_type(), condition, text: Some(text.into()), gone_to: None, detail: None }
    }

    /// The same with another type.
    #[must_use]
    pub fn with_type(mut self, type_: ErrorType) -> StanzaError {
        self.type_ = type_;
        self
    }

    /// The same with what a protocol says beyond the condition.
    #[must_use]
    pub fn with_detail(mut self, detail: Element) -> StanzaError {
        self.detail = Some(Box::new(detail));
        self
    }

    /// The `<error/>` element, `by` whom it is.
    pub fn to_element(&self, by: &str) -> Element {
        let mut condition = el(self.condition.as_str(), ns::STANZAS);
        if let Some(uri) = &self.gone_to {
            condition.append_text(uri.as_str());
        }
        let mut error =
            el("error", ns::CLIENT).with_attr("type", self.type_.as_str()).with_attr("by", by).with_child(condition);
        if let Some(text) = &self.text {
            error.append_child(el("text", ns::STANZAS).with_text(text));
        }
        if let Some(detail) = &self.detail {
            error.append_child((**detail).clone());
        }
        error
    }
}

/// The condition inside the `<error/>` of an error stanza that came in.
pub(super) fn condition_of(error: &Element) -> Option<Condition> {
    error.children().filter(|child| child.has_ns(ns::STANZAS)).find_map(|child| Condition::parse(child.name()))
}
