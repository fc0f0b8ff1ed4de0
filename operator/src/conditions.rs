//! Conditions, as everybody on Kubernetes reads them: a transition time that moves with the status and with nothing
//! else, and types that stay once they are there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::validate::short;

/// What a condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// It is so.
    True,
    /// It is not.
    False,
    /// Nobody can say.
    Unknown,
}

impl Is {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Types and reasons that the operator writes beside those of `warren_crds::Reason`. The spelling is an API.
pub mod names {
    macro_rules! names {
        ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
            $($(#[$doc])* pub const $name: &str = $text;)*
            /// All of them.
            pub const ALL: &[&str] = &[$($text),*];
        };
    }
    names! {
        /// Type: the declaration is right.
        ACCEPTED = "Accepted";
        /// Type: the pods have it.
        PROGRAMMED = "Programmed";
        /// Type, rooms: a pod owns it.
        HOSTED = "Hosted";
        /// Type, rooms: it is joined with its peers.
        FEDERATED = "Federated";
        /// Type, services: pods answer, and the XMPP world is reached.
        AVAILABLE = "Available";
        /// Type, services: something needs a hand. True is bad.
        DEGRADED = "Degraded";
        /// Type: the sum of the others.
        READY = "Ready";
        /// Type: as the annotation says.
        PAUSED = "Paused";
        /// No pod can be reached.
        AWAITING_NODES = "AwaitingNodes";
        /// The pods were asked and have not acknowledged yet.
        AWAITING_ACK = "AwaitingAck";
        /// The pods have refused it.
        NODE_REJECTED = "NodeRejected";
        /// A Secret has not been read yet.
        AWAITING_SECRET = "AwaitingSecret";
        /// An object of the wanted name belongs to somebody else.
        FOREIGN_OBJECT = "ForeignObject";
        /// A pod owns it.
        OWNED = "Owned";
        /// No pod has been heard of for a minute.
        NO_OWNER = "NoOwner";
        /// All peers are joined.
        ALL_PEERS_JOINED = "AllPeersJoined";
        /// Nobody is in the room.
        PEERINGS_IDLE = "PeeringsIdle";
        /// The room names no peer.
        NOT_FEDERATED = "NotFederated";
        /// Some peer is not joined yet.
        PEERS_PENDING = "PeersPending";
        /// A required peer is lost.
        REQUIRED_PEER_UNREACHABLE = "RequiredPeerUnreachable";
        /// Another peer is lost.
        OPTIONAL_PEER_UNREACHABLE = "OptionalPeerUnreachable";
        /// A peer does not admit us.
        PEER_REJECTED = "PeerRejected";
        /// We do not admit a peer.
        PEER_DENIED = "PeerDenied";
        /// Pods answer and the XMPP world is reached.
        CONNECTED = "Connected";
        /// Pods answer; none that they know of reaches the XMPP server.
        NOT_CONNECTED = "NotConnected";
        /// Nothing needs a hand.
        AS_EXPECTED = "AsExpected";
        /// It is to go, and rooms name it.
        ROOMS_PRESENT = "RoomsPresent";
        /// It is being taken out of the pods.
        TERMINATING = "Terminating";
        /// The annotation says so.
        PAUSED_BY_ANNOTATION = "PausedByAnnotation";
    }
}

/// Sets one condition.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    (is, reason, message): (Is, &str, &str),
    generation: i64,
    now: &Time,
) {
    let mut new = Condition {
        type_: type_.to_owned(),
        status: is.as_str().to_owned(),
        reason: reason.to_owned(),
        message: short(message),
        observed_generation: Some(generation),
        last_transition_time: now.clone(),
    };
    match conditions.iter_mut().find(|c| c.type_ == type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

/// A condition by its type.
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether a condition is True for this generation.
pub fn is_true(conditions: &[Condition], type_: &str, generation: i64) -> bool {
    get(conditions, type_).is_some_and(|c| c.status == "True" && c.observed_generation == Some(generation))
}

/// Ready copies the first of `order` that is not True.
pub fn summarise(conditions: &mut Vec<Condition>, order: &[&str], generation: i64, now: &Time) {
    let failing = order.iter().find_map(|type_| get(conditions, type_).filter(|c| c.status != "True")).cloned();
    match failing {
        None => set(conditions, names::READY, (Is::True, names::READY, ""), generation, now),
        Some(first) => {
            let is = if first.status == "Unknown" { Is::Unknown } else { Is::False };
            set(conditions, names::READY, (is, &first.reason, &first.message), generation, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    fn time(seconds: i64) -> Time {
        Time(Timestamp::from_second(seconds).unwrap())
    }

    #[test]
    fn the_time_moves_with_the_status_only() {
        let mut all = Vec::new();
        set(&mut all, "A", (Is::False, "X", "one"), 1, &time(1));
        set(&mut all, "A", (Is::False, "Y", "two"), 2, &time(2));
        assert_eq!((all[0].last_transition_time.clone(), all[0].reason.as_str()), (time(1), "Y"));
        let before = all.clone();
        set(&mut all, "A", (Is::False, "Y", "two"), 2, &time(3600));
        assert_eq!(all, before, "the same again is the same");
        set(&mut all, "A", (Is::True, "Z", ""), 2, &time(9));
        assert_eq!(all[0].last_transition_time, time(9));
        assert!(is_true(&all, "A", 2) && !is_true(&all, "A", 3));
    }

    #[test]
    fn ready_copies_the_first_that_fails() {
        let mut all = Vec::new();
        set(&mut all, "A", (Is::True, "Fine", ""), 1, &time(1));
        set(&mut all, "B", (Is::Unknown, "Who", "knows"), 1, &time(1));
        set(&mut all, "C", (Is::False, "Bad", "no"), 1, &time(1));
        summarise(&mut all, &["A", "B", "C"], 1, &time(1));
        let ready = get(&all, "Ready").unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str(), ready.message.as_str()), ("Unknown", "Who", "knows"));
        summarise(&mut all, &["A"], 1, &time(1));
        assert_eq!(get(&all, "Ready").unwrap().status, "True");
    }

    #[test]
    fn names_are_reasons_as_kubernetes_takes_them() {
        for name in names::ALL {
            assert!(name.chars().all(char::is_alphanumeric) && name.starts_with(char::is_uppercase), "{name}");
        }
    }
}
