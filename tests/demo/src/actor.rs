//! Somebody who talks in the room and whose screen we see.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use minidom::Element;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use warren_testkit::{
    node::room,
    peers::{Site, User, World, body_of, error_of},
};

use crate::transcript::Transcript;

/// For what nothing delays, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// A message, as both sites must know it: by the nick of its sender and its sender's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Nick of the sender.
    pub nick: String,
    /// The id that the sender's client gave it.
    pub id: String,
}

/// All that has been on a screen.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Messages of the room, own ones too, and how often each came.
    pub shown: BTreeMap<Name, usize>,
    /// Nicks of others who are in the room.
    pub present: BTreeSet<String>,
    /// Own messages that came back with an error, and its condition.
    pub refused: BTreeMap<String, String>,
    /// The connection has ended.
    pub off: bool,
}

impl Screen {
    /// How often messages came that had been here.
    pub fn repeats(&self) -> usize {
        self.shown.values().map(|times| times - 1).sum()
    }
}

/// A logged-in account in the room, run by a task of its own.
#[derive(Debug)]
pub struct Actor {
    /// Nick and name of the account.
    pub nick: &'static str,
    lines: &'static [&'static str],
    next: usize,
    said: usize,
    todo: mpsc::UnboundedSender<(String, String)>,
    screen: watch::Receiver<Screen>,
}

impl Actor {
    /// Makes an account, logs it in and joins the room of its site.
    ///
    /// # Errors
    /// When that does not succeed soon.
    pub async fn enters(
        world: &World,
        site: Site,
        nick: &'static str,
        lines: &'static [&'static str],
        transcript: Transcript,
    ) -> Result<Self> {
        let mut user = world.user(site, nick).await?;
        user.join(room(site), nick, SOON).await?;
        let (todo, orders) = mpsc::unbounded_channel();
        let (news, screen) = watch::channel(Screen::default());
        tokio::spawn(Life { user, site, nick, transcript, news }.run(orders));
        Ok(Self { nick, lines, next: 0, said: 0, todo, screen })
    }

    /// Says the next line. Returns the message's name.
    pub fn say(&mut self) -> Name {
        let line = self.lines[self.next % self.lines.len()];
        self.next += 1;
        self.said += 1;
        let id = format!("{}-{}", self.nick, self.said);
        self.todo.send((id.clone(), line.to_owned())).ok(); // an end of the connection is seen on the screen
        Name { nick: self.nick.to_owned(), id }
    }

    /// Goes back a line: it was not heard.
    pub fn step_back(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    /// How many lines were said.
    pub fn said(&self) -> usize {
        self.said
    }

    /// What has been on the screen.
    pub fn screen(&self) -> Screen {
        self.screen.borrow().clone()
    }

    /// Waits until the screen is as wanted.
    ///
    /// # Errors
    /// When it is not within `deadline`, or the connection ends.
    pub async fn sees(&self, what: &str, deadline: Duration, wanted: impl Fn(&Screen) -> bool) -> Result<()> {
        let mut screen = self.screen.clone();
        let seen = timeout(deadline, screen.wait_for(|screen| screen.off || wanted(screen))).await;
        let seen = seen.map_err(|_| anyhow!("{} does not see {what} within {deadline:?}", self.nick))?;
        let off = seen.context("a screen is gone")?.off;
        if off { Err(anyhow!("{} has lost the connection to the server", self.nick)) } else { Ok(()) }
    }

    /// Waits for a message on the screen.
    ///
    /// # Errors
    /// As [`Actor::sees`].
    pub async fn reads(&self, message: &Name, deadline: Duration) -> Result<()> {
        self.sees(&message.id, deadline, |screen| screen.shown.contains_key(message)).await
    }

    /// Says the next line and waits for the room's copy of it.
    ///
    /// # Errors
    /// As [`Actor::sees`].
    pub async fn says(&mut self) -> Result<Name> {
        let message = self.say();
        self.reads(&message, SOON).await?;
        Ok(message)
    }
}

/// The task of an actor.
struct Life {
    user: User,
    site: Site,
    nick: &'static str,
    transcript: Transcript,
    news: watch::Sender<Screen>,
}

impl Life {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<(String, String)>) {
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some((id, body)) = order else { return };
                    let to = room(self.site);
                    let text = format!("<message type='groupchat' to='{to}' id='{id}'><body>{body}</body></message>");
                    if self.user.send(&text).await.is_err() {
                        break;
                    }
                }
                stanza = self.user.recv(Duration::from_hours(1)) => match stanza {
                    Ok(Some(stanza)) => self.shows(&stanza),
                    Ok(None) => break,
                    Err(_) => {} // an hour of silence
                },
            }
        }
        self.news.send_modify(|screen| screen.off = true);
    }

    fn shows(&self, stanza: &Element) {
        let from = stanza.attr("from").unwrap_or_default();
        let (from, nick) = from.split_once('/').unwrap_or((from, ""));
        if from != room(self.site) {
            return;
        }
        let id = stanza.attr("id").unwrap_or_default().to_owned();
        let line = match (stanza.name(), error_of(stanza), body_of(stanza)) {
            ("message", Some(error), _) => {
                let line = format!("   (not delivered: {})", error.condition);
                self.news.send_modify(|screen| drop(screen.refused.insert(id, error.condition)));
                line
            }
            ("message", None, Some(body)) => {
                let name = Name { nick: nick.to_owned(), id };
                let mut again = false;
                self.news.send_modify(|screen| {
                    let times = screen.shown.entry(name).or_default();
                    *times += 1;
                    again = *times > 1;
                });
                let delayed = stanza.children().any(|child| child.is("delay", "urn:xmpp:delay"));
                format!("{}{nick}: {body}{}", if again { "(again) " } else { "" }, if delayed { " *" } else { "" })
            }
            ("presence", None, _) if nick != self.nick => {
                let left = stanza.attr("type") == Some("unavailable");
                let mut news = true;
                self.news.send_modify(|screen| {
                    news = if left { screen.present.remove(nick) } else { screen.present.insert(nick.to_owned()) };
                });
                if !news {
                    return;
                }
                let verb = if left { "has left" } else { "is here" };
                format!("   ({nick} {verb})")
            }
            _ => return,
        };
        self.transcript.screen(self.site, &line);
    }
}
