//! One story a test.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use warren_cluster::{Capability, eventually};
use warren_testkit::acceptor::Acceptor;

use crate::world::{SECRET, World, condition, free, object, room, secret, service, slice, story};

const LONG: Duration = Duration::from_secs(20);
const NEEDS: &[Capability] = &[Capability::Crd, Capability::Rbac, Capability::Lease];

#[test]
fn wrong_rooms_say_what_is_wrong() {
    story(async |cluster| {
        if cluster.lacks("wrong_rooms_say_what_is_wrong", NEEDS)? {
            return Ok(());
        }
        let world = World::new(cluster, "wrong").await?;
        let elsewhere = cluster.namespace("stranger").await?;
        let acceptor = Acceptor::bind(SECRET).await?;
        world.service(&acceptor, free()?).await?;
        let peer = json!({"domain": "talk.denmark.lit", "vouch": {"domains": ["denmark.lit"]}});
        world.apply(&object("FederationPeer", "denmark", peer)).await?;
        world.apply(&room("first", &json!({"localpart": "tea"}))).await?;
        sleep(Duration::from_millis(1100)).await; // creation times count seconds
        let uplink = |peer: &str, more: Value| {
            let mut uplink = json!({"sync": "WhenOccupied", "candidates": [{"peer": peer}]});
            uplink.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"federation": {"jidExposure": "Real", "uplink": uplink}})
        };
        let wrong = [
            ("peer", uplink("denmrak", json!({})), "PeerNotFound", ["uplink.candidates[0].peer", "did you mean"]),
            ("taken", json!({"localpart": "TEA"}), "JidConflict", ["spec.localpart", "another address"]),
            ("localpart", json!({"localpart": "tea\u{a0}party"}), "InvalidLocalpart", ["spec.localpart", "leave out"]),
            (
                "mirrored",
                uplink("denmark", json!({"sync": "Mirrored"})),
                "NotSupportedYet",
                ["spec.federation.uplink.sync", "write WhenOccupied"],
            ),
            (
                "password",
                json!({"config": {"passwordSecretRef": {"name": "none", "key": "k"}}}),
                "SecretNotFound",
                ["passwordSecretRef", "add it"],
            ),
        ];
        for (name, more, ..) in &wrong {
            world.apply(&room(name, more)).await?;
        }
        let mut stranger = room("stranger", &json!({"serviceRef": {"name": "chat", "namespace": world.name()}}));
        stranger["metadata"]["namespace"] = json!(elsewhere.name());
        world.kubectl.run_with(&["apply", "-f", "-"], &stranger.to_string()).await?;

        let _operator = world.operator("operator", true)?;
        for (name, _, reason, says) in &wrong {
            let found = world.until("froom", name, "Accepted", "False").await?;
            ensure!(found["reason"] == *reason, "{name}: {found}");
            let message = found["message"].as_str().context("a message")?;
            ensure!(says.iter().all(|s| message.contains(s)), "{name}: {message}");
            let ready = world.until("froom", name, "Ready", "False").await?;
            ensure!(ready["reason"] == *reason, "Ready copies it: {ready}");
        }
        let get = ["get", "froom", "stranger", "-n", elsewhere.name(), "-o", "json"];
        let found = eventually("the stranger is refused", async || {
            let object: Value = serde_json::from_str(&world.kubectl.run(&get).await?)?;
            let found = condition(&object, "Accepted");
            ensure!(found["status"] == "False", "{object}");
            Ok(found)
        })
        .await?;
        ensure!(found["reason"] == "NamespaceNotAllowed", "{found}");
        ensure!(found["message"].as_str().is_some_and(|m| m.contains("allowedRooms")), "{found}");

        // What is right waits for pods, and says that; the table says it too.
        let waits = world.until("froom", "first", "Ready", "False").await?;
        ensure!(waits["reason"] == "AwaitingNodes", "{waits}");
        let table = world.kubectl.run(&["get", "froom", "-n", world.name()]).await?;
        ensure!(table.contains("JidConflict") && table.contains(&format!("tea@{}", world.domain())), "{table}");

        // Nobody was ever told of these rooms: they go as they came. The next one has the address then.
        let names = ["delete", "froom", "first", "mirrored", "-n", world.name(), "--timeout=10s"];
        world.kubectl.run(&names).await?;
        world.until("froom", "taken", "Accepted", "True").await?;
        Ok(())
    });
}

#[test]
fn from_apply_to_ready_and_away_again() {
    story(async |cluster| {
        if cluster.lacks("from_apply_to_ready_and_away_again", NEEDS)? {
            return Ok(());
        }
        let world = World::new(cluster, "ready").await?;
        let (acceptor, control) = (Acceptor::bind(SECRET).await?, free()?);
        let node = world.node("node", control)?;
        let _operator = world.operator("operator", false)?;
        world.service(&acceptor, control).await?;
        let _link = acceptor.accept(LONG).await?;
        world.until("mucs", "chat", "Ready", "True").await?;
        world.apply(&secret("passwords", "swordfish")).await?;
        let begin = Instant::now();
        let password = json!({"config": {"passwordSecretRef": {"name": "passwords", "key": "secret"}}});
        world.apply(&room("tea", &password)).await?;
        world.until("froom", "tea", "Ready", "True").await?;
        warren_testkit::figure!("Ready after {:.2} s", begin.elapsed().as_secs_f64());
        let tea = world.get("froom", "tea").await?;
        ensure!(
            tea["status"]["jid"] == format!("tea@{}", world.domain()) && tea["status"]["configVersion"] == "1",
            "{tea}"
        );
        for type_ in ["Accepted", "Programmed", "Hosted", "Federated"] {
            ensure!(condition(&tea, type_)["status"] == "True", "{tea}");
        }
        ensure!(tea["metadata"]["finalizers"] == json!(["warren.chat/cleanup"]), "{tea}");
        let events = world.kubectl.run(&["get", "events", "-n", world.name()]).await?;
        ensure!(events.contains("federatedroom/tea") && events.contains("Ready"), "{events}");
        ensure!(!tea.to_string().contains("swordfish") && !events.contains("swordfish"));

        // An edit arrives.
        let begin = Instant::now();
        let mut edited = password.clone();
        edited["title"] = json!("Mad tea");
        world.apply(&room("tea", &edited)).await?;
        eventually("the edit is acknowledged", async || {
            let tea = world.get("froom", "tea").await?;
            ensure!(tea["status"]["configVersion"] == "2", "{tea}");
            Ok(())
        })
        .await?;
        warren_testkit::figure!("an edit after {:.2} s", begin.elapsed().as_secs_f64());

        // Another server for the component, from a rotated Secret on: the node follows.
        let other = Acceptor::bind("other").await?;
        world.apply(&secret("component", "other")).await?;
        world.apply(&service(&world.domain(), other.addr()?)).await?;
        let _link = other.accept(LONG).await?;
        world.until("mucs", "chat", "Ready", "True").await?;

        // Who takes the finalizer away by force leaves nothing behind in the pods.
        world.apply(&room("forced", &json!({}))).await?;
        world.until("froom", "forced", "Ready", "True").await?;
        let unheld = r#"{"metadata":{"finalizers":null}}"#;
        world.kubectl.run(&["delete", "froom", "forced", "-n", world.name(), "--wait=false"]).await?;
        drop(
            world
                .kubectl
                .ask(&["patch", "froom", "forced", "-n", world.name(), "--type=merge", "-p", unheld], "")
                .await?,
        );
        world.apply(&room("heir", &json!({"localpart": "forced"}))).await?;
        world.until("froom", "heir", "Ready", "True").await?;
        world.kubectl.run(&["delete", "froom", "heir", "-n", world.name(), "--timeout=20s"]).await?;

        // A service stays while rooms name it; a room goes out of the pods first.
        world.kubectl.run(&["delete", "mucs", "chat", "-n", world.name(), "--wait=false"]).await?;
        let degraded = world.until("mucs", "chat", "Degraded", "True").await?;
        ensure!(degraded["reason"] == "RoomsPresent", "{degraded}");
        world.kubectl.run(&["delete", "froom", "tea", "-n", world.name(), "--timeout=20s"]).await?;
        world.kubectl.run(&["wait", "--for=delete", "mucs/chat", "-n", world.name(), "--timeout=20s"]).await?;
        drop(node);
        Ok(())
    });
}

#[test]
fn a_restart_finds_what_was_missed_and_writes_nothing_else() {
    story(async |cluster| {
        let needs: Vec<_> = NEEDS.iter().copied().chain([Capability::Audit]).collect();
        if cluster.lacks("a_restart_finds_what_was_missed_and_writes_nothing_else", &needs)? {
            return Ok(());
        }
        let world = World::new(cluster, "restart").await?;
        let (acceptor, control) = (Acceptor::bind(SECRET).await?, free()?);
        let mut node = world.node("node", control)?;
        let mut operator = world.operator("operator-0", false)?;
        world.service(&acceptor, control).await?;
        let link = acceptor.accept(LONG).await?;
        for i in 0..5 {
            world.apply(&room(&format!("r{i}"), &json!({}))).await?;
        }
        for i in 0..5 {
            world.until("froom", &format!("r{i}"), "Ready", "True").await?;
        }
        world.until("mucs", "chat", "Ready", "True").await?;
        eventually("all rooms are counted", async || {
            let chat = world.get("mucs", "chat").await?;
            ensure!(chat["status"]["rooms"] == json!({"total": 5, "accepted": 5, "programmed": 5}), "{chat}");
            Ok(())
        })
        .await?;
        operator.signal("-KILL")?;
        operator.ended().await?;
        // Meanwhile: an edit, a deletion, a new room, and a new life of the node. Nobody needs the operator for it.
        node.signal("-TERM")?;
        drop(link);
        ensure!(node.ended().await?, "{}", node.log());
        let _node = world.node("node", control)?;
        let _link = acceptor.accept(LONG).await?;
        world.apply(&room("r1", &json!({"title": "New"}))).await?;
        world.apply(&room("r5", &json!({}))).await?;
        world.kubectl.run(&["delete", "froom", "r2", "-n", world.name(), "--wait=false"]).await?;

        let audit = cluster.audit()?;
        let mark = audit.mark()?;
        let again = world.operator("operator-1", false)?;
        let begin = Instant::now();
        // The dead one's Lease must be seen unchanged for 15 s.
        while world.get("froom", "r1").await?["status"]["configVersion"] != "2" {
            ensure!(begin.elapsed() < Duration::from_secs(40), "{}", again.log());
            sleep(Duration::from_millis(100)).await;
        }
        warren_testkit::figure!("a killed operator's successor acts after {:.1} s", begin.elapsed().as_secs_f64());
        world.until("froom", "r5", "Ready", "True").await?;
        world.kubectl.run(&["wait", "--for=delete", "froom/r2", "-n", world.name(), "--timeout=20s"]).await?;
        sleep(Duration::from_secs(2)).await;
        let mine = audit.writes(mark)?.into_iter().filter(|w| w.user == world.user() && w.stored());
        let touched: Vec<_> = mine.filter(|w| w.resource.starts_with("federatedrooms")).map(|w| w.name).collect();
        ensure!(touched.iter().all(|name| ["r1", "r2", "r5"].contains(&name.as_str())), "{touched:?}");
        Ok(())
    });
}

#[test]
fn of_two_replicas_one_leads() {
    story(async |cluster| {
        if cluster.lacks("of_two_replicas_one_leads", NEEDS)? {
            return Ok(());
        }
        let world = World::new(cluster, "two").await?;
        world.apply(&secret("component", SECRET)).await?;
        world.apply(&service(&world.domain(), free()?)).await?;
        let mut first = world.operator("first", false)?;
        let leads = async |p: &crate::world::Process| p.metric("warren_operator_leads").await;
        eventually("the first leads", async || {
            ensure!(leads(&first).await? > 0.5);
            Ok(())
        })
        .await?;
        let mut second = world.operator("second", false)?;
        world.until("mucs", "chat", "Accepted", "True").await?;
        sleep(Duration::from_secs(3)).await;
        ensure!(leads(&first).await? > 0.5 && leads(&second).await? < 0.5, "one leads");
        // A good end hands over at once.
        let begin = Instant::now();
        first.signal("-TERM")?;
        ensure!(first.ended().await?, "{}", first.log());
        eventually("the second leads", async || {
            ensure!(leads(&second).await? > 0.5);
            Ok(())
        })
        .await?;
        let handed = begin.elapsed();
        warren_testkit::figure!("handed over after {:.1} s", handed.as_secs_f64());
        ensure!(handed < Duration::from_secs(6), "two retries and a little: {handed:?}");
        // A bad one costs a lease.
        let third = world.operator("third", false)?;
        sleep(Duration::from_secs(3)).await;
        let begin = Instant::now();
        second.signal("-KILL")?;
        second.ended().await?;
        let end = begin + Duration::from_secs(25);
        while leads(&third).await? < 0.5 {
            ensure!(Instant::now() < end, "nobody leads:\n{}", third.log());
            sleep(Duration::from_millis(100)).await;
        }
        let taken = begin.elapsed();
        warren_testkit::figure!("taken over after {:.1} s", taken.as_secs_f64());
        ensure!(taken > Duration::from_secs(10), "before the dead one would have stopped: {taken:?}");
        Ok(())
    });
}

#[test]
fn the_workload_is_made_kept_and_not_stolen() {
    story(async |cluster| {
        if cluster.lacks("the_workload_is_made_kept_and_not_stolen", NEEDS)? {
            return Ok(());
        }
        let world = World::new(cluster, "workload").await?;
        let operator = world.operator("operator", false)?;
        world.apply(&secret("component", SECRET)).await?;
        let mut chat = service(&world.domain(), free()?);
        chat["spec"]["store"] = json!({"postgres": {"dsnSecretRef": {"name": "component", "key": "secret"}}});
        chat["spec"]["tls"] = json!({"secretName": "certificates"});
        chat["spec"]["replicas"] = json!(3);
        world.apply(&chat).await?;
        let refused = world.until("mucs", "chat", "Accepted", "False").await?;
        ensure!(refused["reason"] == "SecretNotFound", "{refused}");
        let pem = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certificates"},
            "stringData": {"tls.crt": "c", "tls.key": "k", "ca.crt": "a"}});
        world.apply(&pem).await?;
        world.until("mucs", "chat", "Accepted", "True").await?;
        let deployment = eventually("there is a Deployment", async || world.get("deployment", "chat").await).await?;
        ensure!(deployment["spec"]["replicas"] == 3, "{deployment}");
        let owner = &deployment["metadata"]["ownerReferences"][0];
        ensure!(owner["kind"] == "MucService" && owner["controller"] == true, "{owner}");
        let control = world.get("service", "chat-control").await?;
        ensure!(control["spec"]["publishNotReadyAddresses"] == true, "{control}");
        ensure!(control["metadata"]["labels"]["warren.chat/control"] == "chat", "{control}");

        for (kind, field) in [("poddisruptionbudget", "/spec/maxUnavailable"), ("networkpolicy", "/spec/ingress/0")] {
            let made = eventually("drains and strangers are kept off", async || world.get(kind, "chat").await).await?;
            let labels = &deployment["spec"]["template"]["metadata"]["labels"];
            let selects = if kind == "networkpolicy" { "/spec/podSelector" } else { "/spec/selector" };
            ensure!(made.pointer(&format!("{selects}/matchLabels")) == Some(labels), "{made}");
            ensure!(made["metadata"]["ownerReferences"][0]["kind"] == "MucService", "{made}");
            let said = made.pointer(field).cloned().context("what is said")?;
            // What somebody else makes of it does not stay.
            let patch = match kind {
                "networkpolicy" => json!({"spec": {"ingress": [{}]}}),
                _ => json!({"spec": {"maxUnavailable": 3}}),
            };
            let patch = patch.to_string();
            world.kubectl.run(&["patch", kind, "chat", "-n", world.name(), "--type=merge", "-p", &patch]).await?;
            eventually("it is as it should be", async || {
                let made = world.get(kind, "chat").await?;
                ensure!(made.pointer(field) == Some(&said), "{made}");
                Ok(())
            })
            .await?;
        }

        // What we say stays; what others say too.
        let patch = json!({"metadata": {"annotations": {"mine": "yes"}},
            "spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}});
        world.kubectl.run(&["patch", "deployment", "chat", "-n", world.name(), "-p", &patch.to_string()]).await?;
        eventually("the Deployment is as it should be", async || {
            let deployment = world.get("deployment", "chat").await?;
            ensure!(deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 60, "{deployment}");
            ensure!(deployment["metadata"]["annotations"]["mine"] == "yes", "{deployment}");
            Ok(())
        })
        .await?;
        // Scaling goes through the service.
        world.kubectl.run(&["scale", "mucs", "chat", "--replicas=5", "-n", world.name()]).await?;
        eventually("five", async || {
            ensure!(world.get("deployment", "chat").await?["spec"]["replicas"] == 5);
            Ok(())
        })
        .await?;
        // And nothing of it goes on and on.
        sleep(Duration::from_secs(2)).await;
        let before = operator.metric("warren_operator_writes_total").await?;
        sleep(Duration::from_secs(3)).await;
        let after = operator.metric("warren_operator_writes_total").await?;
        ensure!(after - before <= 3.0, "only the Lease: {}", after - before);

        // What belongs to somebody else is left alone.
        let foreign = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other-control"},
            "spec": {"ports": [{"port": 1}]}});
        world.apply(&foreign).await?;
        let mut other = service(&world.domain(), free()?);
        other["metadata"]["name"] = json!("other");
        other["spec"]["domain"] = json!("other.wonderland.lit");
        world.apply(&other).await?;
        let refused = world.until("mucs", "other", "Programmed", "False").await?;
        ensure!(refused["reason"] == "ForeignObject", "{refused}");
        ensure!(world.get("service", "other-control").await?["spec"]["ports"][0]["port"] == 1);
        Ok(())
    });
}

#[test]
fn a_slice_that_moves_is_followed() {
    story(async |cluster| {
        if cluster.lacks("a_slice_that_moves_is_followed", NEEDS)? {
            return Ok(());
        }
        let world = World::new(cluster, "moves").await?;
        let (acceptor, nowhere, control) = (Acceptor::bind(SECRET).await?, free()?, free()?);
        let _operator = world.operator("operator", false)?;
        world.service(&acceptor, nowhere).await?;
        let waits = world.until("mucs", "chat", "Ready", "False").await?;
        ensure!(waits["reason"] == "AwaitingNodes", "{waits}");
        let _node = world.node("node", control)?;
        world.apply(&slice("chat", control.port())).await?;
        let _link = acceptor.accept(LONG).await?;
        world.until("mucs", "chat", "Ready", "True").await?;
        Ok(())
    });
}

#[test]
fn control_is_spoken_with_certificates() {
    story(async |cluster| {
        if cluster.lacks("control_is_spoken_with_certificates", NEEDS)? {
            return Ok(());
        }
        let world = World::new(cluster, "tls").await?;
        let (acceptor, control) = (Acceptor::bind(SECRET).await?, free()?);
        let node = world.node_with_tls("node", control).await?;
        world.service(&acceptor, control).await?;
        let operator = world.operator("operator", false)?;
        // The operator may speak in the clear; the node does not listen to that.
        let waits = world.until("mucs", "chat", "Ready", "False").await?;
        ensure!(waits["reason"] == "AwaitingNodes", "{waits}");
        let mut chat = service(&world.domain(), acceptor.addr()?);
        chat["spec"]["tls"] = json!({"secretName": "certificates"});
        world.apply(&chat).await?;
        let _link = acceptor.accept(LONG).await.with_context(|| node.log())?;
        world.until("mucs", "chat", "Ready", "True").await?;
        // What is in the Secrets is nowhere else.
        let log = operator.log() + &node.log();
        ensure!(!log.contains(SECRET) && !log.contains("PRIVATE KEY"), "{log}");
        Ok(())
    });
}
