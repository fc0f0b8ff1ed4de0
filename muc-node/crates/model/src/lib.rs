//! Leaf of the tree: ids, configuration and row types. Plain data, no behaviour beyond conversions.
//!
//! Everything that more than one crate must name lives here: what `crds` builds, `control` carries,
//! `room` decides on and `store` keeps. Dependencies stay at `serde` and `jid`.

pub mod config;
pub mod ids;
pub mod object;
pub mod rows;
pub mod time;

pub use config::{
    Affiliation, Anonymity, ComponentConfig, FederationConfig, FlavourHint, History, JidExposure, PeerConfig, PeerRef,
    PeerRooms, PeerTimers, RoomConfig, ServiceConfig, ServiceTimers, Uplink, Vouch,
};
pub use ids::{Batch, Birth, Epoch, Generation, Incarnation, Lane, Path, RoomId, Secret, Seq, Shard, Thing, Ticket};
pub use object::{Body, Kind as ObjectKind, Object, ObjectName};
pub use rows::{
    AffiliationRow, Direction, Flavour, FmucKeyRow, LogKind, LogRow, OccupantRow, PeeringRow, PeeringState,
    PeeringView, Role, RoomRow, RoomRows, Routed, Row,
};
pub use time::{Now, UnixMs};
