//! What a log row holds beyond its columns: all that is needed to show it again, after a restart, to a
//! newcomer, to a peer. CBOR, so that a version that knows one field more or less still reads it.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use warren_model::{Affiliation, Role};

/// Payload of a log row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// `LogKind::Message` and `LogKind::Subject`.
    Message(Message),
    /// `LogKind::Join`.
    Join(Join),
    /// `LogKind::Leave`.
    Leave(Leave),
    /// `LogKind::Nick`.
    Nick(NickChange),
    /// `LogKind::Role`.
    Role(RoleChange),
    /// `LogKind::Config`.
    Config(ConfigChange),
}

/// A groupchat message or subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender's `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// `xml:lang` of the stanza.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Box<str>>,
    /// Node that gave the id, when another one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<jid::BareJid>,
    /// Canonical bytes of the children, cleaned of all that is the room's to say.
    pub content: ByteBuf,
}

/// A session came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Affiliation as shown.
    #[serde(default)]
    pub affiliation: Affiliation,
    /// Role as shown.
    #[serde(default)]
    pub role: Role,
    /// Canonical bytes of the presence's children.
    #[serde(default)]
    pub presence: ByteBuf,
    /// Another session of an occupant who was there already.
    #[serde(default)]
    pub again: bool,
}

/// Why somebody is no longer an occupant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Left (XEP-0045 7.14).
    #[default]
    Left,
    /// 307: kicked by a moderator (8.2).
    Kicked,
    /// 301: banned (9.1).
    Banned,
    /// 321: lost membership of a members-only room (9.4).
    Affiliation,
    /// 322: the room became members-only (10.2).
    MembersOnly,
    /// 333: technical reasons, an error or a lost path (11.1).
    Technical,
    /// The room was destroyed (10.9).
    Destroyed,
}

impl Cause {
    /// The status code, if the cause has one.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Left | Self::Destroyed => None,
            Self::Kicked => Some(307),
            Self::Banned => Some(301),
            Self::Affiliation => Some(321),
            Self::MembersOnly => Some(322),
            Self::Technical => Some(333),
        }
    }
}

/// A session went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// Affiliation as shown from now on.
    #[serde(default)]
    pub affiliation: Affiliation,
    /// Why.
    #[serde(default)]
    pub cause: Cause,
    /// The user's own words (`<status/>` of the presence).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Reason in the words of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Nick of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Box<str>>,
    /// Other sessions of this occupant stay: nobody else is told.
    #[serde(default)]
    pub others_stay: bool,
    /// Canonical bytes of `<destroy/>`, when the room was destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroy: Option<ByteBuf>,
}

/// A change of nick; the row's nick is the old one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NickChange {
    /// The new nick.
    pub new: Box<str>,
    /// Affiliation as shown.
    #[serde(default)]
    pub affiliation: Affiliation,
    /// Role as shown.
    #[serde(default)]
    pub role: Role,
    /// Canonical bytes of the presence's children.
    #[serde(default)]
    pub presence: ByteBuf,
}

/// A change of role or affiliation of a present occupant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChange {
    /// Affiliation as shown from now on.
    #[serde(default)]
    pub affiliation: Affiliation,
    /// Role from now on.
    #[serde(default)]
    pub role: Role,
    /// Reason in the words of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Nick of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Box<str>>,
}

/// A change of the room's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChange {
    /// Status codes of XEP-0045 10.2.1 that tell occupants what changed.
    #[serde(default)]
    pub codes: Vec<u16>,
}

impl Payload {
    /// Bytes for the store.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        // Writing plain data to memory has no way to fail.
        let _ = ciborium::into_writer(self, &mut bytes);
        bytes
    }

    /// From the store; `None` if a later version wrote what this one cannot read.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        ciborium::from_reader(bytes).ok()
    }
}
