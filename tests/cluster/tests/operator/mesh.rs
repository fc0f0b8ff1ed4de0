//! Several nodes on one PostgreSQL: all of them serve, and any of them is asked.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jid::BareJid;
use minidom::Element;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use warren_cluster::{Capability, eventually};
use warren_control::Answer;
use warren_control::grpc::Client;
use warren_control::grpc::tls::ClientSide;
use warren_model::config::RoomConfig;
use warren_model::{Body, Generation, Object, ObjectKind, ObjectName};
use warren_test_postgres::{Durability, Server};
use warren_testkit::acceptor::{Acceptor, Link};
use warren_testkit::node::get;

use crate::world::{
    Process, SECRET, World, condition, free, nth_slice, object, room, secret, service, story, story_alone,
};

const LONG: Duration = Duration::from_secs(20);
const NEEDS: &[Capability] = &[Capability::Crd, Capability::Rbac, Capability::Lease];
const NAMES: [&str; 3] = ["pod-0", "pod-1", "pod-2"];
/// Enough that each of three nodes has some, whatever the addresses are.
const ROOMS: usize = 24;
/// So long nobody governs.
const AWAY: Duration = Duration::from_mins(1);
const ALICE: &str = "alice@wonderland.lit/tea";
const BOB: &str = "bob@wonderland.lit/tea";

/// Nodes that share a store, and where control is spoken with each.
struct Nodes {
    processes: Vec<Process>,
    controls: Vec<SocketAddr>,
    _postgres: Server,
}

impl Nodes {
    async fn start(world: &World, acceptor: &Acceptor) -> Result<Self> {
        let postgres = spawn_blocking(|| Server::start(Durability::Memory)).await??;
        let url = postgres.database_url()?;
        let (mut processes, mut controls) = (Vec::new(), Vec::new());
        world.apply(&secret("component", SECRET)).await?;
        world.apply(&service(&world.domain(), acceptor.addr()?)).await?;
        for (n, name) in NAMES.into_iter().enumerate() {
            let control = free()?;
            processes.push(world.node_of_many(name, control, &url)?);
            world.apply(&nth_slice("chat", n, control.port())).await?;
            controls.push(control);
        }
        Ok(Self { processes, controls, _postgres: postgres })
    }

    /// Which of them has a room.
    async fn owner(&self, room: &str) -> Result<usize> {
        for (n, process) in self.processes.iter().enumerate() {
            if get(process.admin, &format!("/owner?room={room}")).await.is_ok_and(|(code, _)| code == 200) {
                return Ok(n);
            }
        }
        anyhow::bail!("nobody has {room}")
    }
}

/// The node that an operator calls.
fn called(operator: &Process) -> Result<usize> {
    let log = operator.log();
    let line = log.lines().rfind(|line| line.contains("this pod is asked from now on")).context("no pod is asked")?;
    NAMES.iter().position(|name| line.contains(&format!("pod=\"{name}\""))).with_context(|| line.to_owned())
}

async fn rooms(world: &World) -> Result<Vec<Value>> {
    let all: Value =
        serde_json::from_str(&world.kubectl.run(&["get", "froom", "-n", world.name(), "-o", "json"]).await?)?;
    Ok(all["items"].as_array().cloned().unwrap_or_default())
}

fn message<'a>(to: &'a str, id: &'a str) -> impl Fn(&Element) -> bool + 'a {
    move |stanza| stanza.name() == "message" && stanza.attr("to") == Some(to) && stanza.attr("id") == Some(id)
}

async fn talk(link: &mut Link, room: &str, id: &str) -> Result<()> {
    let said = format!("<message type='groupchat' from='{ALICE}' to='{room}' id='{id}'><body>{id}</body></message>");
    link.send(said).await?;
    for user in [ALICE, BOB] {
        link.expect(&format!("{id} at {user}"), LONG, message(user, id)).await?;
    }
    Ok(())
}

#[test]
fn rooms_of_many_nodes_are_ready_and_any_node_is_asked() {
    story(async |cluster| {
        if cluster.lacks("rooms_of_many_nodes_are_ready_and_any_node_is_asked", NEEDS)? {
            return Ok(());
        }
        let world = World::new(cluster, "mesh").await?;
        let acceptor = Acceptor::bind(SECRET).await?;
        let operator = world.operator("operator", false)?;
        let mut nodes = Nodes::start(&world, &acceptor).await?;
        let link = acceptor.accept(LONG).await.with_context(|| operator.log())?;
        let peer = json!({"domain": "talk.denmark.lit", "vouch": {"any": true}});
        world.apply(&object("FederationPeer", "denmark", peer)).await?;
        let uplink = json!({"federation": {"jidExposure": "Real",
            "uplink": {"sync": "WhenOccupied", "candidates": [{"peer": "denmark"}]}}});
        let items: Vec<_> = (0..ROOMS).map(|n| room(&format!("r{n}"), &uplink)).collect();
        let begin = Instant::now();
        world.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items})).await?;
        eventually("all rooms are Ready", async || {
            let all = rooms(&world).await?;
            let ready = all.iter().filter(|room| condition(room, "Ready")["status"] == "True").count();
            ensure!(ready == ROOMS, "{ready} of {}: {}", all.len(), operator.log());
            Ok(())
        })
        .await?;
        warren_testkit::figure!("{ROOMS} rooms on three nodes are Ready after {:.1} s", begin.elapsed().as_secs_f64());
        world.until("mucs", "chat", "Ready", "True").await?;

        // One room of each owner, of which two are not asked.
        let called_first = called(&operator)?;
        let domain = world.domain();
        let some = eventually("each node has rooms", async || {
            let mut some: [Option<usize>; 3] = [None; 3];
            for n in 0..ROOMS {
                some[nodes.owner(&format!("r{n}@{domain}")).await?] = Some(n);
            }
            let [Some(a), Some(b), Some(c)] = some else { anyhow::bail!("{some:?}") };
            Ok([a, b, c])
        })
        .await?;
        // Somebody comes, and the room asks its peer; only the owner knows of that.
        for n in some {
            let join = format!(
                "<presence from='{ALICE}' to='r{n}@{domain}/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            );
            link.send(join).await?;
        }
        for n in some {
            let end = Instant::now() + Duration::from_secs(40);
            loop {
                let state = world.get("froom", &format!("r{n}")).await?["status"]["peers"][0]["state"].clone();
                if state == "Connecting" || state == "Unreachable" {
                    println!("r{n}: {state}");
                    break;
                }
                ensure!(Instant::now() < end, "r{n} is occupied, and its peer is {state}:\n{}", operator.log());
                sleep(Duration::from_millis(200)).await;
            }
        }

        // Each node says the same of what is wrong.
        let name = ObjectName { kind: ObjectKind::FederatedRoom, namespace: "x".to_owned(), name: "wrong".to_owned() };
        let wrong = Object {
            name,
            uid: "wrong".to_owned(),
            generation: Generation(1),
            digest: "d".to_owned(),
            body: Body::Room {
                jid: BareJid::new(&format!("r0@{domain}"))?,
                config: RoomConfig::default(),
                destroy_on_delete: false,
            },
        };
        let mut said = Vec::new();
        for control in &nodes.controls {
            let client = Client::new(*control, ClientSide::plaintext(*control)?);
            let Answer::Refused(refusal) = client.apply(&wrong).await? else { anyhow::bail!("{control} takes it") };
            said.push(refusal);
        }
        warren_testkit::figure!("refused by each: {}", said[0].message);
        ensure!(said.iter().all(|refusal| *refusal == said[0] && refusal.reason == "AddressTaken"), "{said:?}");

        // Whoever is asked may die.
        let links = tokio::spawn(async move {
            let mut links = vec![link];
            while let Ok(link) = acceptor.accept(Duration::from_mins(5)).await {
                links.push(link);
            }
        });
        let begin = Instant::now();
        nodes.processes[called_first].signal("-KILL")?;
        nodes.processes[called_first].ended().await?;
        let edited = format!("r{}", some[called_first]);
        let mut more = uplink.clone();
        more["title"] = json!("Edited");
        world.apply(&room(&edited, &more)).await?;
        let end = begin + Duration::from_secs(40);
        while world.get("froom", &edited).await?["status"]["configVersion"] != "2" {
            ensure!(Instant::now() < end, "the edit of {edited} is not taken:\n{}", operator.log());
            sleep(Duration::from_millis(100)).await;
        }
        warren_testkit::figure!(
            "an edit after the node that was asked was killed: {:.1} s",
            begin.elapsed().as_secs_f64()
        );
        ensure!(called(&operator)? != called_first, "{}", operator.log());
        world.until("froom", &edited, "Ready", "True").await?;
        links.abort();
        Ok(())
    });
}

#[test]
fn rooms_do_not_notice_that_nobody_governs() {
    story_alone(AWAY, async |mut cluster| {
        let world = World::new(&cluster, "away").await?;
        let acceptor = Acceptor::bind(SECRET).await?;
        let mut operator = world.operator("operator-0", false)?;
        let nodes = Nodes::start(&world, &acceptor).await?;
        let mut link = acceptor.accept(LONG).await.with_context(|| operator.log())?;
        world.apply(&room("tea", &json!({}))).await?;
        world.until("froom", "tea", "Ready", "True").await?;
        let tea = format!("tea@{}", world.domain());
        for (user, nick) in [(ALICE, "Alice"), (BOB, "Bob")] {
            link.join(user, &format!("{tea}/{nick}"), LONG).await?;
        }
        talk(&mut link, &tea, "before").await?;
        link.inbox().collect(Duration::from_millis(500)).await;

        operator.signal("-KILL")?;
        operator.ended().await?;
        cluster.server()?.kill().await?;
        let killed = Instant::now();
        let (mut said, mut slowest) = (0, Duration::ZERO);
        while killed.elapsed() < AWAY {
            let begin = Instant::now();
            talk(&mut link, &tea, &format!("m{said}")).await?;
            slowest = slowest.max(begin.elapsed());
            said += 1;
            sleep(Duration::from_millis(250)).await;
        }
        // Every message was waited for and taken: what is left came twice, or says that somebody has gone.
        // A message without words asks a server whether somebody is still there (an audit, when it answers late).
        let odd = |stanza: &Element| stanza.name() == "presence" || stanza.children().next().is_some();
        let stanzas =
            link.inbox().take().into_iter().filter(|arrival| ["message", "presence"].contains(&arrival.stanza.name()));
        let others: Vec<_> = stanzas.filter(|arrival| odd(&arrival.stanza)).collect();
        ensure!(others.is_empty(), "nobody has come, gone or said this: {others:?}");
        warren_testkit::figure!(
            "API server and operator away for {:.1} s: {said} messages, all at both, the slowest after {:.3} s, no presence",
            killed.elapsed().as_secs_f64(),
            slowest.as_secs_f64()
        );

        cluster.server()?.start_again().await?;
        let again = world.operator("operator-1", false)?;
        let begin = Instant::now();
        world.apply(&room("tea", &json!({"title": "Mad tea"}))).await?;
        while world.get("froom", "tea").await?["status"]["configVersion"] != "2" {
            ensure!(begin.elapsed() < Duration::from_secs(40), "{}", again.log());
            sleep(Duration::from_millis(100)).await;
        }
        warren_testkit::figure!(
            "an edit goes through {:.1} s after the operator's start",
            begin.elapsed().as_secs_f64()
        );
        talk(&mut link, &tea, "after").await?;
        drop(nodes);
        Ok(())
    });
}
