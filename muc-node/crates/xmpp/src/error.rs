//! Stanza errors (RFC 6120 section 8.3) and the conditions of stream errors (section 4.9.3).

use bytes::Bytes;
use jid::Jid;

use crate::ns;
use crate::stanza::{ChildRef, Content, Head, Kind};
use crate::writer::{El, StanzaWriter};

/// What the sender of a stanza that failed should do (RFC 6120 section 8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed: the condition was only a warning.
    Continue,
    /// Retry after changing the data sent.
    Modify,
    /// Retry after waiting.
    Wait,
}

impl ErrorType {
    /// The value of the attribute `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    /// Reads the attribute `type`.
    pub fn parse(s: &str) -> Option<Self> {
        [Self::Auth, Self::Cancel, Self::Continue, Self::Modify, Self::Wait].into_iter().find(|t| t.as_str() == s)
    }
}

/// A received stanza error. Read leniently: what is missing or unknown stays visible as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// The name of the defined condition; `undefined-condition` if there is none.
    pub condition: String,
    /// What to do; `None` if absent or unknown.
    pub type_: Option<ErrorType>,
    /// Who made the error (RFC 6120 section 8.3.1).
    pub by: Option<Jid>,
    /// The human-readable text.
    pub text: Option<String>,
}

impl StanzaError {
    /// The error in the content of a stanza of type `error`; `None` if it has no child `error`.
    pub fn read(content: &Content) -> Option<Self> {
        content.find("error", ns::CLIENT).map(|error| Self::of(&error))
    }

    /// The error in its own element.
    pub fn of(error: &ChildRef<'_>) -> Self {
        let children = error.children();
        let condition = children
            .iter()
            .find(|child| child.ns == ns::STANZAS && child.name != "text")
            .map_or("undefined-condition", |child| child.name)
            .to_owned();
        Self {
            condition,
            type_: error.attr("type").and_then(|t| ErrorType::parse(&t)),
            by: error.attr("by").and_then(|by| Jid::new(&by).ok()),
            text: children.find("text", ns::STANZAS).map(|text| text.text()),
        }
    }
}

/// The element `error` (RFC 6120 section 8.3.2).
pub fn error_element(by: Option<&str>, kind: ErrorType, condition: &str, text: Option<&str>) -> El {
    let error = El::new("error").attr("type", kind.as_str()).attr_opt("by", by).child(El::ns(condition, ns::STANZAS));
    match text {
        Some(text) => error.child(El::ns("text", ns::STANZAS).attr("xml:lang", "en").text(text)),
        None => error,
    }
}

/// The error that answers a stanza with this head: `from` and `to` swapped, the id kept.
///
/// `None` when there must be no answer: the stanza is itself an error or the answer to an IQ
/// (RFC 6120 sections 8.2.3 and 8.3.1), or nobody is known to have sent it.
pub fn error_reply(
    head: &Head,
    by: Option<&str>,
    kind: ErrorType,
    condition: &str,
    text: Option<&str>,
) -> Option<Bytes> {
    let type_ = head.type_.as_deref();
    if type_ == Some("error") || (head.kind == Kind::Iq && type_ == Some("result")) {
        return None;
    }
    let to = head.from.as_ref()?;
    let mut writer = StanzaWriter::new(head.kind);
    if let Some(from) = &head.to {
        writer = writer.from(from.as_str());
    }
    let template =
        writer.type_(Some("error")).id(head.id.as_deref()).el(error_element(by, kind, condition, text)).finish();
    Some(template.to(to))
}

/// Conditions of stream errors (RFC 6120 section 4.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamCondition {
    /// XML that cannot be processed (4.9.3.1).
    BadFormat,
    /// A prefix that is not declared (4.9.3.2).
    BadNamespacePrefix,
    /// Another stream took this one's place (4.9.3.3).
    Conflict,
    /// The peer is not there any more (4.9.3.4).
    ConnectionTimeout,
    /// `to` names a host that is no longer served (4.9.3.5).
    HostGone,
    /// `to` names a host that is not served (4.9.3.6).
    HostUnknown,
    /// A stanza without a needed address (4.9.3.7).
    ImproperAddressing,
    /// A fault of ours (4.9.3.8).
    InternalServerError,
    /// `from` is not what was authenticated (4.9.3.9).
    InvalidFrom,
    /// The stream or content namespace is wrong (4.9.3.10).
    InvalidNamespace,
    /// XML that is valid to no schema (4.9.3.11).
    InvalidXml,
    /// Stanzas before authentication, or authentication failed (4.9.3.12).
    NotAuthorized,
    /// Not well-formed (4.9.3.13).
    NotWellFormed,
    /// A local policy, such as a limit (4.9.3.14).
    PolicyViolation,
    /// A host that cannot be reached (4.9.3.15).
    RemoteConnectionFailed,
    /// A new stream is needed for new features (4.9.3.16).
    Reset,
    /// Too little memory or too many streams (4.9.3.17).
    ResourceConstraint,
    /// Comments, processing instructions, DTDs (4.9.3.18).
    RestrictedXml,
    /// Go elsewhere (4.9.3.19).
    SeeOtherHost,
    /// The server stops (4.9.3.20).
    SystemShutdown,
    /// See the application condition (4.9.3.21).
    UndefinedCondition,
    /// Not UTF-8 (4.9.3.22).
    UnsupportedEncoding,
    /// A mandatory feature that is not supported (4.9.3.23).
    UnsupportedFeature,
    /// An element that is no stanza (4.9.3.24).
    UnsupportedStanzaType,
    /// A version of XMPP that is not supported (4.9.3.25).
    UnsupportedVersion,
}

/// Every condition with its name on the wire.
const STREAM_CONDITIONS: [(StreamCondition, &str); 25] = [
    (StreamCondition::BadFormat, "bad-format"),
    (StreamCondition::BadNamespacePrefix, "bad-namespace-prefix"),
    (StreamCondition::Conflict, "conflict"),
    (StreamCondition::ConnectionTimeout, "connection-timeout"),
    (StreamCondition::HostGone, "host-gone"),
    (StreamCondition::HostUnknown, "host-unknown"),
    (StreamCondition::ImproperAddressing, "improper-addressing"),
    (StreamCondition::InternalServerError, "internal-server-error"),
    (StreamCondition::InvalidFrom, "invalid-from"),
    (StreamCondition::InvalidNamespace, "invalid-namespace"),
    (StreamCondition::InvalidXml, "invalid-xml"),
    (StreamCondition::NotAuthorized, "not-authorized"),
    (StreamCondition::NotWellFormed, "not-well-formed"),
    (StreamCondition::PolicyViolation, "policy-violation"),
    (StreamCondition::RemoteConnectionFailed, "remote-connection-failed"),
    (StreamCondition::Reset, "reset"),
    (StreamCondition::ResourceConstraint, "resource-constraint"),
    (StreamCondition::RestrictedXml, "restricted-xml"),
    (StreamCondition::SeeOtherHost, "see-other-host"),
    (StreamCondition::SystemShutdown, "system-shutdown"),
    (StreamCondition::UndefinedCondition, "undefined-condition"),
    (StreamCondition::UnsupportedEncoding, "unsupported-encoding"),
    (StreamCondition::UnsupportedFeature, "unsupported-feature"),
    (StreamCondition::UnsupportedStanzaType, "unsupported-stanza-type"),
    (StreamCondition::UnsupportedVersion, "unsupported-version"),
];

impl StreamCondition {
    /// The name of the element.
    pub fn as_str(self) -> &'static str {
        STREAM_CONDITIONS
            .iter()
            .find(|(condition, _)| *condition == self)
            .map_or("undefined-condition", |(_, name)| name)
    }

    /// Reads the name of the element.
    pub fn parse(name: &str) -> Option<Self> {
        STREAM_CONDITIONS.iter().find(|(_, known)| *known == name).map(|(condition, _)| *condition)
    }
}

/// A received stream error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// The condition; `undefined-condition` if there is none that is known.
    pub condition: StreamCondition,
    /// The human-readable text.
    pub text: Option<String>,
}

impl StreamError {
    /// The error in the element `stream:error`.
    pub fn of(error: &ChildRef<'_>) -> Self {
        let children = error.children();
        Self {
            condition: children
                .iter()
                .filter(|child| child.ns == ns::STREAM_ERRORS && child.name != "text")
                .find_map(|child| StreamCondition::parse(child.name))
                .unwrap_or(StreamCondition::UndefinedCondition),
            text: children.find("text", ns::STREAM_ERRORS).map(|text| text.text()),
        }
    }
}

/// The element `stream:error` with its literal prefix, which the stream header must have declared
/// (RFC 6120 section 4.9.2).
pub fn stream_error(condition: StreamCondition, text: Option<&str>) -> Bytes {
    let mut out = b"<stream:error>".to_vec();
    out.extend_from_slice(&El::ns(condition.as_str(), ns::STREAM_ERRORS).to_bytes());
    if let Some(text) = text {
        out.extend_from_slice(&El::ns("text", ns::STREAM_ERRORS).attr("xml:lang", "en").text(text).to_bytes());
    }
    out.extend_from_slice(b"</stream:error>");
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: Kind, type_: Option<&str>) -> Head {
        Head {
            from: Jid::new("romeo@montague.lit/garden").ok(),
            to: Jid::new("balcony@rooms.lit/juliet").ok(),
            id: Some("i1".into()),
            type_: type_.map(Into::into),
            ..Head::new(kind)
        }
    }

    #[test]
    fn replies_swap_the_addresses() {
        let reply = error_reply(
            &head(Kind::Message, Some("groupchat")),
            Some("rooms.lit"),
            ErrorType::Modify,
            "policy-violation",
            Some("too big"),
        )
        .unwrap();
        assert_eq!(
            reply,
            "<message from='balcony@rooms.lit/juliet' to='romeo@montague.lit/garden' type='error' id='i1'>\
             <error type='modify' by='rooms.lit'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>too big</text></error></message>"
        );
    }

    #[test]
    fn errors_and_results_are_never_answered() {
        let reply = |kind, type_| error_reply(&head(kind, type_), None, ErrorType::Wait, "gone", None).is_some();
        assert!(!reply(Kind::Iq, Some("result")));
        assert!(!reply(Kind::Iq, Some("error")));
        assert!(!reply(Kind::Presence, Some("error")));
        assert!(reply(Kind::Iq, Some("get")));
        assert!(reply(Kind::Presence, None));
        assert!(error_reply(&Head::new(Kind::Presence), None, ErrorType::Wait, "gone", None).is_none());
    }

    #[test]
    fn errors_are_read_back() {
        let content = Content::empty().with(error_element(
            Some("a.lit"),
            ErrorType::Wait,
            "remote-server-timeout",
            Some("Component unavailable"),
        ));
        let error = StanzaError::read(&content).unwrap();
        assert_eq!(error.condition, "remote-server-timeout");
        assert_eq!(error.type_, Some(ErrorType::Wait));
        assert_eq!(error.by, Jid::new("a.lit").ok());
        assert_eq!(error.text.as_deref(), Some("Component unavailable"));
        let bare = StanzaError::read(&Content::empty().with(El::new("error"))).unwrap();
        assert_eq!((bare.condition.as_str(), bare.type_), ("undefined-condition", None));
        assert_eq!(StanzaError::read(&Content::empty()), None);
    }

    #[test]
    fn every_condition_is_read_back() {
        for (condition, name) in STREAM_CONDITIONS {
            assert_eq!(condition.as_str(), name);
            assert_eq!(StreamCondition::parse(name), Some(condition));
        }
    }
}
