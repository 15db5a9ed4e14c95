//! One connection to the database, from its first check to its end.

use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, NoTls, Row, Statement};

use super::PostgresSettings;
use super::fault::{self, Fault};
use super::rows::{self, COLUMNS, Columns, Moment, Skew, Standing};
use super::schema;
use crate::record::Record;
use crate::store::Change;

/// Clocks that go apart by more than this were set; answers that come late do not look like it.
const SET_BY_MICROS: u64 = 2_000_000;
/// Oldest server that has all that we use, as `server_version_num` counts.
const OLDEST: i32 = 130_000;
/// How long an address is left alone after the lease of its last client has ended: clocks of clients run fast or slow, and a
/// standby that takes over has a clock of its own.
const MARGIN_SECS: i64 = 5;
/// A batch that has not been decided by then counts as lost; the server gives it up before.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// `statement_timeout` ends a batch that waits, `tcp_user_timeout` a session whose client is gone: neither keeps others waiting.
const MANNERS: &str = "set statement_timeout = '4s'; set tcp_user_timeout = '10s'; \
                       set idle_in_transaction_session_timeout = '10s'; set default_transaction_isolation = 'read committed'; \
                       set client_min_messages = warning";

/// What has to be known of a server before it is trusted with leases.
const ABOUT: &str = "select current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('fsync'), \
                     current_setting('full_page_writes'), current_setting('synchronous_commit'), \
                     current_setting('server_encoding'), pg_postmaster_start_time(), clock_timestamp()";

/// Whose time decides when a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The database's: the one clock that all nodes have in common.
    Databases,
    /// That of whoever asks: for tests, which make their own time.
    #[cfg(test)]
    Askers,
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub done: bool,
    /// Where it was not done: how the address stands, if it has a row at all.
    pub standing: Option<Standing>,
}

/// Why a batch was not carried out.
#[derive(Debug)]
pub struct Failed {
    pub fault: Fault,
    /// The connection is of no use any more; what became of the batch is not known.
    pub lost: bool,
}

pub struct Session {
    client: Client,
    change: Statement,
    news: Statement,
    time: Time,
    /// How this connection signs what it writes; the next one signs differently, so that it learns what this one left behind.
    name: String,
    /// When the server was started: another start means that it may have been set back.
    pub started: Moment,
    pub skew: Skew,
    /// The highest version of what others wrote and we know.
    pub seen: i64,
    /// A moment of the database, and when at the latest it was.
    told: (Moment, Instant),
    notices: mpsc::UnboundedReceiver<String>,
}

impl Session {
    /// Connects, checks that the database can be trusted with leases, brings its schema up to date, and listens.
    pub async fn open(settings: &PostgresSettings, time: Time) -> Result<Session, Fault> {
        let (mut client, notices) = connect(settings).await?;
        let before = SystemTime::now();
        let asked = Instant::now();
        let about = client.query_one(ABOUT, &[]).await?;
        trust(&about)?;
        let told: (Moment, Instant) = (about.get(7), Instant::now());
        let skew = match time {
            Time::Databases => skew(before, asked.elapsed(), told.0),
            #[cfg(test)]
            Time::Askers => Skew(0),
        };
        schema::migrate(&mut client).await?;
        client.batch_execute(MANNERS).await?;
        if about.get::<_, &str>(4) == "off" {
            client.batch_execute("set synchronous_commit = on").await?;
        }
        client.batch_execute("listen lanboot_leases").await?;
        let types = [
            Type::TEXT,
            Type::TIMESTAMPTZ,
            Type::INT8,
            Type::INT4_ARRAY,
            Type::CHAR_ARRAY,
            Type::TIMESTAMPTZ_ARRAY,
            Type::INET_ARRAY,
            Type::BYTEA_ARRAY,
            Type::MACADDR_ARRAY,
            Type::BYTEA_ARRAY,
            Type::TEXT_ARRAY,
            Type::INT8_ARRAY,
        ];
        let change = format!(
            "select place, done, {COLUMNS}, decided from lanboot.change($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        );
        let change = client.prepare_typed(&change, &types).await?;
        let news =
            format!("select version, {COLUMNS} from lanboot.leases where version > $1 and node <> $2 order by version");
        let news = client.prepare(&news).await?;
        let started = about.get(6);
        Ok(Session { client, change, news, time, name: signature(), started, skew, seen: 0, told, notices })
    }

    /// Says by which addresses this node serves. Returns those of all nodes.
    pub async fn register(&self, ours: &[Ipv4Addr]) -> Result<Vec<Ipv4Addr>, Fault> {
        let ours: Vec<IpAddr> = ours.iter().copied().map(IpAddr::from).collect();
        let note = "insert into lanboot.nodes (address, host, connected) select unnest($1::inet[]), $2, now() \
                    on conflict (address) do update set host = excluded.host, connected = excluded.connected";
        self.client.execute(note, &[&ours, &host_name()]).await?;
        nodes(&self.client).await
    }

    /// Reads all leases.
    pub async fn load(&mut self) -> Result<Vec<Record>, Fault> {
        self.client.batch_execute("set statement_timeout = 0").await?;
        let rows = self.client.query(&format!("select version, {COLUMNS} from lanboot.leases"), &[]).await?;
        let records = self.read(&rows)?.into_iter().filter_map(|standing| standing.record).collect();
        self.client.batch_execute(MANNERS).await?;
        Ok(records)
    }

    /// Reads what others wrote since.
    pub async fn news(&mut self) -> Result<Vec<Standing>, Failed> {
        let rows = within(self.client.query(&self.news, &[&self.seen, &self.name])).await?;
        self.read(&rows).map_err(|fault| Failed { fault, lost: false })
    }

    fn read(&mut self, rows: &[Row]) -> Result<Vec<Standing>, Fault> {
        let standings = rows.iter().map(|row| rows::read(row, 1, self.skew)).collect::<Result<_, _>>();
        self.seen = rows.iter().map(|row| row.get(0)).fold(self.seen, i64::max);
        standings.map_err(unreadable)
    }

    /// Carries out a batch: when this returns `Ok`, it is durable. One verdict per change, in order.
    pub async fn change(&mut self, batch: &[Change], begun: Instant) -> Result<Vec<Verdict>, Failed> {
        let since = begun.saturating_duration_since(self.told.1).as_micros();
        let latest = Moment(self.told.0.0.saturating_add(i64::try_from(since).unwrap_or(i64::MAX)));
        let (now, margin, latest) = match self.time {
            Time::Databases => (None::<Moment>, MARGIN_SECS, latest),
            #[cfg(test)]
            Time::Askers => (Some(self.skew.to_database(asked(batch))), 0, Moment(i64::MAX / 2)),
        };
        let columns = Columns::of(batch, latest, self.skew);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.name, &now, &margin];
        parameters.extend(columns.parameters());
        let rows = within(self.client.query(&self.change, &parameters)).await?;
        let verdicts = self.verdicts(&rows, batch.len());
        // They are carried out, and nothing is known of them: the next connection learns it.
        verdicts.map_err(|fault| Failed { fault, lost: true })
    }

    fn verdicts(&mut self, rows: &[Row], count: usize) -> Result<Vec<Verdict>, Fault> {
        let mut verdicts = vec![None; count];
        for row in rows {
            let (place, done): (i64, bool) = (cell(row, 0)?, cell(row, 1)?);
            // Nothing stands there when the address has no row: then the first of the columns is null.
            let is_empty = cell::<Option<IpAddr>>(row, 2)?.is_none();
            let standing =
                (!done && !is_empty).then(|| rows::read(row, 2, self.skew)).transpose().map_err(unreadable)?;
            let slot = usize::try_from(place).ok().and_then(|place| verdicts.get_mut(place.wrapping_sub(1)));
            let slot = slot.ok_or_else(|| strange(&format!("it answers change {place} of {count}")))?;
            *slot = Some(Verdict { done, standing });
        }
        if let Some(row) = rows.first() {
            self.told = (cell(row, 11)?, Instant::now());
        }
        let unanswered = verdicts.iter().filter(|verdict| verdict.is_none()).count();
        match verdicts.into_iter().collect() {
            Some(verdicts) => Ok(verdicts),
            None => Err(strange(&format!("it leaves {unanswered} of {count} changes unanswered"))),
        }
    }

    /// Notes that this host's clock, or the database's, was set since. `true`: all that was read before is to be read again.
    pub fn follow_clock(&mut self) -> bool {
        let (told, at) = self.told;
        let apart = Skew(skew(SystemTime::now(), Duration::ZERO, told).0 - at.elapsed().as_micros() as i64);
        let is_set = self.time == Time::Databases && self.skew.0.abs_diff(apart.0) > SET_BY_MICROS;
        if is_set {
            self.skew = apart;
        }
        is_set
    }

    /// Waits until others wrote something; `None`: the connection has ended.
    pub async fn noticed(&mut self) -> Option<()> {
        while self.notices.recv().await? == self.name {}
        // All that came since is read together.
        while self.notices.try_recv().is_ok() {}
        Some(())
    }
}

/// Brings the schema up to date, or says how far it is where `apply` is not wanted.
pub async fn migrate(settings: &PostgresSettings, apply: bool) -> Result<schema::SchemaState, Fault> {
    let (mut client, _notices) = connect(settings).await?;
    if apply { schema::migrate(&mut client).await } else { schema::look(&client).await }
}

/// By which addresses the nodes serve; none before there is a schema. That the database can be used is looked at first.
pub async fn check(settings: &PostgresSettings) -> Result<Vec<Ipv4Addr>, Fault> {
    let (client, _notices) = connect(settings).await?;
    trust(&client.query_one(ABOUT, &[]).await?)?;
    let found = schema::look(&client).await?;
    schema::refuse_newer(found)?;
    if found.applied == 0 { Ok(Vec::new()) } else { nodes(&client).await }
}

async fn nodes(client: &Client) -> Result<Vec<Ipv4Addr>, Fault> {
    let all = client.query("select address from lanboot.nodes", &[]).await?;
    let address = |row: &Row| match row.get(0) {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    Ok(all.iter().filter_map(address).collect())
}

/// All leases, without changing anything.
pub async fn list(settings: &PostgresSettings) -> Result<Vec<Record>, Fault> {
    let (client, _notices) = connect(settings).await?;
    let found = schema::look(&client).await?;
    schema::refuse_newer(found)?;
    if found.applied == 0 {
        return Ok(Vec::new());
    }
    let now = client.query_one("select clock_timestamp()", &[]).await?;
    let skew = skew(SystemTime::now(), Duration::ZERO, now.get(0));
    let rows = client.query(&format!("select version, {COLUMNS} from lanboot.leases"), &[]).await?;
    let standings =
        rows.iter().map(|row| rows::read(row, 1, skew)).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    Ok(standings.into_iter().filter_map(|standing| standing.record).collect())
}

async fn connect(settings: &PostgresSettings) -> Result<(Client, mpsc::UnboundedReceiver<String>), Fault> {
    let (client, mut connection) = settings.config.connect(NoTls).await?;
    let (notify, notices) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // Ends with the connection, and with it the sender; why it ended, the next query or connection tells.
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notice) = message {
                let _ = notify.send(notice.payload().to_owned());
            }
        }
    });
    Ok((client, notices))
}

async fn within(rows: impl Future<Output = Result<Vec<Row>, tokio_postgres::Error>>) -> Result<Vec<Row>, Failed> {
    match tokio::time::timeout(ANSWER_WITHIN, rows).await {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => Err(Failed { lost: fault::is_lost(&error), fault: error.into() }),
        Err(_) => {
            let what = format!("has not answered for {} s", ANSWER_WITHIN.as_secs());
            Err(Failed { fault: Fault::new(what, "see whether that host is up and the network to it"), lost: true })
        }
    }
}

/// That what this server calls committed will be there after a power cut.
fn trust(about: &Row) -> Result<(), Fault> {
    let version: i32 = about.get(0);
    if version < OLDEST {
        let what = format!("is PostgreSQL {}, too old", version / 10_000);
        return Err(Fault::new(what, format!("use PostgreSQL {} or later", OLDEST / 10_000)));
    }
    if about.get(1) {
        return Err(fault::standby());
    }
    for (column, setting) in [(2, "fsync"), (3, "full_page_writes")] {
        if about.get::<_, &str>(column) == "off" {
            let what = format!("has {setting} off: a power cut could lose leases that machines use");
            return Err(Fault::new(what, format!("alter system set {setting} = on; select pg_reload_conf()")));
        }
    }
    let encoding: &str = about.get(5);
    if encoding != "UTF8" {
        let fix = "make it with createdb --encoding=UTF8 --template=template0";
        return Err(Fault::new(format!("has the encoding {encoding}, in which not every host name can be kept"), fix));
    }
    Ok(())
}

/// A column of the answer of `lanboot.change`.
fn cell<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Fault> {
    row.try_get(at).map_err(|error| strange(&error.to_string()))
}

/// The function in the database is not the one that our migrations made.
fn strange(why: &str) -> Fault {
    Fault::new(
        format!("has another function lanboot.change in its schema than this lanboot made: {why}"),
        "restore the schema lanboot from a backup; or, as its owner, when nobody serves from it: drop schema lanboot cascade, \
         then lanboot leases migrate, which makes it anew without any lease",
    )
}

fn unreadable(why: String) -> Fault {
    Fault::new(format!("holds what lanboot did not write: {why}"), "mend or delete that row of lanboot.leases")
}

/// `took`: how long the database took to tell its time.
fn skew(before: SystemTime, took: Duration, told: Moment) -> Skew {
    let local = (before + took / 2).duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Skew(i64::try_from(local).unwrap_or(i64::MAX).saturating_sub(told.0))
}

#[cfg(test)]
fn asked(batch: &[Change]) -> crate::UnixSecs {
    let now = |change: &Change| match change {
        Change::Grant(grant) => grant.now,
        Change::Release { now, .. } => *now,
        Change::Decline { .. } | Change::Unname { .. } => crate::UnixSecs(0),
    };
    batch.iter().map(now).max().unwrap_or_default()
}

fn signature() -> String {
    // Each RandomState has keys of its own.
    let number = RandomState::new().build_hasher().finish();
    format!("{}/{number:016x}", host_name())
}

fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
