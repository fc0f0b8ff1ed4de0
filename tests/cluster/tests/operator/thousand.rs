//! Many rooms, and then nothing to do.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use warren_cluster::Capability;
use warren_testkit::acceptor::Acceptor;

use crate::world::{SECRET, World, condition, free, room, story};

const ROOMS: usize = 1000;

#[test]
fn a_thousand_rooms_are_ready_and_then_nothing_is_written() {
    story(async |cluster| {
        let needs = [Capability::Crd, Capability::Rbac, Capability::Lease, Capability::Audit];
        if cluster.lacks("a_thousand_rooms_are_ready_and_then_nothing_is_written", &needs)? {
            return Ok(());
        }
        let idle = std::env::var("WARREN_IDLE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
        let world = World::new(cluster, "thousand").await?;
        let (acceptor, control) = (Acceptor::bind(SECRET).await?, free()?);
        let _node = world.node("node", control)?;
        let operator = world.operator("operator", false)?;
        world.service(&acceptor, control).await?;
        let _link = acceptor.accept(Duration::from_secs(20)).await?;
        world.until("mucs", "chat", "Ready", "True").await?;

        let items: Vec<_> = (0..ROOMS).map(|i| room(&format!("r{i}"), &json!({"title": "Room"}))).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let begin = Instant::now();
        world.kubectl.run_with(&["create", "-n", world.name(), "-f", "-"], &list.to_string()).await?;
        let created = begin.elapsed();
        let get = ["get", "froom", "-n", world.name(), "-o", "json"];
        loop {
            let all: Value = serde_json::from_str(&world.kubectl.run(&get).await?)?;
            let items = all["items"].as_array().cloned().unwrap_or_default();
            let ready = items.iter().filter(|o| condition(o, "Ready")["status"] == "True").count();
            if ready == ROOMS {
                break;
            }
            ensure!(begin.elapsed() < Duration::from_secs(80), "{ready} are Ready:\n{}", operator.log());
            sleep(Duration::from_millis(500)).await;
        }
        warren_testkit::figure!(
            "{ROOMS} FederatedRooms: created in {:.1} s, all Ready after {:.1} s; the operator has {} MiB",
            created.as_secs_f64(),
            begin.elapsed().as_secs_f64(),
            operator.resident()?
        );
        // The service counts them once more; then nobody has anything to say.
        let end = Instant::now() + Duration::from_secs(20);
        while world.get("mucs", "chat").await?["status"]["rooms"]["programmed"] != ROOMS {
            ensure!(Instant::now() < end, "the service does not count its rooms");
            sleep(Duration::from_millis(500)).await;
        }
        sleep(Duration::from_secs(1)).await;
        let audit = cluster.audit()?;
        let (mark, calls) = (audit.mark()?, operator.metric("warren_operator_calls_total").await?);
        sleep(Duration::from_secs(idle)).await;
        let writes: Vec<_> = audit.writes(mark)?.into_iter().filter(|w| w.user == world.user()).collect();
        let leases = writes.iter().filter(|w| w.resource == "leases").count();
        let others: Vec<_> = writes.iter().filter(|w| w.resource != "leases").collect();
        warren_testkit::figure!("{idle} idle seconds: {} writes, and {leases} of the Lease", others.len());
        ensure!(others.is_empty() && leases > 0, "{others:?}");
        let denied: Vec<_> = audit.writes(warren_cluster::audit::Mark::default())?;
        let denied: Vec<_> = denied.into_iter().filter(|w| w.user == world.user() && w.code == 403).collect();
        ensure!(denied.is_empty() && !operator.log().contains("orbidden"), "rights are missing: {denied:?}");
        let called = operator.metric("warren_operator_calls_total").await? - calls;
        ensure!(called < 0.5, "{called} calls of the pod for nothing");
        Ok(())
    });
}
