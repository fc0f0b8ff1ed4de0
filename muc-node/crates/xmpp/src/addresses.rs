//! Helpers around JIDs (RFC 7622).

use jid::Jid;

/// The domain of an address.
pub fn domain_of(jid: &Jid) -> &str {
    jid.domain().as_str()
}

/// The address as it stands inside an attribute: what [`crate::writer::Template::splice`] wants,
/// kept with the occupant so that fan-out escapes nothing.
pub fn escaped(jid: &Jid) -> Box<[u8]> {
    crate::escape::escape_attr(jid.as_str()).as_bytes().into()
}
