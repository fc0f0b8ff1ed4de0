//! What is applied.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use jid::BareJid;
use warren_model::{Body, Generation, Object, ObjectKind, ObjectName, PeerConfig, RoomConfig, ServiceConfig, Shard};

/// What an object claims for itself alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// The domain of a service.
    Service(Box<str>),
    /// The domain of a peer.
    Peer(Box<str>),
    /// The address of a room.
    Room(BareJid),
}

impl Address {
    /// The address that an object claims.
    pub fn of(object: &Object) -> Self {
        match &object.body {
            Body::Service(service) => Self::Service(service.domain.clone()),
            Body::Peer(peer) => Self::Peer(peer.domain.clone()),
            Body::Room { jid, .. } => Self::Room(jid.clone()),
        }
    }
}

impl Address {
    /// The shard whose owner decides about the object.
    pub fn shard(&self) -> Shard {
        match self {
            Self::Service(domain) | Self::Peer(domain) => BareJid::new(domain).map_or(Shard(0), |jid| Shard::of(&jid)),
            Self::Room(jid) => Shard::of(jid),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(domain) | Self::Peer(domain) => f.write_str(domain),
            Self::Room(jid) => f.write_str(jid.as_str()),
        }
    }
}

/// The answer to an accepted Apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The uid was not known.
    New,
    /// Another generation, or another digest (a rotated secret): persist it.
    Changed,
    /// Nothing to do.
    Unchanged,
}

/// The answer to a refused Apply. The text is for the condition `Programmed` and for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A newer declaration has been applied: this one comes late.
    #[error("{name}: generation {given} is older than {stored}, which is applied")]
    LowerGeneration {
        /// Of which object.
        name: ObjectName,
        /// What was given.
        given: Generation,
        /// What is applied.
        stored: Generation,
    },
    /// Another object has the address. Remove that one first.
    #[error("{name}: {address} belongs to {holder} (uid {uid})")]
    AddressTaken {
        /// Of which object.
        name: ObjectName,
        /// What it claims.
        address: Address,
        /// Who has it.
        holder: Box<ObjectName>,
        /// The holder's uid: with `name` equal to `holder`, an earlier object of the same name.
        uid: String,
    },
    /// An object of the name, with another uid, is applied: deleted and created again. Remove that one first.
    #[error("{name}: an earlier object of that name is applied (uid {uid})")]
    NameTaken {
        /// Of which object.
        name: ObjectName,
        /// The earlier object's uid.
        uid: String,
    },
    /// Services and rooms keep their address for life: history, ids and peerings hang on it.
    #[error(
        "{name}: the address is immutable: {stored} cannot become {given}; delete the object and create it anew \
         (in manifests: under another metadata.name)"
    )]
    AddressChanged {
        /// Of which object.
        name: ObjectName,
        /// What was given.
        given: Address,
        /// What is applied.
        stored: Address,
    },
    /// The body is not one of the object's kind: the caller's mistake.
    #[error("{0}: the body is that of another kind")]
    WrongKind(ObjectName),
}

/// One entry of List.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Kind, namespace, name.
    pub name: &'a ObjectName,
    /// Identity over time.
    pub uid: &'a str,
    /// What is applied.
    pub generation: Generation,
    /// Hash of the body that is applied. Depends on secrets: not for people's eyes.
    pub digest: &'a str,
}

/// A room that is applied.
#[derive(Clone, Copy, Debug)]
pub struct RoomObject<'a> {
    /// Kind, namespace, name.
    pub name: &'a ObjectName,
    /// Identity over time.
    pub uid: &'a str,
    /// What is applied.
    pub generation: Generation,
    /// The room's address.
    pub jid: &'a BareJid,
    /// The room's configuration.
    pub config: &'a RoomConfig,
    /// What happens to the rows when the object goes away.
    pub destroy_on_delete: bool,
}

/// All objects that are applied. Every address and every name belongs to one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    /// By uid.
    objects: BTreeMap<String, Object>,
    /// uid by address.
    addresses: BTreeMap<Address, String>,
    /// uid by name.
    names: BTreeMap<ObjectName, String>,
}

impl Registry {
    /// Takes an object, or says why not; refused, nothing changes.
    ///
    /// A lower generation of one uid is refused. An equal one with another digest is accepted: a secret was rotated.
    pub fn apply(&mut self, object: Object) -> Result<Applied, Refused> {
        let name = &object.name;
        let address = Address::of(&object);
        let kind = match address {
            Address::Service(_) => ObjectKind::MucService,
            Address::Peer(_) => ObjectKind::FederationPeer,
            Address::Room(_) => ObjectKind::FederatedRoom,
        };
        if name.kind != kind {
            return Err(Refused::WrongKind(name.clone()));
        }
        let stored = self.objects.get(&object.uid);
        if let Some(stored) = stored {
            if object.generation < stored.generation {
                let (given, stored) = (object.generation, stored.generation);
                return Err(Refused::LowerGeneration { name: name.clone(), given, stored });
            }
            let before = Address::of(stored);
            if before != address && !matches!(address, Address::Peer(_)) {
                return Err(Refused::AddressChanged { name: name.clone(), given: address, stored: before });
            }
            if object.generation == stored.generation && object.digest == stored.digest {
                return Ok(Applied::Unchanged);
            }
        }
        if let Some(uid) = self.names.get(name).filter(|uid| **uid != object.uid) {
            return Err(Refused::NameTaken { name: name.clone(), uid: uid.clone() });
        }
        if let Some(holder) = self.holder(&address).filter(|holder| holder.uid != object.uid) {
            let (holder, uid) = (Box::new(holder.name.clone()), holder.uid.clone());
            return Err(Refused::AddressTaken { name: name.clone(), address, holder, uid });
        }
        let answer = if stored.is_some() { Applied::Changed } else { Applied::New };
        self.forget(&object.uid);
        self.addresses.insert(address, object.uid.clone());
        self.names.insert(object.name.clone(), object.uid.clone());
        self.objects.insert(object.uid.clone(), object);
        Ok(answer)
    }

    /// Takes an object away. `None`: there is none of that name with that uid, which is as good.
    pub fn remove(&mut self, name: &ObjectName, uid: &str) -> Option<Object> {
        let known = self.objects.get(uid).is_some_and(|o| o.name == *name);
        if known { self.forget(uid) } else { None }
    }

    fn forget(&mut self, uid: &str) -> Option<Object> {
        let object = self.objects.remove(uid)?;
        self.addresses.remove(&Address::of(&object));
        self.names.remove(&object.name);
        Some(object)
    }

    /// What is applied, by kind, namespace and name.
    pub fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.objects().map(|o| Listed { name: &o.name, uid: &o.uid, generation: o.generation, digest: &o.digest })
    }

    /// All objects, by kind, namespace and name: what there is to persist.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.names.values().filter_map(|uid| self.objects.get(uid))
    }

    /// All objects behind `after`, by kind, namespace and name.
    pub fn behind(&self, after: Option<&ObjectName>) -> impl Iterator<Item = &Object> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.names.range((from, Bound::Unbounded)).filter_map(|(_, uid)| self.objects.get(uid))
    }

    /// The object of a uid.
    pub fn get(&self, uid: &str) -> Option<&Object> {
        self.objects.get(uid)
    }

    /// The object that has an address.
    pub fn holder(&self, address: &Address) -> Option<&Object> {
        self.objects.get(self.addresses.get(address)?)
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = &ServiceConfig> {
        self.objects().filter_map(|o| match &o.body {
            Body::Service(service) => Some(service),
            _ => None,
        })
    }

    /// The service of a domain.
    pub fn service(&self, domain: &str) -> Option<&ServiceConfig> {
        match &self.holder(&Address::Service(domain.into()))?.body {
            Body::Service(service) => Some(service),
            _ => None,
        }
    }

    /// All peers, suspended ones too.
    pub fn peers(&self) -> impl Iterator<Item = &PeerConfig> {
        self.objects().filter_map(|o| match &o.body {
            Body::Peer(peer) => Some(peer),
            _ => None,
        })
    }

    /// The peer of a domain.
    pub fn peer(&self, domain: &str) -> Option<&PeerConfig> {
        match &self.holder(&Address::Peer(domain.into()))?.body {
            Body::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    /// All rooms.
    pub fn rooms(&self) -> impl Iterator<Item = RoomObject<'_>> {
        self.objects().filter_map(room)
    }

    /// The room of an address.
    pub fn room(&self, jid: &BareJid) -> Option<RoomObject<'_>> {
        room(self.holder(&Address::Room(jid.clone()))?)
    }
}

fn room(object: &Object) -> Option<RoomObject<'_>> {
    let Body::Room { jid, config, destroy_on_delete } = &object.body else { return None };
    Some(RoomObject {
        name: &object.name,
        uid: &object.uid,
        generation: object.generation,
        jid,
        config,
        destroy_on_delete: *destroy_on_delete,
    })
}

impl TryFrom<Vec<Object>> for Registry {
    type Error = Refused;

    /// What was persisted.
    fn try_from(objects: Vec<Object>) -> Result<Self, Refused> {
        let mut registry = Self::default();
        for object in objects {
            registry.apply(object)?;
        }
        Ok(registry)
    }
}
