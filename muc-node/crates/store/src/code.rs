//! Numbers of enums in the store. They are part of the stored state: never change one, only add.

use warren_model::{Affiliation, Direction, Flavour, LogKind, ObjectKind, PeeringState, Role};

/// An enum that is kept as a small number.
pub trait Code: Sized + Copy {
    /// Its number.
    fn code(self) -> u8;
    /// The value of a number; `None`: a later version wrote it.
    fn from_code(n: u8) -> Option<Self>;
}

macro_rules! codes {
    ($($ty:ident { $($variant:ident = $n:literal),+ $(,)? })+) => {$(
        impl Code for $ty {
            fn code(self) -> u8 {
                match self { $(Self::$variant => $n),+ }
            }
            fn from_code(n: u8) -> Option<Self> {
                Some(match n { $($n => Self::$variant,)+ _ => return None })
            }
        }
    )+};
}

codes! {
    Role { None = 0, Visitor = 1, Participant = 2, Moderator = 3 }
    Affiliation { Outcast = 0, None = 1, Member = 2, Admin = 3, Owner = 4 }
    Direction { Uplink = 0, Downlink = 1 }
    Flavour { Xep = 0, Warren = 1 }
    PeeringState { Idle = 0, Joining = 1, Up = 2, Down = 3 }
    ObjectKind { MucService = 1, FederationPeer = 2, FederatedRoom = 3 }
}

impl Code for LogKind {
    fn code(self) -> u8 {
        // Numbered by the model, since ids and rows use the same numbers.
        self as u8
    }
    fn from_code(n: u8) -> Option<Self> {
        Self::from_number(n)
    }
}
