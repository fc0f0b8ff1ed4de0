//! A component's own connection: what users get when it is gone, and when there are two (servers.md 6).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_peers::{QUIET, SOON, alone, run};
use warren_testkit::peers::{
    Component, Dns, Mode, Prosody, Proxy, RunDir, Site, StanzaError, User, World, body_of, error_of,
};

/// Sends the room a message and returns the error that comes back.
async fn refusal(user: &mut User, room: &str) -> Result<StanzaError> {
    let id = say(user, room).await?;
    let answer = user.expect("an error", SOON, |stanza| stanza.attr("id") == Some(&id)).await?;
    ensure!(answer.attr("from") == Some(room), "{}", String::from(&answer));
    error_of(&answer).with_context(|| format!("no error: {}", String::from(&answer)))
}

async fn say(user: &User, room: &str) -> Result<String> {
    let id = user.fresh_id();
    user.send(&format!("<message type='groupchat' to='{room}' id='{id}'><body>{id}</body></message>")).await?;
    Ok(id)
}

async fn say_all(user: &User, room: &str, count: usize) -> Result<()> {
    for _ in 0..count {
        say(user, room).await?;
    }
    Ok(())
}

/// How many messages are here, after a pause for those under way.
async fn heard(component: &mut Component) -> usize {
    let arrivals = component.inbox().collect(QUIET).await;
    arrivals.iter().filter(|arrival| body_of(&arrival.stanza).is_some()).count()
}

#[test]
fn prosody_answers_for_a_dead_component_at_once() {
    alone(World::builder(), async |world| {
        let room = "room@rooms.wonderland.lit";
        let mut component = world.component(Site::Wonderland).await?;
        let mut users = [world.user(Site::Wonderland, "alice").await?, world.user(Site::Denmark, "hamlet").await?];
        for user in &users {
            say(user, room).await?;
            component.expect("his message", SOON, |stanza| body_of(stanza).is_some()).await?;
        }
        component.kill().await;
        tokio::time::sleep(QUIET).await;
        for user in &mut users {
            let error = refusal(user, room).await?;
            let jid = user.jid();
            ensure!(error.condition == "remote-server-timeout" && error.kind == "wait", "{jid}: {error:?}");
            ensure!(error.by.as_deref() == Some("rooms.wonderland.lit"), "{jid}: {error:?}");
            ensure!(error.text.as_deref() == Some("Component unavailable"), "{jid}: {error:?}");
            ensure!(error.extra == ["not-connected"], "{jid}: {error:?}");
            // Leaves are answered too, hence lost.
            user.send(&format!("<presence type='unavailable' to='{room}/nick' id='leave'/>")).await?;
            let answer = user.expect("an error", SOON, |stanza| stanza.attr("id") == Some("leave")).await?;
            ensure!(answer.name() == "presence" && answer.attr("type") == Some("error"), "{answer:?}");
        }
        // Nothing was queued; the first stanza after the handshake arrives.
        let mut component = world.component(Site::Wonderland).await?;
        let id = say(&users[1], room).await?;
        let first = component.recv(SOON).await?.context("the stream ended")?;
        ensure!(first.attr("id") == Some(&id), "{}", String::from(&first));
        Ok(())
    });
}

#[test]
fn prosody_kick_old_takes_over_from_a_link_in_a_black_hole() {
    alone(World::builder(), async |world| {
        let room = "room@rooms.wonderland.lit";
        let access = world.access(Site::Wonderland, "rooms.wonderland.lit")?;
        let proxy = Proxy::start(access.addr)?;
        let mut old = Component::connect(proxy.addr(), &access.domain, &access.secret).await?;
        let mut alice = world.user(Site::Wonderland, "alice").await?;
        say(&alice, room).await?;
        old.expect("her message", SOON, |stanza| body_of(stanza).is_some()).await?;

        proxy.set(Mode::Hole);
        say_all(&alice, room, 20).await?;
        let (told, heard_in_the_hole) = (alice.inbox().collect(QUIET).await, heard(&mut old).await);
        ensure!(told.is_empty() && heard_in_the_hole == 0, "{told:?}, the old one heard {heard_in_the_hole}");

        let mut new = world.component(Site::Wonderland).await?;
        say_all(&alice, room, 20).await?;
        let (told, heard_by_the_new) = (alice.inbox().collect(QUIET).await, heard(&mut new).await);
        ensure!(told.is_empty() && heard_by_the_new == 20, "{told:?}, the new one heard {heard_by_the_new}");
        Ok(())
    });
}

#[test]
fn prosody_tells_the_old_link_of_the_conflict_and_by_default_refuses_the_new_one() {
    run(async {
        let connect =
            async |prosody: &Prosody| Component::connect(prosody.component(), "rooms.wonderland.lit", "secret").await;
        for (policy, takes_over) in [("kick_old", true), ("kick_new", false)] {
            let (dir, dns) = (RunDir::new()?, Dns::start().await?);
            let policy = format!("component_conflict_resolve = \"{policy}\"");
            let config = Prosody::config(dir.path(), dns.addr()).host("wonderland.lit");
            let prosody = config.component("rooms.wonderland.lit", "secret").global(&policy).start().await?;
            let mut old = connect(&prosody).await?;
            let new = connect(&prosody).await;
            if takes_over {
                new?;
                let last = old.recv(SOON).await?.context("no stream error")?;
                ensure!(last.children().any(|child| child.name() == "conflict"), "{}", String::from(&last));
            } else {
                let error = format!("{:#}", new.err().context("the new one was accepted")?);
                ensure!(error.contains("Component already connected"), "{error}");
                ensure!(old.inbox().collect(QUIET).await.is_empty(), "the old one was told");
            }
        }
        Ok(())
    });
}

#[test]
fn ejabberd_takes_a_dead_component_for_a_remote_domain() {
    alone(World::builder(), async |world| {
        let room = "room@talk.denmark.lit";
        let mut component = world.component(Site::Denmark).await?;
        let mut hamlet = world.user(Site::Denmark, "hamlet").await?;
        let mut alice = world.user(Site::Wonderland, "alice").await?;
        for user in [&hamlet, &alice] {
            say(user, room).await?;
            component.expect("his message", SOON, |stanza| body_of(stanza).is_some()).await?;
        }
        component.kill().await;
        tokio::time::sleep(QUIET).await;

        // Its own user, without an SRV record.
        let error = refusal(&mut hamlet, room).await?;
        ensure!(error.condition == "remote-server-not-found" && error.kind == "cancel", "{error:?}");
        ensure!(error.by.is_none() && error.text.unwrap_or_default().contains("DNS lookup failed"), "no DNS error");
        // With one, it connects to itself.
        let s2s = world.s2s(Site::Denmark).port();
        world.dns(Site::Denmark).srv("xmpp-server", "talk.denmark.lit", s2s).await?;
        tokio::time::sleep(Duration::from_secs(2)).await; // its waiting time after the failure
        let error = refusal(&mut hamlet, room).await?;
        ensure!(error.condition == "remote-server-timeout" && error.kind == "wait", "{error:?}");
        ensure!(error.text.as_deref().unwrap_or_default().contains("host-unknown"), "{error:?}");

        // A user of another server: his stream is closed, what was under way is lost, the next gets an error.
        let first = say(&alice, room).await?;
        let told = alice.inbox().collect(Duration::from_secs(2)).await;
        ensure!(told.is_empty(), "{first} was not lost silently: {told:?}");
        let error = refusal(&mut alice, room).await?;
        ensure!(error.condition == "remote-server-timeout" && error.kind == "wait", "{error:?}");
        ensure!(error.by.as_deref() == Some("wonderland.lit"), "{error:?}");

        // Back with the first stanza, whatever has failed before.
        let mut component = world.component(Site::Denmark).await?;
        let id = say(&hamlet, room).await?;
        let first = component.recv(SOON).await?.context("the stream ended")?;
        ensure!(first.attr("id") == Some(&id), "{}", String::from(&first));
        Ok(())
    });
}

#[test]
fn ejabberd_splits_at_random_between_two_links_even_if_one_is_in_a_black_hole() {
    alone(World::builder(), async |world| {
        const COUNT: usize = 60;
        let room = "room@talk.denmark.lit";
        let access = world.access(Site::Denmark, "talk.denmark.lit")?;
        let proxy = Proxy::start(access.addr)?;
        let mut old = Component::connect(proxy.addr(), &access.domain, &access.secret).await?;
        let mut new = world.component(Site::Denmark).await?;
        let mut hamlet = world.user(Site::Denmark, "hamlet").await?;

        // Less than a quarter for one of two fair halves of 60 comes once in 20,000 times.
        let fair = COUNT / 4..=COUNT * 3 / 4;
        say_all(&hamlet, room, COUNT).await?;
        let (first, second) = tokio::join!(heard(&mut old), heard(&mut new));
        ensure!(first + second == COUNT && fair.contains(&first), "{first} and {second} of {COUNT}");

        proxy.set(Mode::Hole);
        say_all(&hamlet, room, COUNT).await?;
        let second = heard(&mut new).await;
        ensure!(fair.contains(&second), "{second} of {COUNT} beside a black hole");
        ensure!(hamlet.inbox().take().is_empty(), "the user was told");

        proxy.heal();
        tokio::time::sleep(QUIET).await;
        say_all(&hamlet, room, COUNT).await?;
        let second = heard(&mut new).await;
        ensure!(second == COUNT, "{second} of {COUNT} after the other link has closed");
        Ok(())
    });
}
