//! The story, scene by scene. Every wait has a deadline; the pauses are for the audience and for the timers in
//! `examples/demo`.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;
use warren_testkit::{
    node::{Node, room},
    peers::{Mode, Site, World},
};

use crate::{
    account::Account,
    actor::{Actor, Screen},
    lines, stay,
    transcript::{Transcript, heads, plain},
};

/// Between two lines of a talk.
const BEAT: Duration = Duration::from_millis(500);

/// Lines of each while the path is cut: longer than `suspectAfter` (4 s) and `ackTimeout` (2 s).
const CUT: usize = 11;

/// From a heal, or a restart, until everybody has read everything.
const CATCH_UP: Duration = Duration::from_secs(20);

/// Until a server has said that it cannot deliver.
const REFUSAL: Duration = Duration::from_secs(5);

/// The stage.
#[derive(Debug)]
pub struct Story {
    transcript: Transcript,
    alice: Actor,
    hamlet: Actor,
    // In this order they go: the nodes before the servers.
    nodes: [Node; 2],
    world: World,
}

impl Story {
    /// Starts servers and nodes; alice and hamlet enter.
    ///
    /// # Errors
    /// When something is missing or does not start; says what.
    pub async fn begin(transcript: &Transcript) -> Result<Self> {
        transcript
            .direction("Prosody starts for wonderland.lit, ejabberd for denmark.lit, and a proxy between the two");
        let world = World::start().await?;
        transcript.direction("one muc-node with SQLite starts at each, as a component (XEP-0114) of its server");
        let (one, two) = tokio::try_join!(Node::start(&world, Site::Wonderland), Node::start(&world, Site::Denmark))?;
        transcript.direction(&format!("{} and {} are one room", room(Site::Wonderland), room(Site::Denmark)));
        heads();
        let alice = Actor::enters(&world, Site::Wonderland, "alice", lines::ALICE, transcript.clone()).await?;
        let hamlet = Actor::enters(&world, Site::Denmark, "hamlet", lines::HAMLET, transcript.clone()).await?;
        for (actor, other) in [(&alice, "hamlet"), (&hamlet, "alice")] {
            actor.sees(&format!("{other} in the room"), CATCH_UP, |screen| screen.present.contains(other)).await?;
        }
        Ok(Self { transcript: transcript.clone(), alice, hamlet, nodes: [one, two], world })
    }

    /// Everything that happens, and the account of it.
    ///
    /// # Errors
    /// When it goes another way than it should.
    pub async fn play(&mut self) -> Result<()> {
        self.talk(3).await.context("before anything has happened")?;
        self.cut().await.context("when the path was cut")?;
        self.kill().await.context("when a node was killed")?;
        let account = Account::take(&self.nodes, [&self.alice, &self.hamlet], self.world.border().counters()).await?;
        plain(&account.to_string());
        account.check()
    }

    /// What went on behind the scenes, when it went wrong.
    pub fn report(&self) -> String {
        self.nodes.each_ref().map(Node::report).join("\n")
    }

    /// How to join, for a person.
    ///
    /// # Errors
    /// When no account can be made.
    pub async fn invitation(&self) -> Result<String> {
        stay::invitation(&self.world, &self.nodes).await
    }

    /// Ends everything in good order.
    ///
    /// # Errors
    /// When something does not end by itself.
    pub async fn end(self) -> Result<()> {
        let Self { alice, hamlet, nodes: [mut one, mut two], world, .. } = self;
        drop((alice, hamlet));
        tokio::try_join!(one.stop(), two.stop())?;
        world.stop().await
    }

    /// Both talk in turn, and each waits for what the other says.
    async fn talk(&mut self, rounds: usize) -> Result<()> {
        for _ in 0..rounds {
            let line = self.alice.says().await?;
            self.hamlet.reads(&line, CATCH_UP).await?;
            sleep(BEAT).await;
            let line = self.hamlet.says().await?;
            self.alice.reads(&line, CATCH_UP).await?;
            sleep(BEAT).await;
        }
        Ok(())
    }

    async fn cut(&mut self) -> Result<()> {
        self.transcript.direction("the path is CUT: the proxy reads and discards, accepts and never answers");
        self.world.border().set(Mode::Hole);
        let mut last = (self.alice.says().await?, self.hamlet.says().await?);
        for _ in 1..CUT {
            sleep(BEAT).await;
            last.0 = self.alice.says().await?;
            sleep(BEAT).await;
            last.1 = self.hamlet.says().await?;
        }
        self.transcript.direction("the path HEALS: all connections are reset, and each site learns what it missed");
        self.world.border().heal();
        self.hamlet.reads(&last.0, CATCH_UP).await?;
        self.alice.reads(&last.1, CATCH_UP).await?;
        self.talk(2).await
    }

    async fn kill(&mut self) -> Result<()> {
        self.transcript.direction("KILL -9 of denmark's node; wonderland talks on");
        // In the middle of a sentence: nobody waits for it to arrive anywhere.
        self.alice.say();
        self.nodes[Site::Denmark as usize].kill9().await?;
        sleep(BEAT).await;
        let refused = self.hamlet.say();
        let said = |screen: &Screen| screen.refused.contains_key(&refused.id) || screen.shown.contains_key(&refused);
        let mut last = self.alice.says().await?;
        self.hamlet.sees("that nobody hears him", REFUSAL, said).await?;
        let heard = self.hamlet.screen().shown.contains_key(&refused);
        for _ in 0..4 {
            sleep(BEAT * 2).await;
            last = self.alice.says().await?;
        }
        self.transcript.direction("denmark's node starts again on the same store; hamlet's client notices nothing");
        self.nodes[Site::Denmark as usize].start_again().await?;
        self.hamlet.reads(&last, CATCH_UP).await?;
        if !heard {
            self.hamlet.step_back();
        }
        self.talk(2).await
    }
}
