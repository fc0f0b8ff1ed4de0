//! A user who sends deeply nested elements into the room: 5,000 levels end ejabberd with SIGSEGV (tests/peers).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;
use warren_faults::{Client, RawUser, Record, SOON, Sites, run};
use warren_testkit::peers::{Site, World, world::PASSWORD};

const LEVELS: usize = 5_000;

/// 35 KB.
fn nested() -> String {
    format!("<x xmlns='urn:example:deep'>{}{}</x>", "<a>".repeat(LEVELS), "</a>".repeat(LEVELS))
}

#[test]
fn nobody_notices_somebody_who_sends_nested_tags() {
    run(async {
        let mut sites = Sites::start(World::start().await?, |config| config).await?;
        let alice = sites.joins(Site::Wonderland, "alice").await?;
        let hamlet = sites.joins(Site::Denmark, "hamlet").await?;
        let room = sites.node(Site::Wonderland).room();
        let jid = sites.world.account(Site::Wonderland, "queen").await?;
        let mut queen = RawUser::login(sites.world.c2s(Site::Wonderland), &jid, PASSWORD).await?;
        queen
            .send(&format!("<presence to='{room}/queen'><x xmlns='http://jabber.org/protocol/muc'/></presence>"))
            .await?;
        queen.until("110", SOON).await?;
        for client in [&alice, &hamlet] {
            let came = |record: &Record| record.came.iter().any(|(nick, _)| nick == "queen");
            client.until("join of the queen", SOON, came).await.with_context(|| sites.report())?;
        }
        talk(&alice, &hamlet, "a").await?;
        let before = [alice.record(), hamlet.record()].map(|record| (record.read, record.gone, record.came));

        let deep = nested();
        let bytes = deep.len();
        for (id, head, name) in [
            ("deep-room", format!("message type='groupchat' to='{room}'"), "message"),
            ("deep-private", format!("message type='chat' to='{room}/hamlet'"), "message"),
            ("deep-presence", format!("presence to='{room}/queen'"), "presence"),
            ("deep-iq", format!("iq type='set' to='{room}/hamlet'"), "iq"),
        ] {
            queen.send(&format!("<{head} id='{id}'>{deep}</{name}>")).await?;
            let answer = queen.until("</error>", SOON).await.with_context(|| format!("{id}\n{}", sites.report()))?;
            ensure!(answer.contains(id) && answer.contains("policy-violation"), "to {id}: {answer}");
        }
        sleep(Duration::from_secs(1)).await;
        let after = [alice.record(), hamlet.record()].map(|record| (record.read, record.gone, record.came));
        ensure!(before == after, "somebody noticed: {after:?}");
        ensure!(sites.world.ejabberd.child().is_alive(), "ejabberd has died");
        for site in Site::ALL {
            ensure!(sites.node_mut(site).child().is_alive(), "the node of {site:?} has died");
        }
        // All of them go on, the queen too.
        talk(&alice, &hamlet, "b").await?;
        queen
            .send(&format!("<message type='groupchat' to='{room}' id='q'><body>Off with her head</body></message>"))
            .await?;
        queen.until("Off with her head", SOON).await?;
        hamlet.reads("Off with her head", SOON).await?;

        let ledger = sites.agreed(SOON).await?;
        for site in Site::ALL {
            ensure!(ledger.bodies(site).len() == 5, "in the log of {site:?}: {:?}", ledger.bodies(site));
        }
        println!("4 stanzas of {bytes} bytes and {LEVELS} levels were refused; nobody else has noticed");
        Ok(())
    });
}

async fn talk(alice: &Client, hamlet: &Client, text: &str) -> Result<()> {
    for (speaker, reader) in [(alice, hamlet), (hamlet, alice)] {
        let body = format!("{text}-{}", speaker.name);
        speaker.say(body.clone());
        speaker.reflected(&body, SOON).await?;
        reader.reads(&body, SOON).await?;
    }
    Ok(())
}
