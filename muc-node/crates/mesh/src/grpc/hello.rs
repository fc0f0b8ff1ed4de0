//! The first frame of each direction: who speaks, and whether that is who was expected.

use bytes::Bytes;
use warren_model::Incarnation;

use super::proto::{self, frame::What};

/// The version of the protocol that is spoken here. It works with the one before and the one after.
pub const VERSION: u32 = 1;

/// Who we are.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub me: Incarnation,
    pub pod: String,
    pub site: String,
}

/// Why somebody is not talked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("the first frame is no hello")]
    NoHello,
    #[error("an incarnation has 16 bytes")]
    Incarnation,
    #[error("version {theirs} of the mesh does not work with version {VERSION}")]
    Version { theirs: u32 },
    #[error("\"{theirs}\" is another site than \"{ours}\"")]
    Site { theirs: String, ours: String },
    #[error("this is {me}, and {to} was called")]
    NotMe { me: Incarnation, to: Incarnation },
    #[error("{them} answers where {expected} was called")]
    NotThem { them: Incarnation, expected: Incarnation },
    #[error("the lower incarnation calls, and {them} is not lower than {me}")]
    Order { them: Incarnation, me: Incarnation },
    #[error("{0} is not in the table of this node")]
    Unknown(Incarnation),
}

/// An incarnation as it travels.
pub(super) fn to_bytes(incarnation: Incarnation) -> Bytes {
    Bytes::copy_from_slice(&incarnation.0.to_be_bytes())
}

fn incarnation(bytes: &[u8]) -> Result<Incarnation, Wrong> {
    bytes.try_into().map(|bytes| Incarnation(u128::from_be_bytes(bytes))).map_err(|_| Wrong::Incarnation)
}

impl Identity {
    /// What we say first to that one.
    pub fn hello(&self, to: Incarnation) -> proto::Frame {
        proto::Frame {
            what: Some(What::Hello(proto::Hello {
                version: VERSION,
                incarnation: to_bytes(self.me),
                pod: self.pod.clone(),
                site: self.site.clone(),
                to: to_bytes(to),
            })),
        }
    }

    /// Who says this, and the name of its pod, if it may speak to us.
    pub fn hear(&self, first: Option<proto::Frame>) -> Result<(Incarnation, String), Wrong> {
        let Some(proto::Frame { what: Some(What::Hello(hello)) }) = first else { return Err(Wrong::NoHello) };
        // Before the rest, which another version may say otherwise.
        if hello.version == 0 || hello.version.abs_diff(VERSION) > 1 {
            return Err(Wrong::Version { theirs: hello.version });
        }
        let (them, to) = (incarnation(&hello.incarnation)?, incarnation(&hello.to)?);
        if hello.site != self.site {
            return Err(Wrong::Site { theirs: hello.site, ours: self.site.clone() });
        }
        if to != self.me {
            return Err(Wrong::NotMe { me: self.me, to });
        }
        Ok((them, hello.pod))
    }

    /// The same of one who calls.
    pub fn hear_caller(&self, first: Option<proto::Frame>) -> Result<(Incarnation, String), Wrong> {
        let (them, pod) = self.hear(first)?;
        if them >= self.me {
            return Err(Wrong::Order { them, me: self.me });
        }
        Ok((them, pod))
    }

    /// The same of one whom we called.
    pub fn hear_called(&self, first: Option<proto::Frame>, expected: Incarnation) -> Result<String, Wrong> {
        let (them, pod) = self.hear(first)?;
        if them != expected {
            return Err(Wrong::NotThem { them, expected });
        }
        Ok(pod)
    }
}
