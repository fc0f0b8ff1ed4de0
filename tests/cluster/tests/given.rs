//! A cluster that is given instead of started, what it lacks, and what is said when there is none.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use warren_cluster::{ApiServer, Capability, cluster::capabilities, eventually, run, shared};

/// Runs one test of this file in a process of its own, with this environment.
fn probe(name: &str, env: &[(&str, &str)]) -> Result<(Output, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    for name in ["WARREN_KUBECONFIG", "WARREN_CAPABILITIES", "WARREN_SKIPS"] {
        command.env_remove(name);
    }
    let output = command.args(["--ignored", "--exact", name]).envs(env.iter().copied()).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(text.contains("1 test"), "{text}");
    Ok((output, text))
}

#[test]
#[ignore = "started by a_given_cluster_is_used_and_lacks_are_counted"]
fn works_and_needs_more() {
    shared(async |cluster| {
        cluster.namespace("given").await?;
        if cluster.lacks("works_and_needs_more", &[Capability::Lease, Capability::Pods, Capability::Rbac])? {
            return Ok(());
        }
        anyhow::bail!("it was not skipped")
    });
}

#[test]
fn a_given_cluster_is_used_and_lacks_are_counted() {
    run(async {
        let server = ApiServer::start().await?;
        let kubeconfig = server.admin().display().to_string();
        let skips = server.dir().join("skips").display().to_string();
        let env = [
            ("WARREN_KUBECONFIG", kubeconfig.as_str()),
            ("WARREN_CAPABILITIES", "crd, lease"),
            ("WARREN_SKIPS", skips.as_str()),
        ];
        let (output, text) = tokio::task::spawn_blocking({
            let env = env.map(|(name, value)| (name, value.to_owned()));
            move || probe("works_and_needs_more", &env.each_ref().map(|(name, value)| (*name, value.as_str())))
        })
        .await??;
        ensure!(output.status.success(), "{text}");
        // Printed although the test has passed and its output is captured.
        let line = "skipped (1 so far): works_and_needs_more: this cluster has no pods, rbac";
        ensure!(text.contains(line), "{text}");
        ensure!(std::fs::read_to_string(&skips)? == "works_and_needs_more: pods, rbac\n");
        eventually("definitions applied there, a namespace made and deleted", async || {
            let writes = server.audit().writes(warren_cluster::audit::Mark::default())?;
            let mine = |verb: &str, resource: &str| {
                writes.iter().filter(|w| w.user == "admin" && w.verb == verb && w.resource == resource).count()
            };
            ensure!(mine("patch", "customresourcedefinitions") == 3, "{writes:?}");
            ensure!(mine("create", "namespaces") == 1 && mine("delete", "namespaces") == 1, "{writes:?}");
            Ok(())
        })
        .await?;
        server.shut_down().await
    });
}

#[test]
fn a_given_cluster_must_say_what_it_can() {
    let (output, text) = probe("works_and_needs_more", &[("WARREN_KUBECONFIG", "/nowhere")]).unwrap();
    assert!(!output.status.success() && text.contains("WARREN_CAPABILITIES says what that cluster can do"), "{text}");
    let env = [("WARREN_KUBECONFIG", "/nowhere"), ("WARREN_CAPABILITIES", "crd")];
    let (output, text) = probe("works_and_needs_more", &env).unwrap();
    assert!(!output.status.success() && text.contains("WARREN_KUBECONFIG: cannot read /nowhere"), "{text}");
    let env = [("WARREN_KUBECONFIG", "/nowhere"), ("WARREN_CAPABILITIES", "crd,audit")];
    let (output, text) = probe("works_and_needs_more", &env).unwrap();
    assert!(!output.status.success() && text.contains("only the audit log of a server of our own"), "{text}");
}

#[test]
fn capabilities_are_known_ones() {
    assert_eq!(capabilities("gc,crd").unwrap(), [Capability::Crd, Capability::GarbageCollection].into());
    assert_eq!(capabilities(" rbac , rbac,").unwrap(), [Capability::Rbac].into());
    let error = capabilities("crd,podz").unwrap_err().to_string();
    assert!(error.contains("podz") && error.contains("pods"), "{error}");
    assert!(capabilities(" , ").is_err());
}

#[test]
fn missing_programs_name_the_target() {
    let (output, text) = probe("works_and_needs_more", &[("TESTCLUSTER_BIN", "/nowhere")]).unwrap();
    assert!(!output.status.success(), "{text}");
    let sentence = "kube-apiserver is not in /nowhere: `make cluster-tools` builds it (once, some minutes)";
    assert!(text.contains(sentence), "{text}");
}

#[test]
fn a_service_account_may_do_what_its_role_says() {
    shared(async |cluster| {
        if cluster.lacks("a_service_account_may_do_what_its_role_says", &[Capability::Rbac])? {
            return Ok(());
        }
        let namespace = cluster.namespace("account").await?;
        let account = cluster.service_account(namespace.name(), "reader").await?;
        let reader = cluster.kubectl_as(&account);
        let list = ["get", "federatedrooms", "-n", namespace.name()];
        let refused = reader.refused(&list, "").await?;
        ensure!(refused.contains("Forbidden"), "{refused}");
        let admin = cluster.kubectl();
        let in_here = ["-n", namespace.name()];
        let role = ["create", "role", "reader", "--verb=get,list", "--resource=federatedrooms.warren.chat"];
        admin.run(&[role.as_slice(), &in_here].concat()).await?;
        let who = format!("--serviceaccount={}:reader", namespace.name());
        admin.run(&[&["create", "rolebinding", "reader", "--role=reader", &who], in_here.as_slice()].concat()).await?;
        eventually("the role is known", async || reader.run(&list).await).await?;
        let refused = reader.refused(&["get", "mucservices", "-n", namespace.name()], "").await?;
        ensure!(refused.contains("Forbidden"), "{refused}");
        Ok(())
    });
}
