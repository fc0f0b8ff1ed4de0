//! With real servers and real clients: the rooms' own users, and users of the other server.

use warren_testkit::peers::world::Site as At;
use warren_testkit::peers::{User, World, body_of};

use crate::common::{Node, PATIENCE, SECRET, Site, manifest, run};

/// A node at one of the two servers.
struct Rooms {
    site: Site,
    room: String,
    node: Node,
}

impl Rooms {
    async fn at(world: &World, at: At) -> Self {
        let access = world.access(at, at.rooms()).unwrap();
        let site = Site::new(access.addr);
        let yaml = manifest(access.addr)
            .replace("rooms.wonderland.lit", at.rooms())
            .replace("[wonderland.lit]", &format!("[{}]", at.domain()))
            .replace(SECRET, &access.secret);
        site.declare("site.yaml", &yaml);
        let node = site.serve();
        node.said("the link is up").await;
        Self { room: format!("lobby@{}", at.rooms()), node, site }
    }

    async fn says(&self, who: &User, to: &mut User, body: &str) {
        let room = &self.room;
        who.send(&format!("<message type='groupchat' to='{room}' id='{body}'><body>{body}</body></message>"))
            .await
            .unwrap();
        to.expect(body, PATIENCE, |s| body_of(s).as_deref() == Some(body)).await.unwrap();
    }

    /// A user of this server and one of the other talk, also after a kill and a restart.
    async fn serve_users_of_both(mut self, mut here: User, mut there: User) {
        here.join(&self.room, "Here", PATIENCE).await.unwrap();
        there.join(&self.room, "There", PATIENCE).await.unwrap();
        self.says(&here, &mut there, "question").await;
        self.says(&there, &mut here, "answer").await;

        self.node.kill().await;
        self.node = self.site.serve();
        self.node.said("the link is up").await;
        let room = self.room.clone();
        let seat = |nick: &str| format!("{room}/{nick}");
        assert_eq!(there.self_ping(&seat("There"), PATIENCE).await.unwrap().attr("type"), Some("result"));
        let again = Rooms { room: self.room, node: self.node, site: self.site };
        again.says(&there, &mut here, "still-there").await;
        again.says(&here, &mut there, "still-here").await;

        let Rooms { mut node, site, room } = again;
        node.signal("-TERM");
        assert!(node.ended().await.success(), "{}", node.log());
        let log = run(&["log", &room, "--store", &site.store()], site.dir.path()).await;
        let said: Vec<_> = log.out.lines().filter(|line| line.contains(" message ")).collect();
        assert_eq!(said.len(), 4, "{}", log.out);
        assert!(!log.out.contains(" leave "), "{}", log.out);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prosody_and_ejabberd() {
    let world = World::builder().tls(false).start().await.unwrap();
    let (alice, hamlet) =
        (world.user(At::Wonderland, "alice").await.unwrap(), world.user(At::Denmark, "hamlet").await.unwrap());
    Rooms::at(&world, At::Wonderland).await.serve_users_of_both(alice, hamlet).await;
    let (hatter, ophelia) =
        (world.user(At::Wonderland, "hatter").await.unwrap(), world.user(At::Denmark, "ophelia").await.unwrap());
    Rooms::at(&world, At::Denmark).await.serve_users_of_both(ophelia, hatter).await;
    world.stop().await.unwrap();
}
