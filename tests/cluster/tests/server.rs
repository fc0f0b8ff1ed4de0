//! The server itself: it starts, keeps what it was given, counts who writes, and leaves nothing behind.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use warren_cluster::{ApiServer, Write, alone, eventually, kubeconfig, run};

/// Whether a process is there; one that only waits to be asked for its exit status is not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn gone(pids: &[u32], dir: &Path) -> Result<()> {
    ensure!(!dir.exists(), "{} is still there", dir.display());
    let left: Vec<_> = pids.iter().filter(|pid| runs(**pid)).collect();
    ensure!(left.is_empty(), "processes {left:?} still run");
    Ok(())
}

#[test]
fn shut_down_leaves_nothing() {
    run(async {
        let begin = Instant::now();
        let server = ApiServer::start().await?;
        println!("ready after {:.1} s", begin.elapsed().as_secs_f64());
        let (pids, dir) = (server.pids(), server.dir().to_owned());
        ensure!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)) && dir.exists());
        server.shut_down().await?;
        gone(&pids, &dir)
    });
}

#[test]
fn a_panic_leaves_nothing() {
    run(async {
        let (tell, told) = tokio::sync::oneshot::channel();
        let test = tokio::spawn(async {
            let server = ApiServer::start().await.unwrap();
            tell.send((server.pids(), server.dir().to_owned())).unwrap();
            // As a test that fails does, without its text in the output.
            std::panic::resume_unwind(Box::new("failed"));
        });
        let (pids, dir) = told.await?;
        ensure!(test.await.is_err_and(|error| error.is_panic()));
        eventually("all gone", async || gone(&pids, &dir)).await
    });
}

#[test]
fn a_killed_test_process_leaves_nothing() {
    let mut desk = Command::new(env!("CARGO_BIN_EXE_warren-cluster")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(desk.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    let kubeconfig = PathBuf::from(first.trim().strip_prefix("export KUBECONFIG=").expect("the path of a kubeconfig"));
    let dir = kubeconfig.parent().unwrap().to_owned();
    assert!(kubeconfig.is_file());
    let pids = mentioning(&dir);
    assert!(pids.len() >= 3, "etcd, kube-apiserver and who clears up: {pids:?}");
    desk.kill().unwrap();
    desk.wait().unwrap();
    run(async { eventually("all gone", async || gone(&pids, &dir)).await });
    lines.read_to_string(&mut first).unwrap(); // ends: nobody holds the other end of its output
}

/// Processes with `dir` in their arguments.
fn mentioning(dir: &Path) -> Vec<u32> {
    let entries =
        std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let named = entries.filter(|pid| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&*dir.to_string_lossy())
    });
    named.filter_map(|pid| pid.parse().ok()).collect()
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    let object = json!({"metadata": {"name": name}, "data": {"is": value}});
    serde_json::from_value(object).expect("a ConfigMap")
}

#[test]
fn objects_outlive_stop_and_kill() {
    alone(async |mut server| {
        let maps: Api<ConfigMap> = Api::namespaced(server.client().await?, "default");
        let stored = maps.create(&PostParams::default(), &config_map("kept", "before")).await?;
        server.stop().await?;
        ensure!(!server.is_running() && maps.get("kept").await.is_err(), "nobody answers while it is stopped");
        server.start_again().await?;
        ensure!(maps.get("kept").await? == stored, "the same client finds the same object");
        // What was answered is kept, however the server ends.
        let patch = Patch::Merge(json!({"data": {"is": "after"}}));
        let patched = maps.patch("kept", &PatchParams::default(), &patch).await?;
        server.kill().await?;
        server.start_again().await?;
        ensure!(maps.get("kept").await? == patched);
        ensure!(server.start_again().await.is_err(), "it runs already");
        server.shut_down().await
    });
}

#[test]
fn two_servers_do_not_meet() {
    run(async {
        let (one, other) = tokio::try_join!(ApiServer::start(), ApiServer::start())?;
        let kubectl = one.kubectl(one.admin());
        kubectl.run(&["create", "configmap", "here"]).await?;
        let answer = other.kubectl(other.admin()).refused(&["get", "configmap", "here"], "").await?;
        ensure!(answer.contains("NotFound"), "{answer}");
        // Nor does one take the other's certificates.
        let text = std::fs::read_to_string(other.admin())?.replace(&other.url(), &one.url());
        let stranger = one.dir().join("stranger.kubeconfig");
        std::fs::write(&stranger, text)?;
        one.kubectl(&stranger).refused(&["get", "configmap"], "").await?;
        other.shut_down().await?;
        kubectl.run(&["get", "configmap", "here"]).await?;
        one.shut_down().await
    });
}

#[test]
fn writes_are_counted_by_user_and_agent() {
    alone(async |server| {
        let audit = server.audit();
        let user = server.user("counted", None)?;
        let kubectl = server.kubectl(server.admin());
        let role = ["create", "role", "maps", "--verb=create,get,patch", "--resource=configmaps"];
        kubectl.run(&role).await?;
        kubectl.run(&["create", "rolebinding", "maps", "--role=maps", "--user=counted"]).await?;
        let mark = audit.mark()?;

        let client = kubeconfig::client(&user, Some("counter/1")).await?;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
        maps.create(&PostParams::default(), &config_map("one", "here")).await?;
        maps.get("one").await?; // no write
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        maps.create(&dry, &config_map("two", "here")).await?;
        let apply = Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"is": "applied"}}));
        maps.patch("one", &PatchParams::apply("counter").force(), &apply).await?;
        let refused = maps.delete("one", &kube::api::DeleteParams::default()).await;
        ensure!(matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403), "{refused:?}");
        kubectl.run(&["create", "configmap", "three"]).await?;

        let expected = |verb: &str, name: &str, code, dry_run| Write {
            user: "counted".to_owned(),
            agent: "counter/1".to_owned(),
            verb: verb.to_owned(),
            resource: "configmaps".to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
            code,
            dry_run,
        };
        let expected = [
            expected("create", "one", 201, false),
            expected("create", "two", 201, true),
            expected("patch", "one", 200, false),
            expected("delete", "one", 403, false),
        ];
        let (mine, all) = eventually("four writes of ours and one of kubectl", async || {
            let all = audit.writes(mark)?;
            let mine: Vec<_> = all.iter().filter(|write| write.user == "counted").cloned().collect();
            ensure!(mine.len() >= expected.len() && all.iter().any(|write| write.name == "three"), "{all:?}");
            Ok((mine, all))
        })
        .await?;
        ensure!(mine == expected, "{mine:#?}");
        ensure!(mine.iter().filter(|write| write.stored()).count() == 2);
        let three = all.iter().find(|write| write.name == "three").context("kubectl's write")?;
        ensure!(three.user == "admin" && three.agent.starts_with("kubectl"), "{three:?}");
        server.shut_down().await
    });
}

#[test]
fn the_server_is_the_pinned_one() {
    alone(async |server| {
        let kubectl = server.kubectl(server.admin());
        let versions: Value = serde_json::from_str(&kubectl.run(&["version", "-o", "json"]).await?)?;
        ensure!(versions["serverVersion"]["gitVersion"] == "v1.36.4", "{versions}");
        ensure!(versions["clientVersion"]["gitVersion"] == "v1.36.4", "{versions}");
        let begin = Instant::now();
        server.shut_down().await?;
        ensure!(begin.elapsed() < Duration::from_secs(5), "killed, not asked");
        Ok(())
    });
}
