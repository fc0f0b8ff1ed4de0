//! The world itself, as the demo uses it: on one thread, without TLS, stopped in good order.

use anyhow::{Context, Result, ensure};
use tokio::time::{Duration, sleep};
use warren_peers::{QUIET, SOON};
use warren_testkit::peers::{Mode, Prosody, RunDir, Site, User, World, body_of};

async fn talks(from: &User, to: &mut User, text: &str) -> Result<()> {
    let bare = to.bare();
    from.send(&format!("<message to='{bare}' type='chat'><body>{text}</body></message>")).await?;
    to.expect(text, SOON, |stanza| body_of(stanza).as_deref() == Some(text)).await.map(drop)
}

#[tokio::test]
async fn world_without_tls_lives_is_cut_restarts_and_leaves_nothing() -> Result<()> {
    let mut world = World::builder().tls(false).start().await?;
    let dir = world.dir().to_owned();
    let mut alice = world.user(Site::Wonderland, "alice").await?;
    let mut hamlet = world.user(Site::Denmark, "hamlet").await?;
    talks(&alice, &mut hamlet, "from alice").await?;
    talks(&hamlet, &mut alice, "from hamlet").await?;
    ensure!(world.outgoing(Site::Wonderland).counters().passed_up > 0, "not through the border");

    // The border is all there is between the two, and nothing else goes through it.
    world.border().set(Mode::Refuse);
    sleep(QUIET).await; // what is written before the reset is heard of is lost without a bounce
    alice.send("<message to='hamlet@denmark.lit' type='chat' id='cut'><body>cut</body></message>").await?;
    let bounced = alice.expect("a bounce", SOON, |stanza| stanza.attr("id") == Some("cut")).await?;
    ensure!(bounced.attr("type") == Some("error"), "{}", String::from(&bounced));
    let mut queen = world.user(Site::Wonderland, "queen").await?;
    talks(&alice, &mut queen, "at home").await?;
    world.border().heal();
    sleep(Duration::from_secs(1)).await; // ejabberd's waiting time, should it have tried
    talks(&alice, &mut hamlet, "healed").await?;

    // A server that was killed comes back on its ports, with its accounts; its users notice.
    world.ejabberd.child().kill().await?;
    ensure!(hamlet.recv(SOON).await?.is_none_or(|last| last.name() == "message"), "no end of the connection");
    world.ejabberd.start_again().await?;
    world.prosody.stop().await?;
    world.prosody.start_again().await?;
    let hamlet = world.login(Site::Denmark, "hamlet/again").await?;
    let mut alice = world.login(Site::Wonderland, "alice/again").await?;
    talks(&hamlet, &mut alice, "again").await?;

    hamlet.close().await?;
    alice.close().await?;
    world.stop().await?;
    sleep(QUIET).await;
    ensure!(!dir.exists(), "{} is still there", dir.display());
    Ok(())
}

#[tokio::test]
async fn users_join_rooms_ping_themselves_and_are_refused_with_a_reason() -> Result<()> {
    let (dir, dns) = (RunDir::new()?, warren_testkit::peers::Dns::start().await?);
    let config = Prosody::config(dir.path(), dns.addr()).host("wonderland.lit").muc("model.wonderland.lit");
    let prosody =
        config.account("alice@wonderland.lit", "secret").account("queen@wonderland.lit", "secret").start().await?;
    let room = "garden@model.wonderland.lit";

    let mut alice = User::login(prosody.c2s(), "alice@wonderland.lit/chair", "secret", SOON).await?;
    ensure!(alice.jid().to_string() == "alice@wonderland.lit/chair", "{}", alice.jid());
    alice.join(room, "Alice", SOON).await?;
    let answer = alice.self_ping(&format!("{room}/Alice"), SOON).await?;
    ensure!(answer.attr("type") == Some("result"), "{}", String::from(&answer));

    let mut queen = User::login(prosody.c2s(), "queen@wonderland.lit", "secret", SOON).await?;
    let refused = queen.join(room, "Alice", SOON).await.err().context("two with one nick")?;
    ensure!(format!("{refused:#}").contains("conflict"), "{refused:#}");
    let answer = queen.self_ping(&format!("{room}/Queen"), SOON).await?;
    ensure!(answer.attr("type") == Some("error"), "{}", String::from(&answer));

    let wrong = User::login(prosody.c2s(), "alice@wonderland.lit", "wrong", SOON).await.err().context("let in")?;
    ensure!(format!("{wrong:#}").contains("refused the login"), "{wrong:#}");
    Ok(())
}
