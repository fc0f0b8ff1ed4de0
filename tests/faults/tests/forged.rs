//! A client that writes what only rooms may say to rooms: it must not reach the other site. Read on the wire, between
//! each node and its server, after both servers have had their hands on it.

use anyhow::{Context, Result, ensure};
use minidom::Element;
use warren_faults::{Client, SOON, Sites, Tap, run, tap::Way};
use warren_testkit::{
    node::{Node, room},
    peers::{Site, World, body_of},
};

const FMUC: &str = "http://isode.com/protocol/fmuc";
const SID: &str = "urn:xmpp:sid:0";

/// What a client must not be able to say. Every forged value holds this word.
const FORGED: &str = "forged";

fn forgeries() -> String {
    let [here, there] = Site::ALL.map(room);
    let ids =
        [here, there, "mallory@elsewhere.lit"].map(|by| format!("<stanza-id xmlns='{SID}' by='{by}' id='forged'/>"));
    format!(
        "<fmuc xmlns='{FMUC}' from='forged@denmark.lit/x'><left/><s xmlns='urn:warren:fmuc:0' h='forged'/></fmuc>{}",
        ids.concat()
    )
}

/// The two sites, each with a tap between the node and its server.
async fn tapped() -> Result<(Sites, [Tap; 2])> {
    let world = World::start().await?;
    let [wonderland, denmark] = Site::ALL.map(|site| world.access(site, site.rooms()));
    let taps = [Tap::start(wonderland?.addr).await?, Tap::start(denmark?.addr).await?];
    let start = |site: Site| Node::config(&world, site).map(|config| config.through(taps[site as usize].addr()));
    let (one, two) = tokio::try_join!(start(Site::Wonderland)?.start(), start(Site::Denmark)?.start())?;
    Ok((Sites { nodes: [one, two], world }, taps))
}

#[test]
fn what_a_client_forges_does_not_reach_the_other_site() {
    run(async {
        let (sites, taps) = tapped().await?;
        let people = [sites.joins(Site::Wonderland, "alice").await?, sites.joins(Site::Denmark, "hamlet").await?];
        for (speaker, reader) in [(0, 1), (1, 0)] {
            people[speaker].say("hello");
            people[reader].reads("hello", SOON).await?;
        }
        for site in Site::ALL {
            let (forger, other) = (&people[site as usize], &people[site.other() as usize]);
            let wires = || format!("{}\n{}", sites.report(), taps.each_ref().map(Tap::report).join("\n=== and\n"));
            forges(&taps, forger, other).await.with_context(wires)?;
        }
        clean_logs(&sites).await
    });
}

#[test]
fn what_a_client_forged_before_the_sites_met_does_not_hide_its_message() {
    run(async {
        let (sites, taps) = tapped().await?;
        let alice = sites.joins(Site::Wonderland, "alice").await?;
        let (to, forgeries) = (room(Site::Wonderland), forgeries());
        alice.send(format!("<message type='groupchat' to='{to}' id='f0'><body>early</body>{forgeries}</message>"));
        alice.reflected("early", SOON).await?;
        let _hamlet = sites.joins(Site::Denmark, "hamlet").await?;
        alice.say("late");
        let early = |stanza: &Element| body_of(stanza).as_deref() == Some("early");
        let here = room(Site::Denmark);
        let wires = || taps.each_ref().map(Tap::report).join("\n=== and\n");
        let crossing = |stanza: &Element| early(stanza) && stanza.attr("to") == Some(here);
        let sent = taps[1].expect("the early message", Way::In, SOON, crossing).await.with_context(wires)?;
        ensure!(!String::from(&sent).contains(FORGED), "sent to the other site: {}", String::from(&sent));
        clean_logs(&sites).await.with_context(wires)
    });
}

/// Both logs have the same messages, each with its author and an id of ours.
async fn clean_logs(sites: &Sites) -> Result<()> {
    let ledger = sites.agreed(SOON).await?;
    let ids = |site: Site| ledger.log(site).iter().filter(|entry| entry.is_message()).map(|entry| &entry.id);
    ensure!(ids(Site::Wonderland).eq(ids(Site::Denmark)), "the sites have different ids for the same messages");
    for site in Site::ALL {
        for entry in ledger.log(site).iter().filter(|entry| entry.is_message()) {
            let jid = entry.jid.as_deref().unwrap_or_default();
            ensure!(jid.starts_with(&entry.nick), "{site:?} has logged {entry:?}");
            ensure!(!entry.id.contains(FORGED), "{site:?} has logged {entry:?}");
        }
        let leaves = ledger.count(site, "leave");
        ensure!(leaves == 0, "{leaves} people have left, as {site:?} has it");
    }
    Ok(())
}

/// One person forges a groupchat message, a private message and a presence.
async fn forges(taps: &[Tap; 2], forger: &Client, other: &Client) -> Result<()> {
    let site = forger.site;
    let (here, there) = (room(site), room(site.other()));
    let author = format!("{}@{}/", forger.name, site.domain());
    let between = |stanza: &Element| {
        stanza.attr("from").is_some_and(|from| from.starts_with(here))
            && stanza.attr("to").is_some_and(|to| to.starts_with(there))
    };
    let forgeries = forgeries();
    let body = format!("words of {}", forger.name);
    let secret = format!("secrets of {}", forger.name);
    forger.send(format!("<message type='groupchat' to='{here}' id='f1'><body>{body}</body>{forgeries}</message>"));
    forger.send(format!(
        "<message type='chat' to='{here}/{}' id='f2'><body>{secret}</body>{forgeries}</message>",
        other.name
    ));
    forger.send(format!("<presence to='{here}/{}' id='f3'><show>dnd</show>{forgeries}</presence>", forger.name));
    forger.reflected(&body, SOON).await?;
    other.reads(&body, SOON).await?;
    other.reads(&secret, SOON).await?;

    let mine =
        |stanza: &Element| between(stanza) && stanza.attr("from").is_some_and(|from| from.ends_with(&forger.name));
    let dnd = |stanza: &Element| stanza.children().any(|child| child.name() == "show" && child.text() == "dnd");
    for (tap, way) in [(&taps[site as usize], Way::Out), (&taps[site.other() as usize], Way::In)] {
        let is = |stanza: &Element, text: &str| mine(stanza) && body_of(stanza).as_deref() == Some(text);
        let groupchat = tap.expect("the message", way, SOON, |stanza| is(stanza, &body)).await?;
        let private = tap.expect("the private message", way, SOON, |stanza| is(stanza, &secret)).await?;
        let presence = tap.expect("the presence", way, SOON, |stanza| mine(stanza) && dnd(stanza)).await?;
        for stanza in [&groupchat, &private, &presence] {
            let text = String::from(stanza);
            let fmuc: Vec<_> = stanza.children().filter(|child| child.name() == "fmuc").collect();
            ensure!(
                fmuc.len() == 1 && fmuc[0].attr("from").is_some_and(|from| from.starts_with(&author)),
                "the room's own word about the author is not alone: {text}"
            );
            ensure!(!fmuc[0].children().any(|child| child.name() == "left"), "{text}");
            ensure!(!text.contains(FORGED), "{way:?}: {text}");
        }
        let ids: Vec<_> = groupchat.children().filter(|child| child.is("stanza-id", SID)).collect();
        ensure!(ids.len() == 1 && ids[0].attr("by") == Some(here), "stanza-ids: {}", String::from(&groupchat));
        // And nothing else of it went another way.
        let leaked = tap.stanzas(way, |stanza| between(stanza) && String::from(stanza).contains(FORGED));
        ensure!(leaked.is_empty(), "{leaked:?}");
    }
    let shown = other.record().read.iter().filter(|seen| seen.xml.contains(FORGED)).count();
    ensure!(shown == 0, "{} has read forgeries: {:?}", other.name, other.record().read);
    let gone = other.record().gone;
    ensure!(gone.is_empty(), "{gone:?} have gone");
    println!("{}: a message, a private message and a presence, all clean on both wires", forger.name);
    Ok(())
}
