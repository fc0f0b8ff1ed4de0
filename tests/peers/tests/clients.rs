//! When a user's client dies, his server says so, to every room: at once, or when the session that could have been
//! resumed (XEP-0198) is given up (servers.md 7).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join;
use tokio::time::Instant;
use warren_peers::{SOON, alone, groupchat, shared};
use warren_testkit::peers::{Component, Site, User, World, error_of};

/// How a client ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Reset,
    Fin,
}

/// A user at `users` enters a room of `component` and dies; the room hears `unavailable` from him.
async fn dies(world: &World, component: &mut Component, users: Site, end: End) -> Result<()> {
    let name = format!("{end:?}-{}", component.domain()).to_lowercase().replace('.', "-");
    let user: User = world.user(users, &name).await?;
    let (jid, seat) = (user.jid().to_string(), format!("room@{}/{name}", component.domain()));
    user.send(&format!("<presence to='{seat}'/>")).await?;
    let from_him = |kind: Option<&'static str>| {
        let (jid, seat) = (jid.clone(), seat.clone());
        move |stanza: &minidom::Element| {
            stanza.name() == "presence"
                && stanza.attr("type") == kind
                && stanza.attr("from") == Some(&jid)
                && stanza.attr("to") == Some(&seat)
        }
    };
    component.expect("his presence", SOON, from_him(None)).await?;
    let died = Instant::now();
    match end {
        End::Reset => user.kill(),
        End::Fin => user.hang_up(),
    }
    component.expect("his unavailable presence", SOON, from_him(Some("unavailable"))).await?;
    let took = died.elapsed();
    ensure!(took < Duration::from_secs(2), "{jid} {end:?}: heard after {took:?} only");
    Ok(())
}

#[test]
fn a_dead_client_leaves_its_rooms_at_once() {
    shared(World::builder, async |world| {
        for rooms in Site::ALL {
            let mut component = world.component(rooms).await?;
            for users in Site::ALL {
                for end in [End::Reset, End::Fin] {
                    dies(world, &mut component, users, end).await?;
                }
            }
        }
        Ok(())
    });
}

const HIBERNATION: Duration = Duration::from_secs(3);

async fn hibernates(world: &World, site: Site) -> Result<()> {
    let mut component = world.component(site).await?;
    let user = world.user(site, "sleeper").await?;
    let (jid, seat) = (user.jid().to_string(), format!("room@{}/sleeper", site.rooms()));
    user.send(&format!("<presence to='{seat}'/>")).await?;
    component.expect("his presence", SOON, |stanza| stanza.name() == "presence").await?;

    let died = Instant::now();
    user.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ids = ["g0", "g1", "g2", "g3", "g4"];
    for id in ids {
        component.send(&groupchat(&format!("room@{}/other", site.rooms()), &jid, id)).await?;
    }
    let early = component.inbox().collect(HIBERNATION / 2).await;
    ensure!(early.is_empty(), "{site:?} gave up early: {early:?}");

    // First the messages come back, then the user leaves.
    for id in ids {
        let answer = component.recv(SOON).await?.context("the stream ended")?;
        let error = error_of(&answer).with_context(|| format!("no error: {}", String::from(&answer)))?;
        let condition = match site {
            Site::Wonderland => "recipient-unavailable",
            Site::Denmark => "service-unavailable",
        };
        ensure!(answer.attr("id") == Some(id), "{site:?}: {}", String::from(&answer));
        ensure!(error.condition == condition && error.kind == "cancel", "{site:?}: {error:?}");
        ensure!(error.by.is_none() && answer.attr("from") == Some(&jid), "{}", String::from(&answer));
    }
    let leave = component.recv(SOON).await?.context("the stream ended")?;
    ensure!(leave.attr("type") == Some("unavailable"), "{site:?}: {}", String::from(&leave));
    let took = died.elapsed();
    ensure!((HIBERNATION..HIBERNATION * 3).contains(&took), "{site:?} gave up after {took:?}");
    Ok(())
}

#[test]
fn a_hibernating_session_swallows_everything_and_gives_it_back_at_its_end() {
    let world = World::builder()
        .prosody(|config| config.module("smacks").global("smacks_hibernation_time = 3"))
        .ejabberd(|config| config.module("mod_stream_mgmt", "{resume_timeout: 3}"));
    alone(world, async |world| {
        try_join(hibernates(world, Site::Wonderland), hibernates(world, Site::Denmark)).await.map(drop)
    });
}
