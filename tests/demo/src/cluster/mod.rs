//! The story of a cluster: from kubectl apply to a room that outlives its pod. See `make cluster-demo`.

mod stage;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};
use warren_testkit::node::Node;
use warren_testkit::peers::{Site, World};

use crate::account::Account;
use crate::actor::Actor;
use crate::lines;
use crate::transcript::{Transcript, heads, plain};
use stage::{NAMESPACE, Part, Stage};

/// Between two lines of a talk.
const BEAT: Duration = Duration::from_millis(400);
/// Until everybody has read everything.
const CATCH_UP: Duration = Duration::from_secs(20);
/// Between two attempts to speak while nobody serves.
const ATTEMPT: Duration = Duration::from_millis(100);
/// What goes wrong in a manifest.
const WRONG: &str = "apiVersion: warren.chat/v1alpha1
kind: FederatedRoom
metadata: {name: nowhere}
spec:
  serviceRef: {name: rooms}
  federation:
    jidExposure: Real
    uplink: {mode: PrimaryPrimary, sync: WhenOccupied, candidates: [{peer: atlantis, room: plaza}]}
";

/// Tells it.
///
/// # Errors
/// When something is missing, or goes another way than it should.
pub async fn play(transcript: &Transcript) -> Result<()> {
    transcript.direction("Prosody starts for wonderland.lit, ejabberd for denmark.lit");
    let world = World::start().await?;
    transcript.direction("etcd, kube-apiserver and PostgreSQL start; two operators; three muc-nodes, told nothing yet");
    let stage = Stage::build().await?;
    let mut story = Story { transcript: transcript.clone(), stage, world };
    let outcome = story.tell().await;
    outcome.with_context(|| story.stage.report())?;
    let Story { stage, world, .. } = story;
    stage.end().await?;
    world.stop().await
}

struct Story {
    transcript: Transcript,
    stage: Stage,
    world: World,
}

impl Story {
    async fn tell(&mut self) -> Result<()> {
        self.transcript.direction("kubectl apply -f examples/demo/wonderland");
        let applied = Instant::now();
        kubectl_says(&self.stage.apply(&self.world).await?);
        self.stage.until("rabbithole", "Ready", "True").await?;
        self.transcript.direction(&format!("the room is Ready {:.1?} after kubectl", applied.elapsed()));
        kubectl_says(
            &self.stage.kubectl.run(&["get", "mucservices,federationpeers,federatedrooms", "-n", NAMESPACE]).await?,
        );
        self.wrong().await?;

        self.transcript.direction("one muc-node with SQLite starts at denmark.lit, the other site of the room");
        let mut denmark = Node::start(&self.world, Site::Denmark).await?;
        heads();
        let mut alice =
            Actor::enters(&self.world, Site::Wonderland, "alice", lines::ALICE, self.transcript.clone()).await?;
        let mut hamlet =
            Actor::enters(&self.world, Site::Denmark, "hamlet", lines::HAMLET, self.transcript.clone()).await?;
        for (actor, other) in [(&alice, "hamlet"), (&hamlet, "alice")] {
            actor.sees(&format!("{other} in the room"), CATCH_UP, |screen| screen.present.contains(other)).await?;
        }
        self.talk(&mut alice, &mut hamlet, 2).await?;
        self.edit().await?;
        for part in [Part::Room, Part::Link] {
            self.kill(part, &mut alice, &mut hamlet).await?;
        }
        self.nobody_governs(&mut alice, &mut hamlet).await?;

        let account = self.account(&denmark, [&alice, &hamlet]).await?;
        plain(&account.to_string());
        account.check()?;
        for actor in [&alice, &hamlet] {
            let screen = actor.screen();
            ensure!(screen.present.len() == 1, "{} sees {:?}: somebody was seen to leave", actor.nick, screen.present);
        }
        drop((alice, hamlet));
        denmark.stop().await
    }

    /// A room that names a peer which is not there.
    async fn wrong(&self) -> Result<()> {
        self.transcript.direction("kubectl apply of a room with an unknown peer");
        self.stage.kubectl.run_with(&["apply", "-n", NAMESPACE, "-f", "-"], WRONG).await?;
        let why = self.stage.until("nowhere", "Accepted", "False").await?;
        kubectl_says(&format!("federatedroom nowhere  Accepted=False: {why}"));
        ensure!(why.contains("atlantis"), "the message does not name the peer: {why}");
        self.stage
            .kubectl
            .run(&["delete", "federatedroom", "nowhere", "-n", NAMESPACE, "--timeout=20s"])
            .await
            .map(drop)
    }

    /// The pod with a part is killed in the middle of the talk.
    async fn kill(&mut self, part: Part, alice: &mut Actor, hamlet: &mut Actor) -> Result<()> {
        alice.say();
        hamlet.say();
        let killed = Instant::now();
        let name = self.stage.kill(part).await?;
        let had = match part {
            Part::Room => "decided for the room",
            Part::Link => "had the link to Prosody",
        };
        self.transcript.direction(&format!("KILL -9 of {name}, which {had}"));
        let (mut spoken, mut at_the_room) = (Vec::new(), None);
        // Alice goes on; what her server cannot deliver comes back with an error.
        let heard = loop {
            let line = alice.say();
            spoken.push(line.clone());
            sleep(ATTEMPT).await;
            if at_the_room.is_none() && self.stage.holder(part).await.is_some() {
                at_the_room = Some(killed.elapsed());
            }
            let screen = alice.screen();
            if let Some(line) = spoken.iter().find(|line| screen.shown.contains_key(line)) {
                break line.clone();
            }
            ensure!(killed.elapsed() < CATCH_UP, "nobody hears alice any more");
        };
        let at_the_user = killed.elapsed();
        let at_the_room = at_the_room.unwrap_or(at_the_user);
        hamlet.reads(&heard, CATCH_UP).await?;
        self.transcript.direction(&format!("gap: at the room {at_the_room:.2?}, at the user {at_the_user:.2?}"));
        self.talk(alice, hamlet, 1).await
    }

    /// An edit reaches the room.
    async fn edit(&self) -> Result<()> {
        let edited = Instant::now();
        let patch = r#"{"spec":{"title":"A mad tea party"}}"#;
        self.transcript.direction("kubectl patch: the room gets another title");
        let kubectl = &self.stage.kubectl;
        kubectl.run(&["patch", "federatedroom", "rabbithole", "-n", NAMESPACE, "--type=merge", "-p", patch]).await?;
        self.stage.until("rabbithole", "Ready", "True").await?;
        self.transcript.direction(&format!("the edit is in force {:.1?} after kubectl", edited.elapsed()));
        Ok(())
    }

    /// Operators and API server are killed: the rooms do not notice.
    async fn nobody_governs(&mut self, alice: &mut Actor, hamlet: &mut Actor) -> Result<()> {
        self.transcript.direction("KILL -9 of both operators and of the API server; the talk goes on");
        for mut operator in self.stage.operators.drain(..) {
            operator.child.kill().await?;
        }
        self.stage.api.kill().await?;
        self.talk(alice, hamlet, 3).await?;
        self.transcript.direction("the API server starts again, and knows what it knew");
        self.stage.api.start_again().await?;
        kubectl_says(&self.stage.kubectl.run(&["get", "federatedrooms", "-n", NAMESPACE]).await?);
        self.talk(alice, hamlet, 1).await
    }

    /// Both talk in turn, and each waits for what the other says.
    async fn talk(&self, alice: &mut Actor, hamlet: &mut Actor, rounds: usize) -> Result<()> {
        for _ in 0..rounds {
            let line = alice.says().await?;
            hamlet.reads(&line, CATCH_UP).await?;
            sleep(BEAT).await;
            let line = hamlet.says().await?;
            alice.reads(&line, CATCH_UP).await?;
            sleep(BEAT).await;
        }
        Ok(())
    }

    async fn account(&self, denmark: &Node, actors: [&Actor; 2]) -> Result<Account> {
        let end = Instant::now() + CATCH_UP;
        loop {
            let account = Account::of([self.stage.log().await?, denmark.log().await?], actors, None);
            if account.agrees() || Instant::now() > end {
                return Ok(account);
            }
            sleep(BEAT).await;
        }
    }
}

/// What kubectl has printed, as the audience reads it.
fn kubectl_says(text: &str) {
    for line in text.lines() {
        plain(&format!("         {line}"));
    }
}
