//! What can go wrong between lanboot and its database, told with what to do about it.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::error::StoreError;

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub what: String,
    pub fix: String,
}

impl Fault {
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Fault {
        Fault { what: what.into(), fix: fix.into() }
    }

    /// `server`: which, as [`super::PostgresSettings`] tells it.
    pub fn at(self, server: &str) -> StoreError {
        StoreError::Database { server: server.to_owned(), what: self.what, fix: self.fix }
    }
}

const SEE_LOG: &str = "see the database's log (on Debian in /var/log/postgresql)";
/// The rights that lanboot's role needs.
const RIGHTS: &str = "as the owner of the schema: GRANT USAGE ON SCHEMA lanboot TO the role; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN \
                      SCHEMA lanboot TO it; GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA lanboot TO it";

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        if let Some(error) = error.as_db_error() {
            return refused(error);
        }
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        if error.is_closed() {
            return Fault::new(
                "the connection was closed",
                "nothing, if the database is being restarted; else see its log",
            );
        }
        if cause.contains("password missing") {
            return Fault::new(
                "the database asks for a password, and none is given",
                "put it in a file that only root can read, and name that: leases.password_file in lanboot.toml, or PGPASSFILE",
            );
        }
        if cause.contains("does not allow writes") {
            return standby();
        }
        match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
            Some(error) => Fault::new(format!("cannot be reached: {error}"), reach(error)),
            None if cause.is_empty() => Fault::new(error.to_string(), SEE_LOG),
            None => Fault::new(format!("{error}: {cause}"), SEE_LOG),
        }
    }
}

pub fn standby() -> Fault {
    Fault::new(
        "is a standby, which only reads",
        "name the primary, or both with a comma between: postgresql://user@first,second/database",
    )
}

/// The connection is of no use any more after this error.
pub fn is_lost(error: &Error) -> bool {
    let stays = |error: &DbError| {
        let code = error.code().code();
        // Shutting down, crashed, dropped; or no longer the primary.
        !code.starts_with("57P") && !code.starts_with("08") && *error.code() != SqlState::READ_ONLY_SQL_TRANSACTION
    };
    !error.as_db_error().is_some_and(stays)
}

fn reach(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "start PostgreSQL there (systemctl start postgresql), or name its host or the folder of its socket"
        }
        io::ErrorKind::ConnectionRefused => {
            "start PostgreSQL there (systemctl start postgresql), and let it listen on that address (listen_addresses)"
        }
        io::ErrorKind::PermissionDenied => "give lanboot access to the folder of the socket, or name a host",
        _ => "see whether that host is up and its port 5432 can be reached from here",
    }
}

fn refused(error: &DbError) -> Fault {
    let said = error.message();
    let fix = match *error.code() {
        SqlState::INVALID_PASSWORD => {
            "give the right password: leases.password_file in lanboot.toml, PGPASSFILE, or in the URL"
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "let that role in from here, in the server's pg_hba.conf, and make it if it is not there (createuser)"
        }
        SqlState::INVALID_CATALOG_NAME => {
            "make the database: createdb --owner=ROLE --encoding=UTF8 --template=template0 NAME"
        }
        SqlState::INSUFFICIENT_PRIVILEGE => RIGHTS,
        SqlState::READ_ONLY_SQL_TRANSACTION => return standby(),
        SqlState::TOO_MANY_CONNECTIONS => {
            "raise max_connections there, or end clients that need none; lanboot needs one a node"
        }
        SqlState::DISK_FULL => {
            "make room on the database's disk; nothing was handed out, and leases given so far are kept"
        }
        SqlState::CANNOT_CONNECT_NOW | SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => {
            "wait until it has started; lanboot tries again by itself"
        }
        SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE => {
            "see what keeps the table lanboot.leases locked or the database busy: select * from pg_stat_activity"
        }
        _ => SEE_LOG,
    };
    Fault::new(format!("refuses: {said}"), fix)
}
