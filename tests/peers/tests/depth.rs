//! Deep and large stanzas: what must never leave us (servers.md 8).

use std::{os::unix::process::ExitStatusExt, time::Duration};

use anyhow::{Context, ensure};
use minidom::Element;
use warren_peers::{SOON, run, shared};
use warren_testkit::peers::{Component, Dns, Ejabberd, RunDir, Site, World, WorldBuilder, body_of};

fn world() -> WorldBuilder {
    World::builder().component(Site::Wonderland, "large.wonderland.lit").component(Site::Denmark, "large.denmark.lit")
}

/// A message with so many levels of elements below it.
fn nested(from: &str, to: &str, levels: usize) -> String {
    let (open, close) = ("<a>".repeat(levels), "</a>".repeat(levels));
    format!("<message from='{from}' to='{to}' id='nested'><x xmlns='urn:example:deep'>{open}{close}</x></message>")
}

fn levels(mut element: &Element) -> usize {
    let mut depth = 0;
    while let Some(child) = element.children().next() {
        element = child;
        depth += 1;
    }
    depth
}

#[test]
fn a_thousand_levels_pass_both_servers() {
    shared(world, async |world| {
        let mut rooms = world.component(Site::Wonderland).await?;
        let mut talk = world.component(Site::Denmark).await?;
        rooms.send(&nested("a@rooms.wonderland.lit", "b@talk.denmark.lit", 1_000)).await?;
        let there = talk.expect("the nested message", SOON, |stanza| stanza.attr("id") == Some("nested")).await?;
        talk.send(&nested("b@talk.denmark.lit", "a@rooms.wonderland.lit", 1_000)).await?;
        let back = rooms.expect("the nested message", SOON, |stanza| stanza.attr("id") == Some("nested")).await?;
        ensure!(levels(&there) == 1_001 && levels(&back) == 1_001, "{} and {}", levels(&there), levels(&back));
        Ok(())
    });
}

#[test]
fn five_thousand_levels_kill_ejabberd() {
    run(async {
        let (dir, dns) = (RunDir::new()?, Dns::start().await?);
        let config = Ejabberd::config(dir.path(), dns.addr()).host("denmark.lit");
        let mut ejabberd = config.component("talk.denmark.lit", "secret").start().await?;
        let addr = ejabberd.component("talk.denmark.lit")?;
        let talk = Component::connect(addr, "talk.denmark.lit", "secret").await?;
        talk.send(&nested("b@talk.denmark.lit", "nobody@denmark.lit", 1_000)).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        ensure!(ejabberd.child().is_alive(), "1,000 levels killed it");
        talk.send(&nested("b@talk.denmark.lit", "nobody@denmark.lit", 5_000)).await?;
        let status = ejabberd.child().wait(Duration::from_secs(10)).await.context("5,000 levels did not kill it")?;
        ensure!(status.signal() == Some(11), "{status}");
        Ok(())
    });
}

#[test]
fn half_a_mebibyte_ends_a_component_link_on_prosody_and_not_on_ejabberd() {
    shared(world, async |world| {
        for (site, domain, ends) in
            [(Site::Wonderland, "large.wonderland.lit", true), (Site::Denmark, "large.denmark.lit", false)]
        {
            let mut user = world.user(site, "reader").await?;
            let mut component = world.component_as(site, domain).await?;
            for kilobytes in [300, 600] {
                let body = "x".repeat(kilobytes * 1_000);
                let (from, to) = (format!("room@{domain}/cat"), user.jid().to_string());
                let text = format!("<message type='groupchat' from='{from}' to='{to}'><body>{body}</body></message>");
                component.send(&text).await?;
                if kilobytes == 600 && ends {
                    let last = component.recv(SOON).await?.context("no stream error")?;
                    ensure!(last.children().any(|child| child.name() == "not-well-formed"), "{}", String::from(&last));
                    ensure!(component.recv(SOON).await?.is_none(), "the stream goes on");
                } else {
                    let whole = |stanza: &Element| body_of(stanza).is_some_and(|read| read.len() == body.len());
                    user.expect(&format!("{kilobytes} KB"), SOON, whole).await?;
                }
            }
        }
        Ok(())
    });
}
