//! Which database, and as whom.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::fault::Fault;
use crate::error::StoreError;

/// Where Debian's PostgreSQL has its socket.
const SOCKET_FOLDER: &str = "/run/postgresql";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How to reach the database of the leases.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    pub(super) config: Config,
    /// For messages; without the password.
    pub(super) server: String,
}

impl PostgresSettings {
    /// `url`: `postgresql://user@host:port/database?option=value`, as in libpq; without a host the socket in /run/postgresql. The password
    /// comes from the URL, else from `password_file` (its first line), else from PGPASSWORD, else from the file that PGPASSFILE
    /// names (~/.pgpass).
    ///
    /// # Errors
    /// The URL cannot be read, or asks for what lanboot cannot do; the file cannot be read.
    pub fn new(url: &str, password_file: Option<&Path>) -> Result<PostgresSettings, StoreError> {
        let unnamed = |fault: Fault| fault.at("database");
        let mut config = parse(url).map_err(unnamed)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path(SOCKET_FOLDER);
        }
        if config.get_user().is_none() {
            config.user(env::var("PGUSER").or_else(|_| env::var("USER")).unwrap_or_else(|_| "root".into()));
        }
        config.application_name("lanboot");
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        // A link that was cut is known as cut within half a minute, also while nothing is asked.
        config
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(10));
        let server = describe(&config);
        if config.get_password().is_none()
            && let Some(password) = password(&config, password_file).map_err(|fault| fault.at(&server))?
        {
            config.password(password);
        }
        Ok(PostgresSettings { config, server })
    }

    /// Which database, for messages: never the password.
    pub fn server(&self) -> &str {
        &self.server
    }
}

fn parse(url: &str) -> Result<Config, Fault> {
    if !["postgresql://", "postgres://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(Fault::new("its URL does not begin with postgresql://", "write postgresql://lanboot@host/lanboot"));
    }
    let encrypted = ["sslmode=verify-full", "sslmode=verify-ca", "sslmode=require"];
    if let Some(mode) = encrypted.into_iter().find(|mode| url.contains(mode)) {
        return Err(Fault::new(
            format!("its URL says {mode}, and lanboot does not encrypt this connection"),
            "leave sslmode out, and lead the connection over a network or tunnel (WireGuard, stunnel) that you trust",
        ));
    }
    let parsed: Config = url.parse().map_err(|error: tokio_postgres::Error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Fault::new(format!("its URL cannot be read: {why}"), "write postgresql://user@host:port/database")
    })?;
    debug_assert!(parsed.get_ssl_mode() != SslMode::Require);
    Ok(parsed)
}

fn describe(config: &Config) -> String {
    let host = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    };
    let mut hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    format!("database {database} at {} as {user}", hosts.join(" or "))
}

fn password(config: &Config, file: Option<&Path>) -> Result<Option<String>, Fault> {
    if let Some(file) = file {
        let text = fs::read_to_string(file).map_err(|error| {
            let what = format!("the password file {} cannot be read: {error}", file.display());
            Fault::new(what, "make it, with the password on its first line, readable for root only (chmod 600)")
        })?;
        return Ok(Some(text.lines().next().unwrap_or_default().to_owned()));
    }
    if let Ok(password) = env::var("PGPASSWORD") {
        return Ok(Some(password));
    }
    let named = env::var_os("PGPASSFILE").map(PathBuf::from);
    let path = named.clone().or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pgpass")));
    match path.map(fs::read_to_string) {
        Some(Ok(text)) => Ok(in_passfile(&text, config)),
        Some(Err(error)) if named.is_some() => {
            let what = format!("PGPASSFILE names a file that cannot be read: {error}");
            Err(Fault::new(what, "make it (host:port:database:user:password), or unset PGPASSFILE"))
        }
        _ => Ok(None),
    }
}

/// The password of the first line that fits: host, port, database, user and password with colons between; `*` fits all.
fn in_passfile(text: &str, config: &Config) -> Option<String> {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.as_str(),
        Some(Host::Unix(_)) | None => "localhost",
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user().unwrap_or_default();
    let wanted = [host, &port, config.get_dbname().unwrap_or(user), user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [fields @ .., password] = &fields[..] else { return None };
        let fits =
            fields.len() == 4 && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then(|| password.clone())
    })
}

/// Colons divide, unless a backslash is before them.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut().expect("there is one from the start").extend(chars.next()),
            char => fields.last_mut().expect("there is one from the start").push(char),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_leaves_out_is_as_with_libpq() {
        let settings = PostgresSettings::new("postgresql://lb@/leases", None).unwrap();
        assert_eq!(settings.server(), "database leases at /run/postgresql as lb");
        let settings = PostgresSettings::new("postgresql://lb:secret@db1,db2/x", None).unwrap();
        assert_eq!(settings.server(), "database x at db1 or db2 as lb");
        assert_eq!(settings.config.get_password(), Some(&b"secret"[..]));
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn a_url_that_cannot_be_used_says_what_to_write() {
        let refused = |url| PostgresSettings::new(url, None).unwrap_err().to_string();
        assert!(refused("mysql://db").contains("postgresql://lanboot@host/lanboot"));
        assert!(refused("postgresql://db/x?sslmode=verify-full").contains("sslmode=verify-full"));
        assert!(refused("postgresql://db/x?wrong=1").contains("unknown option `wrong`"));
        let error = PostgresSettings::new("postgresql://lb@db/x", Some(Path::new("/nowhere/pw"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere/pw"), "{error}");
    }

    #[test]
    fn a_password_file_gives_the_first_line_that_fits() {
        let config: Config = "postgresql://lb@db1:5433/leases".parse().unwrap();
        let text = "# all\ndb2:*:*:lb:two\ndb1:5432:*:*:port\n*:*:leases:lb:a\\:b:c\n*:*:*:*:last\n";
        assert_eq!(in_passfile(text, &config).as_deref(), Some("a:b:c"));
        assert_eq!(in_passfile("db1:5433:other:lb:x\nshort:line\n", &config), None);
    }
}
