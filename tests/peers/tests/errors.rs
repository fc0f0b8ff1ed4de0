//! What a component gets back for a stanza to a user: alive, gone, offline or unknown, on its own server or
//! over S2S (servers.md 1 and 2).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use warren_peers::{QUIET, SOON, shared};
use warren_testkit::peers::{Site, World, WorldBuilder, body_of, component::ping, error_of};

/// One component domain for each test, so that all share one world.
fn world() -> WorldBuilder {
    World::builder()
        .component(Site::Wonderland, "far.wonderland.lit")
        .component(Site::Denmark, "far.denmark.lit")
        .component(Site::Wonderland, "ping.wonderland.lit")
        .component(Site::Denmark, "ping.denmark.lit")
        .component(Site::Wonderland, "lost.wonderland.lit")
        .component(Site::Denmark, "lost.denmark.lit")
}

/// What became of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The user has it.
    Delivered,
    /// Nobody has it, nobody says so.
    Nothing,
    /// `service-unavailable`, type `cancel`, without `by`, from the address it was sent to.
    Unavailable,
    /// The user's server has answered the IQ in his place.
    Answered,
}
use Fate::{Answered, Delivered, Nothing, Unavailable};

/// Each kind of stanza, and its fate with: a live resource, a resource that is gone while the user is online with
/// another one, a user who is offline, a user who does not exist.
const MATRIX: [(&str, [Fate; 4]); 10] = [
    ("presence", [Delivered, Nothing, Nothing, Nothing]),
    ("leave", [Delivered, Nothing, Nothing, Nothing]),
    ("groupchat", [Delivered, Unavailable, Unavailable, Unavailable]),
    ("audit", [Delivered, Unavailable, Unavailable, Unavailable]),
    // To another client of the user, into offline storage: a private message to a dead occupant is not bounced.
    ("chat", [Delivered, Delivered, Delivered, Unavailable]),
    ("normal", [Delivered, Delivered, Delivered, Unavailable]),
    ("headline", [Delivered, Nothing, Nothing, Nothing]),
    ("ping", [Delivered, Unavailable, Unavailable, Unavailable]),
    ("bare-groupchat", [Unavailable, Unavailable, Unavailable, Unavailable]),
    ("bare-ping", [Answered, Answered, Answered, Answered]),
];

fn stanza(kind: &str, room: &str, to: &str, id: &str) -> String {
    let bare = to.split('/').next().unwrap_or_default();
    let seat = format!("{room}/cat");
    let message = |kind: &str, to: &str| {
        format!("<message type='{kind}' from='{seat}' to='{to}' id='{id}'><body>hello</body></message>")
    };
    match kind {
        "presence" => format!("<presence from='{seat}' to='{to}' id='{id}'/>"),
        "leave" => format!("<presence type='unavailable' from='{seat}' to='{to}' id='{id}'/>"),
        "audit" => format!("<message type='groupchat' from='{room}' to='{to}' id='{id}'/>"),
        "ping" => ping(&seat, to, id),
        "bare-ping" => ping(&seat, bare, id),
        "bare-groupchat" => message("groupchat", bare),
        kind => message(kind, to),
    }
}

async fn matrix(world: &World, site: Site, domain: &str, users: Site) -> Result<()> {
    let mut component = world.component_as(site, domain).await?;
    let name = domain.replace('.', "-");
    let mut user = world.user(users, &format!("live-{name}")).await?;
    let offline = world.account(users, &format!("offline-{name}")).await?;
    let targets = [
        ("live", user.jid().to_string()),
        ("gone", format!("{}/gone", user.bare())),
        ("offline", format!("{offline}/gone")),
        ("unknown", format!("nobody@{}/gone", users.domain())),
    ];
    let room = format!("room@{domain}");
    // Opens the S2S streams; the rest then takes milliseconds.
    component.ping(users.domain(), "open", SOON).await?;
    for (kind, _) in MATRIX {
        for (target, to) in &targets {
            component.send(&stanza(kind, &room, to, &format!("{kind}.{target}"))).await?;
        }
    }
    component.ping(users.domain(), "fence", SOON).await?;
    let answers = component.inbox().collect(QUIET).await;
    let mut read = user.inbox().collect(QUIET).await;
    let mut late = world.login(users, offline.split('@').next().unwrap_or_default()).await?;
    read.extend(late.inbox().collect(QUIET).await);

    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    for arrival in &read {
        fates.insert(arrival.stanza.attr("id").unwrap_or_default().to_owned(), Delivered);
    }
    for arrival in &answers {
        let answer = &arrival.stanza;
        let id = answer.attr("id").unwrap_or_default().to_owned();
        ensure!(!fates.contains_key(&id), "{id} was delivered and answered too: {}", String::from(answer));
        let Some(error) = error_of(answer) else {
            ensure!(answer.attr("type") == Some("result"), "unexpected: {}", String::from(answer));
            fates.insert(id, Answered);
            continue;
        };
        let (kind, target) = id.split_once('.').context("an id of ours")?;
        let sent_to = &targets.iter().find(|(name, _)| *name == target).context("a target of ours")?.1;
        let sent_to = if kind.starts_with("bare") { sent_to.split('/').next().unwrap_or_default() } else { sent_to };
        ensure!(error.condition == "service-unavailable" && error.kind == "cancel", "{id}: {error:?}");
        ensure!(error.by.is_none() && answer.attr("from") == Some(sent_to), "{}", String::from(answer));
        // Who has made the error shows in the rest: it is always the user's server.
        let payload = answer.children().any(|child| matches!(child.name(), "body" | "ping"));
        match users {
            Site::Wonderland => ensure!(error.text.is_none() && !payload, "{}", String::from(answer)),
            Site::Denmark => ensure!(payload || kind == "audit", "no payload: {}", String::from(answer)),
        }
        fates.insert(id, Unavailable);
    }
    for (kind, expected) in MATRIX {
        let found = targets.each_ref().map(|(target, _)| fates.remove(&format!("{kind}.{target}")).unwrap_or(Nothing));
        ensure!(found == expected, "{kind} from {domain} to {users:?}: {found:?} instead of {expected:?}");
    }

    let audit = read.iter().find(|arrival| arrival.stanza.attr("id") == Some("audit.live")).context("the audit")?;
    let audit = &audit.stanza;
    ensure!(
        audit.attr("from") == Some(&room) && audit.attr("type") == Some("groupchat") && audit.children().count() == 0,
        "the audit came changed: {}",
        String::from(audit)
    );
    let kept = read.iter().find(|arrival| arrival.stanza.attr("id") == Some("chat.offline")).context("the message")?;
    ensure!(kept.stanza.attr("from") == Some(&format!("{room}/cat")) && body_of(&kept.stanza).is_some(), "{kept:?}");
    Ok(())
}

#[test]
fn prosody_component_to_its_own_users() {
    shared(world, async |world| matrix(world, Site::Wonderland, Site::Wonderland.rooms(), Site::Wonderland).await);
}

#[test]
fn ejabberd_component_to_its_own_users() {
    shared(world, async |world| matrix(world, Site::Denmark, Site::Denmark.rooms(), Site::Denmark).await);
}

#[test]
fn prosody_component_to_ejabberd_users() {
    shared(world, async |world| matrix(world, Site::Wonderland, "far.wonderland.lit", Site::Denmark).await);
}

#[test]
fn ejabberd_component_to_prosody_users() {
    shared(world, async |world| matrix(world, Site::Denmark, "far.denmark.lit", Site::Wonderland).await);
}

#[test]
fn unknown_domains_bounce_everything_and_only_prosody_says_by_whom() {
    shared(world, async |world| {
        for (site, domain) in [(Site::Wonderland, "lost.wonderland.lit"), (Site::Denmark, "lost.denmark.lit")] {
            let mut component = world.component_as(site, domain).await?;
            for kind in ["presence", "leave", "groupchat", "audit", "chat", "headline", "ping"] {
                let to = "x@nowhere.lit/r";
                component.send(&stanza(kind, &format!("room@{domain}"), to, kind)).await?;
                let answer = component.expect(kind, SOON, |answer| answer.attr("id") == Some(kind)).await?;
                let error = error_of(&answer).with_context(|| format!("no error: {answer:?}"))?;
                ensure!(answer.attr("from") == Some(to), "{site:?}, {kind}: {}", String::from(&answer));
                ensure!(
                    error.condition == "remote-server-not-found" && error.kind == "cancel",
                    "{site:?}, {kind}: {error:?}"
                );
                let text = error.text.unwrap_or_default();
                let payload = answer.children().any(|child| matches!(child.name(), "body" | "ping"));
                match site {
                    Site::Wonderland => {
                        ensure!(error.by.as_deref() == Some(domain), "{kind}: by={:?}", error.by);
                        ensure!(text.contains("NXDomain") && !payload, "{kind}: {text}");
                    }
                    Site::Denmark => {
                        ensure!(error.by.is_none() && text.contains("DNS lookup failed"), "{kind}: {text}");
                        ensure!(payload == matches!(kind, "groupchat" | "chat" | "headline" | "ping"), "{kind}");
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn bare_domains_answer_pings_and_our_own_comes_back_to_us() {
    shared(world, async |world| {
        for (site, domain) in [(Site::Wonderland, "ping.wonderland.lit"), (Site::Denmark, "ping.denmark.lit")] {
            let mut component = world.component_as(site, domain).await?;
            for to in Site::ALL {
                let answer = component.ping(to.domain(), to.domain(), SOON).await?;
                ensure!(answer.attr("type") == Some("result"), "{}", String::from(&answer));
                ensure!(answer.attr("from") == Some(to.domain()), "{}", String::from(&answer));
            }
            component.send(&ping(domain, domain, "self")).await?;
            let came = component.expect("our own ping", SOON, |stanza| stanza.attr("id") == Some("self")).await?;
            ensure!(came.attr("type") == Some("get"), "{}", String::from(&came));
        }
        Ok(())
    });
}
