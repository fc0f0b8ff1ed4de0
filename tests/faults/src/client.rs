//! A user who behaves as real clients do: pings himself (XEP-0410) and joins again when he is told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use minidom::Element;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, Interval, interval, timeout},
};
use warren_testkit::peers::{Site, User, body_of, error_of, user::has_status};

use crate::SOON;

/// Between two self-pings; clients take minutes.
const SELF_PING: Duration = Duration::from_secs(2);

/// What a client has read and done.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Own messages that came back from the room, and how often.
    pub reflected: BTreeMap<String, usize>,
    /// Messages of others, in the order in which they came, with repeats.
    pub read: Vec<Seen>,
    /// The room's ids (XEP-0359) of all of these, by nick and text: a repeat must carry the same one.
    pub ids: BTreeMap<(String, String), BTreeSet<String>>,
    /// Own messages that came back with an error, and its condition.
    pub bounced: BTreeMap<String, String>,
    /// Nicks that left, as the room said, and when.
    pub gone: Vec<(String, Instant)>,
    /// Nicks that came, as the room said, and when; without those who were there before.
    pub came: Vec<(String, Instant)>,
    /// How often the client had to join again.
    pub rejoins: usize,
    /// Answers to self-pings: `result` or the condition of the error.
    pub pings: BTreeMap<String, usize>,
}

/// A message of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who.
    pub nick: String,
    /// What.
    pub body: String,
    /// The whole stanza.
    pub xml: String,
}

impl Record {
    /// How often messages of others came once more.
    pub fn repeats(&self) -> usize {
        let mut times = BTreeMap::new();
        self.read.iter().for_each(|seen| *times.entry((&seen.nick, &seen.body)).or_insert(0) += 1);
        times.values().map(|times: &usize| times - 1).sum()
    }
}

/// A user in a room, run by a task of its own.
#[derive(Debug)]
pub struct Client {
    /// The nick.
    pub name: String,
    /// Where the account is.
    pub site: Site,
    orders: mpsc::UnboundedSender<Order>,
    watch: Watch,
    task: JoinHandle<()>,
}

/// Looks over the shoulder of a [`Client`].
#[derive(Clone, Debug)]
pub struct Watch {
    name: String,
    record: watch::Receiver<Record>,
}

impl Watch {
    /// The nick.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it has seen so far.
    pub fn record(&self) -> Record {
        self.record.borrow().clone()
    }

    /// Waits until its record is as wanted.
    ///
    /// # Errors
    /// When it is not within `deadline`.
    pub async fn until(&mut self, what: &str, deadline: Duration, wanted: impl Fn(&Record) -> bool) -> Result<()> {
        let outcome = timeout(deadline, self.record.wait_for(|record| wanted(record))).await;
        let outcome = outcome.map_err(|_| anyhow!("{}: no {what} within {deadline:?}", self.name))?;
        outcome.map(drop).with_context(|| format!("{}: the connection ended before {what}", self.name))
    }
}

#[derive(Debug)]
enum Order {
    Say(String),
    Send(String),
    /// Close the stream in good order, or reset it.
    Quit {
        orderly: bool,
    },
}

impl Client {
    /// Joins the room.
    ///
    /// # Errors
    /// When the room refuses or does not answer.
    pub async fn join(mut user: User, site: Site, room: &str, nick: &str) -> Result<Self> {
        user.join(room, nick, SOON).await?;
        let (orders, todo) = mpsc::unbounded_channel();
        let (news, record) = watch::channel(Record::default());
        let life = Life { user, room: room.to_owned(), nick: nick.to_owned(), pinged: None, news };
        let task = tokio::spawn(life.run(todo));
        let watch = Watch { name: nick.to_owned(), record };
        Ok(Self { name: nick.to_owned(), site, orders, watch, task })
    }

    /// Says something; it is also the id of the message.
    pub fn say(&self, body: impl Into<String>) {
        self.orders.send(Order::Say(body.into())).ok(); // a task that has ended is seen by its record
    }

    /// Sends a stanza as it is.
    pub fn send(&self, stanza: impl Into<String>) {
        self.orders.send(Order::Send(stanza.into())).ok();
    }

    /// What it has seen so far.
    pub fn record(&self) -> Record {
        self.watch.record()
    }

    /// Looks over its shoulder while it is used.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Waits until its record is as wanted.
    ///
    /// # Errors
    /// When it is not within `deadline`.
    pub async fn until(&self, what: &str, deadline: Duration, wanted: impl Fn(&Record) -> bool) -> Result<()> {
        self.watch().until(what, deadline, wanted).await
    }

    /// Waits until the room has sent back what was said.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn reflected(&self, body: &str, deadline: Duration) -> Result<()> {
        self.until(&format!("copy of {body}"), deadline, |record| record.reflected.contains_key(body)).await
    }

    /// Waits until this message of somebody else is here.
    ///
    /// # Errors
    /// When it is not within `deadline`.
    pub async fn reads(&self, body: &str, deadline: Duration) -> Result<()> {
        let here = |record: &Record| record.read.iter().any(|seen| seen.body == body);
        self.until(&format!("message {body}"), deadline, here).await
    }

    /// Goes offline, in good order or with a reset of its connection, without leaving the room.
    ///
    /// # Errors
    /// When that takes long.
    pub async fn quit(self, orderly: bool) -> Result<()> {
        self.orders.send(Order::Quit { orderly }).ok();
        timeout(SOON, self.task).await.map_err(|_| anyhow!("{} does not end", self.name))??;
        Ok(())
    }
}

/// The task of a client.
struct Life {
    user: User,
    room: String,
    nick: String,
    /// The self-ping that is not answered yet.
    pinged: Option<String>,
    news: watch::Sender<Record>,
}

impl Life {
    async fn run(mut self, mut todo: mpsc::UnboundedReceiver<Order>) {
        let mut due: Interval = interval(SELF_PING);
        loop {
            tokio::select! {
                order = todo.recv() => match order {
                    Some(Order::Say(body)) => {
                        let room = &self.room;
                        let text = format!(
                            "<message type='groupchat' to='{room}' id='{body}'><body>{body}</body></message>"
                        );
                        self.send(&text).await;
                    }
                    Some(Order::Send(stanza)) => self.send(&stanza).await,
                    Some(Order::Quit { orderly: true }) => {
                        self.user.close().await.ok();
                        return;
                    }
                    Some(Order::Quit { orderly: false }) => {
                        self.user.kill();
                        return;
                    }
                    None => return,
                },
                _ = due.tick() => {
                    // An answer that does not come says nothing about the seat: ask again.
                    let id = self.user.fresh_id();
                    let to = format!("{}/{}", self.room, self.nick);
                    self.send(&format!("<iq type='get' to='{to}' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
                    self.pinged = Some(id);
                }
                stanza = self.user.recv(Duration::from_hours(1)) => match stanza {
                    Ok(Some(stanza)) => self.read(&stanza).await,
                    _ => return,
                },
            }
        }
    }

    /// What cannot be sent is not reflected, and that is what counts.
    async fn send(&self, stanza: &str) {
        self.user.send(stanza).await.ok();
    }

    async fn read(&mut self, stanza: &Element) {
        let from = stanza.attr("from").unwrap_or_default();
        let id = stanza.attr("id").unwrap_or_default().to_owned();
        if stanza.name() == "iq" && self.pinged.as_ref() == Some(&id) {
            return self.answered(stanza).await;
        }
        let Some((room, nick)) = from.split_once('/').or(Some((from, ""))).filter(|(room, _)| *room == self.room)
        else {
            return;
        };
        let nick = nick.to_owned();
        let error = error_of(stanza);
        let mine = nick == self.nick;
        let given = stanza.children().filter(|child| child.is("stanza-id", "urn:xmpp:sid:0"));
        let ids: Vec<_> =
            given.filter(|child| child.attr("by") == Some(room)).filter_map(|child| child.attr("id")).collect();
        let body = body_of(stanza);
        self.news.send_modify(|record| {
            if let (Some(body), None) = (&body, &error)
                && stanza.attr("type") == Some("groupchat")
            {
                let known = record.ids.entry((nick.clone(), body.clone())).or_default();
                known.extend(ids.into_iter().map(str::to_owned));
            }
            match (stanza.name(), error, body) {
                ("message", Some(error), _) => drop(record.bounced.insert(id, error.condition)),
                ("message", None, Some(body)) if mine => *record.reflected.entry(body).or_default() += 1,
                ("message", None, Some(body)) => {
                    record.read.push(Seen { nick, body, xml: String::from(stanza) });
                }
                ("presence", None, _) if stanza.attr("type") == Some("unavailable") => {
                    record.gone.push((nick, Instant::now()));
                }
                ("presence", None, _) if !has_status(stanza, "110") => record.came.push((nick, Instant::now())),
                _ => {}
            }
        });
    }

    /// XEP-0410 section 3.
    async fn answered(&mut self, answer: &Element) {
        self.pinged = None;
        let condition = match error_of(answer) {
            None => "result".to_owned(),
            Some(error) => error.condition,
        };
        let inside = ["result", "service-unavailable", "feature-not-implemented", "item-not-found"];
        let unknown = ["remote-server-not-found", "remote-server-timeout"]; // asked again later
        let outside = !inside.contains(&condition.as_str()) && !unknown.contains(&condition.as_str());
        self.news.send_modify(|record| {
            *record.pings.entry(condition).or_default() += 1;
            record.rejoins += usize::from(outside);
        });
        if outside {
            let seat = format!("{}/{}", self.room, self.nick);
            self.send(&format!("<presence to='{seat}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).await;
        }
    }
}
