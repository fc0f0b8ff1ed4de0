//! What is declared at each site, in its store before anything runs.

use warren_model::config::ComponentConfig;
use warren_model::{
    Body, FederationConfig, FlavourHint, Generation, History, Object, ObjectKind, ObjectName, PeerConfig, PeerRooms,
    PeerTimers, RoomConfig, ServiceConfig, ServiceTimers, Ticket, Uplink, Vouch,
};
use warren_store::{Faulty, Incarnation, Model, Work};

use super::World;
use crate::breakage::Breakage;
use crate::names::{Domain, Place, room};

fn object(kind: ObjectKind, name: &str, body: Body) -> Work {
    let object = Object {
        name: ObjectName { kind, namespace: "sim".to_owned(), name: name.to_owned() },
        uid: format!("{}/{name}", kind.as_str()),
        generation: Generation(1),
        digest: String::new(),
        body,
    };
    Work::Object { ticket: Ticket(0), object: Box::new(object) }
}

impl World {
    /// Puts the declarations of a site into its store, as an earlier process would have.
    pub(super) fn declare(&mut self, site: usize) {
        let peer = Domain::rooms(1 - site);
        let service = ServiceConfig {
            domain: Domain::rooms(site).name().into(),
            home_domains: [Domain::users(site).name().into()].into(),
            component: ComponentConfig { host: String::new(), port: 0, secret: String::new() },
            timers: ServiceTimers::default(),
        };
        let peer = PeerConfig {
            domain: peer.name().into(),
            vouch: Vouch::Any,
            rooms: PeerRooms::All,
            flavour: FlavourHint::Warren,
            timers: PeerTimers::default(),
            suspended: false,
        };
        let uplink = (site == 1).then(|| Uplink { room: room(0) });
        let config = RoomConfig {
            history: History { max_messages: 500, max_age: None },
            federation: Some(FederationConfig { uplink, ..FederationConfig::default() }),
            ..RoomConfig::default()
        };
        let objects = [
            object(ObjectKind::MucService, "service", Body::Service(service)),
            object(ObjectKind::FederationPeer, "peer", Body::Peer(peer)),
            object(ObjectKind::FederatedRoom, "room", Body::Room { jid: room(site), config, destroy_on_delete: false }),
        ];
        let mut model = Model::new();
        let own = model.take_over(Incarnation(0), self.clock(Place { site, pod: 0 }).wall);
        if let Err(error) = model.commit(own.lane, &objects) {
            self.history.broken.push(format!("the declarations are not taken: {error}"));
        }
        model.break_on_purpose(Breakage::store(self.breakage));
        self.sites[site].store = Faulty::new(model);
    }
}
