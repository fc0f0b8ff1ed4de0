//! What a stream may carry.
//!
//! Two kinds of limits (`design.md` 6). A **soft** one concerns one stanza: the stanza is skipped
//! without being built, tracked to its end, and reported as refused; the stream goes on, because on a
//! link that carries everybody no single user may be able to end it. A **hard** one protects this
//! process and ends the stream.
//!
//! The hard limits on component links must lie above what the server lets its users send: Prosody
//! passes on 256 KiB from clients and 512 KiB from other servers, nested as deep as fits
//! (`servers.md` 8).

use crate::error::ErrorType;

/// The limits of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Soft: levels of elements below the stanza. At most [`Limits::MAX_DEPTH`] counts.
    pub depth: usize,
    /// Soft: attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Soft: namespace declarations in force at once inside a stanza. Each name is looked up in them.
    pub declarations: usize,
    /// Soft: elements of one stanza, itself not counted.
    pub elements: usize,
    /// Soft: bytes of one stanza, both as it comes and in canonical form: prefixes that stand for
    /// long namespaces must not make much out of little.
    pub stanza_bytes: usize,
    /// Soft: bytes of one name of an element or attribute.
    pub name_bytes: usize,
    /// Soft: bytes of one attribute value or namespace, entities resolved. The default is what
    /// parsers built on `rxml` take without ending their stream.
    pub value_bytes: usize,
    /// The limits that end the stream.
    pub hard: HardLimits,
}

/// The limits that end the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardLimits {
    /// Bytes before the end of the stream header.
    pub header_bytes: usize,
    /// Bytes of one stanza, which are read and thrown away.
    pub stanza_bytes: usize,
    /// Levels of elements, the stream header included. The default is above what fits into 512 KiB.
    pub depth: usize,
    /// Bytes of one name or attribute: what is held while it is incomplete.
    pub token_bytes: usize,
    /// Bytes of the names of all open elements.
    pub name_bytes: usize,
}

impl Limits {
    /// No content is ever deeper, whatever the configuration says: deeper stanzas kill ejabberd
    /// (`servers.md` 8), and trees are dropped recursively.
    pub const MAX_DEPTH: usize = 256;

    /// What may leave, and what stored content is read with. Wider than what may come in by
    /// default, because the service wraps (`forwarded`, `delay`, `stanza-id`); 512 KiB is where
    /// Prosody ends a component's stream.
    pub const fn outgoing() -> Self {
        Self {
            depth: Self::MAX_DEPTH,
            // Prefixed attributes need a declaration each in canonical form.
            attributes: 256,
            declarations: 16 * 1024,
            elements: 20_000,
            stanza_bytes: 512 * 1024,
            name_bytes: 1024,
            value_bytes: 8192,
            hard: HardLimits::DEFAULT,
        }
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth.min(Self::MAX_DEPTH)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            attributes: 64,
            declarations: 256,
            elements: 10_000,
            stanza_bytes: 256 * 1024,
            name_bytes: 1024,
            value_bytes: 8192,
            hard: HardLimits::DEFAULT,
        }
    }
}

impl HardLimits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        header_bytes: 8 * 1024,
        stanza_bytes: 16 * 1024 * 1024,
        depth: 100_000,
        token_bytes: 1024 * 1024,
        name_bytes: 1024 * 1024,
    };
}

impl Default for HardLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why one stanza was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Beyond [`Limits::depth`].
    #[error("nested too deep")]
    TooDeep,
    /// Beyond [`Limits::attributes`].
    #[error("an element with too many attributes")]
    TooManyAttributes,
    /// Beyond [`Limits::declarations`].
    #[error("too many namespace declarations")]
    TooManyDeclarations,
    /// Beyond [`Limits::elements`].
    #[error("too many elements")]
    TooManyElements,
    /// Beyond [`Limits::stanza_bytes`].
    #[error("too big")]
    TooBig,
    /// Beyond [`Limits::name_bytes`].
    #[error("a name is too long")]
    NameTooLong,
    /// Beyond [`Limits::value_bytes`].
    #[error("an attribute value is too long")]
    ValueTooLong,
    /// An element in the namespace of the prefix `xml`, which no document may declare (Namespaces in
    /// XML 1.0 section 3) and so nobody can relay.
    #[error("an element in a reserved namespace")]
    ReservedNamespace,
    /// `from` or `to` is no JID (RFC 7622).
    #[error("an address is malformed")]
    BadAddress,
}

impl Refusal {
    /// The name of the limit or rule, for metrics and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooDeep => "depth",
            Self::TooManyAttributes => "attributes",
            Self::TooManyDeclarations => "declarations",
            Self::TooManyElements => "elements",
            Self::TooBig => "stanza_bytes",
            Self::NameTooLong => "name_bytes",
            Self::ValueTooLong => "value_bytes",
            Self::ReservedNamespace => "namespace",
            Self::BadAddress => "address",
        }
    }

    /// The condition and type of the error that tells the sender (RFC 6120 section 8.3.3).
    pub fn condition(self) -> (ErrorType, &'static str) {
        match self {
            Self::BadAddress => (ErrorType::Modify, "jid-malformed"),
            _ => (ErrorType::Modify, "policy-violation"),
        }
    }
}
