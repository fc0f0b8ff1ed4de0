//! Prosody to Prosody with XEP-0198, as Debian configures it: what a reset costs, and what
//! `smacks_s2s_resend` does about it (servers.md 4 and 5).

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::{try_join, try_join_all};
use warren_peers::{Every, Flow, SOON, run};
use warren_testkit::peers::{Ca, Component, Dns, Prosody, Proxy, RunDir, User};

const LATENCY: Duration = Duration::from_millis(150);
const EVERY: Every = Every { message: Duration::from_millis(20), ping: Duration::from_millis(100) };

const RESEND: &str = "smacks_s2s_resend = true";

/// Longer than a reconnect takes at this latency, which is 1.7 s.
const FAR: Duration = Duration::from_secs(3);

/// A flow from a component of one Prosody to a user of another, with two resets of all streams.
async fn two_resets(options: &'static str, apart: Duration) -> Result<Flow> {
    let (dir, dns) = (RunDir::new()?, Dns::start().await?);
    let ca = Ca::new(&dir.path().join("certs"))?;
    for domain in ["wonderland.lit", "rooms.wonderland.lit", "denmark.lit"] {
        ca.issue(&[domain])?;
    }
    let config =
        |name: &str| Prosody::config(dir.path().join(name), dns.addr()).tls(&ca).module("smacks").global(options);
    let here = config("here").host("wonderland.lit").component("rooms.wonderland.lit", "secret").start().await?;
    let there = config("there").host("denmark.lit").account("hamlet@denmark.lit", "secret").start().await?;
    let (onward, back) = (Proxy::start(there.s2s())?, Proxy::start(here.s2s())?);
    for (domain, proxy) in [("denmark.lit", &onward), ("wonderland.lit", &back), ("rooms.wonderland.lit", &back)] {
        dns.srv("xmpp-server", domain, proxy.port()).await?;
        proxy.latency(LATENCY, LATENCY);
    }
    let mut component = Component::connect(here.component(), "rooms.wonderland.lit", "secret").await?;
    let mut user = User::login(there.c2s(), "hamlet@denmark.lit", "secret", SOON).await?;
    user.available(SOON).await?;
    component.ping("denmark.lit", "open", SOON).await?;

    let mut flow = Flow::default();
    let to = user.jid().to_string();
    for _ in 0..2 {
        flow.send(&component, "room@rooms.wonderland.lit/cat", &to, EVERY, apart).await?;
        onward.reset_all();
        back.reset_all();
    }
    flow.send(&component, "room@rooms.wonderland.lit/cat", &to, EVERY, Duration::from_secs(2)).await?;
    let settled = Duration::from_secs(3);
    let (arrivals, answers) = tokio::join!(user.inbox().collect(settled), component.inbox().collect(settled));
    flow.arrivals(&arrivals);
    flow.answers(&answers);
    println!("{options:?}, resets {apart:?} apart: {}", flow.account());
    Ok(flow)
}

fn bounces(flow: &Flow) -> Result<()> {
    ensure!(flow.lost().is_empty() && !flow.bounced.is_empty(), "{flow:?}");
    for error in flow.bounced.values() {
        ensure!(error.condition == "recipient-unavailable" && error.kind == "cancel", "{error:?}");
        ensure!(error.by.is_none() && error.text.is_none(), "{error:?}");
    }
    let arrived: BTreeSet<usize> = flow.arrived.iter().copied().collect();
    ensure!(flow.bounced.keys().any(|number| arrived.contains(number)), "none of the bounced had arrived: {flow:?}");
    // So it may not be taken for the end of an occupant, nor a ping's for that of a domain.
    let pings: BTreeSet<&str> = flow.answered.values().map(|(kind, _)| kind.as_str()).collect();
    ensure!(pings == BTreeSet::from(["error", "result"]), "{flow:?}");
    Ok(())
}

fn repeats(flow: &Flow) -> Result<()> {
    ensure!(flow.lost().is_empty() && flow.bounced.is_empty(), "{flow:?}");
    ensure!(flow.arrived.len() > flow.messages, "no duplicates: {flow:?}");
    ensure!(flow.results().len() == flow.pings, "{flow:?}");
    Ok(())
}

#[test]
fn a_reset_bounces_even_what_had_arrived_as_recipient_unavailable_and_resend_repeats_it_instead() {
    run(async {
        let (default, resend) = try_join(two_resets("", FAR), two_resets(RESEND, FAR)).await?;
        bounces(&default)?;
        repeats(&resend)
    });
}

#[test]
fn a_reset_right_after_the_reconnect_loses_the_whole_queue_silently_even_with_resend() {
    run(async {
        // What Prosody has queued while it connects is written before XEP-0198 is enabled on the new stream, so
        // nobody counts it; nor what it wanted to resend. The time of a reconnect differs a little: try several.
        let apart = (0..7).map(|step| Duration::from_millis(1_600 + 100 * step));
        let flows = try_join_all(apart.map(|apart| two_resets(RESEND, apart))).await?;
        let worst = flows.iter().max_by_key(|flow| flow.lost().len()).context("no flow")?;
        ensure!(worst.lost().len() > 20, "{flows:?}");
        Ok(())
    });
}
