//! One connection, driven by whoever calls: no pool, and no thread of its own.
//!
//! Every connection of a store belongs to one thread for its whole life (the writer's, a reader's, the beat's), so a
//! pool would hand the same connection to the same caller for ever and cost a hop between threads for each answer.
//! What a pool is good for besides, a new connection in the place of a broken one, is three lines in
//! [`Connection::session`]. The client library is asynchronous; a runtime of one thread beside each connection runs
//! it inside the calls below, and only there.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::config::{SslMode as ClientSsl, TargetSessionAttrs};
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, Statement};

use super::PostgresOptions;
use super::dsn::{self, Ssl, SslMode};
use super::tls;
pub use super::trouble::Trouble;
use super::trouble::{chain, described};

/// A parameter of a statement.
pub type Param<'a> = Box<dyn ToSql + Send + Sync + 'a>;

/// A statement with its parameters. Its text is its name in the cache, so it must not be made up of data.
pub struct Call<'a> {
    pub sql: &'static str,
    pub params: Vec<Param<'a>>,
}

impl<'a> Call<'a> {
    pub fn new<const N: usize>(sql: &'static str, params: [Param<'a>; N]) -> Self {
        Self { sql, params: params.into() }
    }

    pub fn plain(sql: &'static str) -> Self {
        Self { sql, params: Vec::new() }
    }
}

/// Where a store is.
#[derive(Clone, Debug)]
pub struct Target {
    config: Config,
    ssl: Ssl,
    options: PostgresOptions,
    name: String,
}

impl Target {
    /// From a connection string.
    pub fn parse(dsn: &str, options: PostgresOptions) -> Result<Self, String> {
        let (rest, ssl) = dsn::split(dsn)?;
        let mut config: Config = rest.parse().map_err(|e| chain(&e))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("it names no host".to_owned());
        }
        config.ssl_mode(match ssl.mode {
            SslMode::Disable => ClientSsl::Disable,
            SslMode::Prefer => ClientSsl::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => ClientSsl::Require,
        });
        // A standby lags behind what was acknowledged, so it is good for nothing here, not even for reading.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(options.connect);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(options.answer);
        }
        config.keepalives_idle(options.answer).keepalives_interval(Duration::from_secs(1)).keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("warren");
        }
        let name = name(&config);
        Ok(Self { config, ssl, options, name })
    }

    /// The same place, with other times.
    pub fn with(&self, options: PostgresOptions) -> Self {
        Self { options, ..self.clone() }
    }

    /// For errors: never with a password.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn session(&self, writes: bool) -> Result<Session, Trouble> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| Trouble::Lost(e.to_string()))?;
        let mut last = format!("no connection after {} s", self.options.connect.as_secs_f32());
        let wire = drive(&runtime, self.options.connect, self.connect(writes, &mut last));
        // It was tried for long enough: nobody should try once more.
        let wire = wire.unwrap_or(Err(Trouble::Refused(last)))?;
        Ok(Session { runtime: Some(runtime), wire })
    }

    /// Tries until it succeeds or there is no sense in it, so that the restart of a server is a pause and no error.
    async fn connect(&self, writes: bool, last: &mut String) -> Result<Wire, Trouble> {
        loop {
            match open(self, writes).await {
                Err(Trouble::Lost(why)) => *last = why,
                answer => return answer,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn name(config: &Config) -> String {
    use tokio_postgres::config::Host;
    let ports = config.get_ports();
    let port = |n: usize| ports.get(n).or(ports.first()).copied().unwrap_or(5432);
    let hosts: Vec<String> = match config.get_hosts() {
        [] => config.get_hostaddrs().iter().enumerate().map(|(n, at)| format!("{at}:{}", port(n))).collect(),
        hosts => hosts
            .iter()
            .enumerate()
            .map(|(n, host)| match host {
                Host::Tcp(host) => format!("{host}:{}", port(n)),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect(),
    };
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("postgresql://{}/{database}", hosts.join(","))
}

/// Runs a future on the runtime of its connection. `None`: it took too long.
fn drive<F>(runtime: &Runtime, limit: Duration, work: F) -> Option<F::Output>
where
    F: Future<Output: Send> + Send,
{
    // The timer wants the runtime, hence inside of it.
    let limited = async { tokio::time::timeout(limit, work).await.ok() };
    if Handle::try_current().is_err() {
        return runtime.block_on(limited);
    }
    // Somebody opens or takes over a store inside a runtime of its own, which must not be entered twice by a thread.
    std::thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(limited)).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A connection that is there.
#[derive(Debug)]
pub struct Session {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    wire: Wire,
}

impl Session {
    fn drive<F>(&self, limit: Duration, work: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        drive(self.runtime.as_ref()?, limit, work)
    }

    /// Runs what `work` makes of the wire. `None`: it took too long.
    pub fn run<'w, F>(&'w mut self, limit: Duration, work: impl FnOnce(&'w mut Wire) -> F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send + 'w,
    {
        let Self { runtime, wire } = self;
        drive(runtime.as_ref()?, limit, work(wire))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Not by waiting, which is forbidden inside another runtime. The socket is closed with it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The way to the server: statements go over it, many at a time.
#[derive(Debug)]
pub struct Wire {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    warning: Arc<Mutex<Option<String>>>,
}

async fn open(target: &Target, writes: bool) -> Result<Wire, Trouble> {
    let warning = Arc::new(Mutex::new(None));
    let client = if target.ssl.mode == SslMode::Disable {
        let (client, connection) = target.config.connect(NoTls).await?;
        tokio::spawn(attend(connection, Arc::clone(&warning)));
        client
    } else {
        let tls = tls::connector(&target.ssl).map_err(Trouble::Refused)?;
        let (client, connection) = target.config.connect(tls).await?;
        tokio::spawn(attend(connection, Arc::clone(&warning)));
        client
    };
    let millis = |time: Duration| time.as_millis().clamp(1, 1 << 30);
    let (answer, idle) = (target.options.answer, target.options.idle);
    // The server must let go of what a client that is gone had locked: whoever takes over waits for it.
    let settings = format!(
        "SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning; \
         SET statement_timeout = {answer}; SET idle_in_transaction_session_timeout = {idle}",
        answer = millis(answer),
        idle = millis(idle),
    );
    client.batch_execute(&settings).await?;
    // Not every server of this protocol knows these; without them, it notices by its own settings.
    for setting in [
        // Those above do not see a client whose host vanishes after a statement and before the Sync that ends it: no
        // statement runs, and the session is not idle yet. Only TCP tells. With a timeout of the user the number of
        // probes means nothing: the first timer of a keepalive that goes off after it ends the connection.
        format!("SET tcp_keepalives_idle = {}", idle.as_secs().max(1)),
        "SET tcp_keepalives_interval = 1".to_owned(),
        format!("SET tcp_user_timeout = {}", millis(idle * 2)),
        format!("SET client_connection_check_interval = {}", millis(idle)),
        // Everything here is found by a key and wanted in its order. Left to its guesses about a table that has just
        // been made, the server prepares to fetch a whole room's log and to sort it for a page of ten.
        "SET enable_bitmapscan = off".to_owned(),
        "SET enable_seqscan = off".to_owned(),
        // It would judge by the costs that those two pretend.
        "SET jit = off".to_owned(),
    ] {
        match client.batch_execute(&setting).await.map_err(Trouble::from) {
            Ok(()) | Err(Trouble::Rule(_) | Trouble::Refused(_)) => {}
            Err(lost) => return Err(lost),
        }
    }
    let mut wire = Wire { client, statements: HashMap::new(), warning };
    if writes && wire.synchronous_commit().await? == "off" {
        wire.client.batch_execute("SET synchronous_commit = on").await?;
        if wire.synchronous_commit().await? == "off" {
            let why = "PostgreSQL is at synchronous_commit=off and does not change to on";
            return Err(Trouble::Refused(why.to_owned()));
        }
    }
    wire.warned();
    Ok(wire)
}

/// Reads and writes the socket, as long as there is a client. Warnings are kept: a commit that was not replicated as
/// it should have been is reported as a success *with a warning*.
async fn attend<S, T>(mut connection: tokio_postgres::Connection<S, T>, warning: Arc<Mutex<Option<String>>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notice(notice) = message
            && matches!(notice.parsed_severity(), Some(Severity::Warning))
        {
            *warning.lock().unwrap_or_else(PoisonError::into_inner) = Some(described(&notice));
        }
    }
}

impl Wire {
    /// Its `synchronous_commit`.
    pub async fn synchronous_commit(&mut self) -> Result<String, Trouble> {
        let row = self.call(Call::plain("SHOW synchronous_commit")).await?;
        let row = row.first().ok_or_else(|| Trouble::Corrupt("no synchronous_commit".to_owned()))?;
        Ok(row.try_get(0)?)
    }

    /// What the server warned of since the last time.
    pub fn warned(&mut self) -> Option<String> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// One statement.
    pub async fn call(&mut self, call: Call<'_>) -> Result<Vec<Row>, Trouble> {
        let mut answers = self.calls(&[call]).await?;
        answers.pop().unwrap_or_else(|| Err(Trouble::Corrupt("no answer".to_owned())))
    }

    /// Statements of a schema, without parameters, many in one text.
    pub async fn script(&mut self, sql: &str) -> Result<(), Trouble> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Many statements in one go: all are sent before the first answer is waited for. One answer for each, in order.
    /// An error outside of the answers: nothing was sent.
    pub async fn calls(&mut self, calls: &[Call<'_>]) -> Result<Vec<Result<Vec<Row>, Trouble>>, Trouble> {
        for call in calls {
            if !self.statements.contains_key(call.sql) {
                let statement = self.client.prepare(call.sql).await?;
                self.statements.insert(call.sql, statement);
            }
        }
        let mut sent = Vec::with_capacity(calls.len());
        for call in calls {
            let statement = self.statements.get(call.sql).ok_or_else(|| Trouble::Corrupt("no statement".to_owned()))?;
            let params: Vec<&(dyn ToSql + Sync)> = call.params.iter().map(|p| &**p as _).collect();
            let client = &self.client;
            // The library sends at the first poll.
            let mut query = Box::pin(async move { client.query(statement, &params).await });
            sent.push(match first_poll(query.as_mut()).await {
                Some(answer) => Sent::Answered(answer),
                None => Sent::Waiting(query),
            });
        }
        let mut answers = Vec::with_capacity(sent.len());
        for one in sent {
            let answer = match one {
                Sent::Answered(answer) => answer,
                Sent::Waiting(query) => query.await,
            };
            answers.push(answer.map_err(Trouble::from));
        }
        Ok(answers)
    }
}

enum Sent<F> {
    Answered(Result<Vec<Row>, tokio_postgres::Error>),
    Waiting(F),
}

async fn first_poll<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

/// A place for a session: there is one when it is needed.
#[derive(Debug)]
pub struct Connection {
    target: Target,
    writes: bool,
    session: Option<Session>,
}

impl Connection {
    /// Connects at its first use.
    pub fn new(target: Target, writes: bool) -> Self {
        Self { target, writes, session: None }
    }

    /// The next use makes a new session.
    pub fn forget(&mut self) {
        self.session = None;
    }

    /// Takes the session out, or makes one. It is put back by [`Connection::settle`].
    pub fn take(&mut self) -> Result<Session, Trouble> {
        if let Some(session) = self.session.take() {
            // Nobody has looked at the socket since the last call: has the server hung up?
            let looked = session.drive(self.target.options.answer, tokio::task::yield_now());
            if looked.is_some() && !session.wire.client.is_closed() {
                return Ok(session);
            }
        }
        self.target.session(self.writes)
    }

    /// Ends a use of the session: keeps it if it is of use.
    pub fn settle<T>(&mut self, session: Session, result: Option<Result<T, Trouble>>) -> Result<T, Trouble> {
        // It may have been sent off to commit.
        let late = || Trouble::Unknown(format!("PostgreSQL has not answered for {} s", self.limit().as_secs_f32()));
        let result = result.unwrap_or_else(|| Err(late()));
        if !matches!(&result, Err(trouble) if trouble.ends()) {
            self.session = Some(session);
        }
        result
    }

    /// The longest that a use may take. Statements end by themselves before that, unless nobody answers.
    pub fn limit(&self) -> Duration {
        self.target.options.answer + Duration::from_secs(1)
    }
}

/// Does something asynchronous on a connection and waits for it. (A function cannot take it: the future borrows the
/// wire and must be known to be `Send`.)
macro_rules! on {
    ($connection:expr, |$wire:ident| $work:expr) => {
        $connection.take().and_then(|mut session| {
            let limit = $connection.limit();
            let result = session.run(limit, |$wire| $work);
            $connection.settle(session, result)
        })
    };
}
pub(super) use on;
