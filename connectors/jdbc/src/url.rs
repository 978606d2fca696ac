//! `connection.url`: JDBC URLs, by allowlist. What is not known here is refused, and nothing is handed to a driver as text, so
//! no parameter can load a class, read a file, open a socket or run SQL on connecting.
//!
//! No message repeats a value of the URL: people put passwords there.

use std::path::PathBuf;
use std::time::Duration;

use millrace_api::{Error, Result};

/// Longest wait for a connection, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for one statement, unless the URL says otherwise.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(5);

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// MySQL or MariaDB.
    MySql(Server),
    Postgres(Server),
    /// A file, or a database in memory that lives as long as the connection.
    Sqlite(Option<PathBuf>),
}

/// A database server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) user: Option<String>,
    pub(crate) tls: Tls,
    pub(crate) connect_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    /// Whether statements may be prepared by name; not through PgBouncer.
    pub(crate) prepared: bool,
    /// PostgreSQL's `search_path`.
    pub(crate) schema: Option<String>,
    /// PostgreSQL's `application_name`.
    pub(crate) application: String,
}

impl Target {
    /// Longest wait for a connection.
    pub(crate) fn connect_timeout(&self) -> Duration {
        match self {
            Self::MySql(server) | Self::Postgres(server) => server.connect_timeout,
            Self::Sqlite(_) => CONNECT_TIMEOUT,
        }
    }

    /// Whether somebody has to be named who connects, and the URL names nobody.
    pub(crate) fn wants_user(&self) -> bool {
        matches!(self, Self::MySql(server) | Self::Postgres(server) if server.user.is_none())
    }

    /// Longest wait for one answer.
    pub(crate) fn statement_timeout(&self) -> Duration {
        match self {
            Self::MySql(server) | Self::Postgres(server) => server.statement_timeout,
            Self::Sqlite(_) => STATEMENT_TIMEOUT,
        }
    }
}

/// For messages: nothing secret is in it.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MySql(server) | Self::Postgres(server) => {
                write!(f, "{}:{}/{}", server.host, server.port, server.database)
            }
            Self::Sqlite(Some(path)) => write!(f, "{}", path.display()),
            Self::Sqlite(None) => f.write_str(":memory:"),
        }
    }
}

impl Server {
    /// Who connects: `connection.user`, or the URL's. That there is one has been checked.
    pub(crate) fn user<'a>(&'a self, configured: Option<&'a str>) -> &'a str {
        configured.filter(|user| !user.is_empty()).or(self.user.as_deref()).unwrap_or_default()
    }
}

/// How much of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Reads `connection.url`.
///
/// # Errors
/// [`millrace_api::ErrorKind::Config`] naming what is wrong and what to do, without the URL itself.
pub(crate) fn parse(url: &str) -> Result<Target> {
    if url.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '#')) {
        return Err(wrong(
            "it contains a space, control character, backslash or #",
            "percent-encode it, or take it out",
        ));
    }
    let Some(rest) = url.strip_prefix("jdbc:") else {
        return Err(wrong("it does not begin with jdbc:", "write jdbc:mysql://host:3306/database or the like"));
    };
    if let Some(rest) = rest.strip_prefix("mysql://").or_else(|| rest.strip_prefix("mariadb://")) {
        server(rest, 3306, mysql_parameter).map(Target::MySql)
    } else if let Some(rest) = rest.strip_prefix("postgresql://") {
        server(rest, 5432, postgres_parameter).map(Target::Postgres)
    } else if let Some(rest) = rest.strip_prefix("sqlite:") {
        sqlite(rest).map(Target::Sqlite)
    } else {
        Err(wrong(
            "its database is not known here",
            "begin it with jdbc:mysql://, jdbc:mariadb://, jdbc:postgresql:// or jdbc:sqlite:",
        ))
    }
}

fn wrong(cause: &str, fix: &str) -> Error {
    Error::config(format!("Invalid value for configuration connection.url: {cause}; {fix}"))
}

fn sqlite(rest: &str) -> Result<Option<PathBuf>> {
    if rest == ":memory:" {
        return Ok(None);
    }
    if !rest.starts_with('/') || rest.contains(['?', '%', ';']) || rest.split('/').any(|part| part == "..") {
        return Err(wrong(
            "SQLite takes an absolute path without parameters, or :memory:",
            "write jdbc:sqlite:/path/of/the/file",
        ));
    }
    Ok(Some(PathBuf::from(rest)))
}

type Parameter = fn(&mut Server, &str, &str) -> Option<bool>;

fn server(rest: &str, default_port: u16, parameter: Parameter) -> Result<Server> {
    let (address, query) = rest.split_once('?').map_or((rest, ""), |(address, query)| (address, query));
    let Some((authority, database)) = address.split_once('/') else {
        return Err(wrong("it names no database", "append /database to host and port"));
    };
    let (host, port) = authority_of(authority, default_port)?;
    let mut server = Server {
        host,
        port,
        database: name_of(database)?,
        user: None,
        tls: Tls::Prefer,
        connect_timeout: CONNECT_TIMEOUT,
        statement_timeout: STATEMENT_TIMEOUT,
        prepared: true,
        schema: None,
        application: "millrace".to_owned(),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.eq_ignore_ascii_case("password") {
            return Err(wrong(
                "it holds a password, which everybody who sees the configuration could read",
                "move it to connection.password",
            ));
        }
        let value = decode(value)?;
        match parameter(&mut server, key, &value) {
            Some(true) => {}
            Some(false) => {
                return Err(wrong(
                    &format!("parameter {key} cannot have this value"),
                    "take it out, or look up its values in this connector's documentation",
                ));
            }
            None => {
                return Err(wrong(
                    &format!("parameter {} is not allowed", shown(key)),
                    "take it out; this connector's documentation lists those that are",
                ));
            }
        }
    }
    Ok(server)
}

/// A parameter's name, as far as it looks like one.
fn shown(key: &str) -> &str {
    let plain = key.len() <= 60 && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if plain && !key.is_empty() { key } else { "with an unusual name" }
}

fn authority_of(authority: &str, default_port: u16) -> Result<(String, u16)> {
    if authority.contains('@') {
        return Err(wrong("it holds a user before the host", "move it to connection.user and connection.password"));
    }
    if authority.contains([',', '(', ')', '=']) {
        return Err(wrong("it names several hosts or a host in parts", "name one host and port"));
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) =
            rest.split_once(']').ok_or_else(|| wrong("its address has no closing ]", "write [::1]:3306"))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(wrong("what stands in brackets is no IPv6 address", "write [::1]:3306"));
        }
        (host, port.strip_prefix(':').or(if port.is_empty() { None } else { Some("x") }))
    } else {
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
            return Err(wrong("it names no host", "write the host's name or address after //"));
        }
        (host, port)
    };
    let port = match port {
        None => default_port,
        Some(port) => port.parse().map_err(|_| wrong("its port is no number from 1 to 65535", "write host:port"))?,
    };
    Ok((host.to_owned(), port))
}

fn name_of(database: &str) -> Result<String> {
    let name = decode(database)?;
    if name.is_empty() || name.len() > 128 || name.contains(['/', ';', '?', '(', ')', '`', '"', '\'']) {
        return Err(wrong(
            "it names no database",
            "write one name after the host, without further slashes or semicolons",
        ));
    }
    Ok(name)
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String> {
    let malformed = || wrong("it is not percent-encoded properly", "write %25 for a percent sign");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(malformed)?;
        let all_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| all_hex).ok_or_else(malformed)?);
        rest = rest.get(2..).unwrap_or_default();
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    if text.chars().any(char::is_control) {
        return Err(wrong("it holds an encoded control character", "take it out"));
    }
    Ok(text)
}

/// MySQL Connector/J's and MariaDB Connector/J's. `None`: unknown; `Some(false)`: known, but not with this value.
fn mysql_parameter(server: &mut Server, key: &str, value: &str) -> Option<bool> {
    Some(match key {
        "user" => user(server, value),
        "sslMode" => match value.to_ascii_uppercase().replace('-', "_").as_str() {
            "DISABLED" | "DISABLE" => set(&mut server.tls, Tls::Disable),
            "PREFERRED" => set(&mut server.tls, Tls::Prefer),
            "REQUIRED" | "TRUST" => set(&mut server.tls, Tls::Require),
            "VERIFY_CA" => set(&mut server.tls, Tls::VerifyCa),
            "VERIFY_IDENTITY" | "VERIFY_FULL" => set(&mut server.tls, Tls::VerifyFull),
            _ => false,
        },
        "useSSL" => switch(value, |on| server.tls = if on { server.tls.at_least(Tls::Prefer) } else { Tls::Disable }),
        "requireSSL" => {
            switch(value, |on| server.tls = if on { server.tls.at_least(Tls::Require) } else { server.tls })
        }
        "verifyServerCertificate" => {
            switch(value, |on| server.tls = if on { server.tls.at_least(Tls::VerifyCa) } else { server.tls })
        }
        "connectTimeout" => milliseconds(&mut server.connect_timeout, value),
        "socketTimeout" => milliseconds(&mut server.statement_timeout, value),
        // UTF-8 and UTC are what every session has; saying so changes nothing.
        "characterEncoding" => ["utf-8", "utf8", "utf8mb4"].contains(&value.to_ascii_lowercase().as_str()),
        "serverTimezone" | "connectionTimeZone" => ["UTC", "GMT", "Etc/UTC", "+00:00", "Z"].contains(&value),
        // Say how Java's driver works inside.
        "useUnicode"
        | "rewriteBatchedStatements"
        | "useServerPrepStmts"
        | "cachePrepStmts"
        | "useLegacyDatetimeCode"
        | "autoReconnect"
        | "tcpKeepAlive"
        | "nullCatalogMeansCurrent"
        | "nullDatabaseMeansCurrent"
        | "allowPublicKeyRetrieval" => switch(value, |_| {}),
        "zeroDateTimeBehavior" => {
            ["CONVERT_TO_NULL", "EXCEPTION", "ROUND", "convertToNull", "exception", "round"].contains(&value)
        }
        // Hardening that people write down: these are off here and cannot be switched on.
        "allowLoadLocalInfile"
        | "allowLocalInfile"
        | "allowUrlInLocalInfile"
        | "autoDeserialize"
        | "allowMultiQueries" => value.eq_ignore_ascii_case("false"),
        _ => return None,
    })
}

/// pgJDBC's.
fn postgres_parameter(server: &mut Server, key: &str, value: &str) -> Option<bool> {
    Some(match key {
        "user" => user(server, value),
        "sslmode" => match value {
            "disable" => set(&mut server.tls, Tls::Disable),
            "allow" | "prefer" => set(&mut server.tls, Tls::Prefer),
            "require" => set(&mut server.tls, Tls::Require),
            "verify-ca" => set(&mut server.tls, Tls::VerifyCa),
            "verify-full" => set(&mut server.tls, Tls::VerifyFull),
            _ => false,
        },
        "ssl" => switch(value, |on| server.tls = if on { server.tls.at_least(Tls::VerifyFull) } else { server.tls }),
        "connectTimeout" | "loginTimeout" => seconds(&mut server.connect_timeout, value),
        "socketTimeout" => seconds(&mut server.statement_timeout, value),
        "prepareThreshold" => value.parse::<u32>().map(|threshold| server.prepared = threshold > 0).is_ok(),
        "currentSchema" => {
            let plain = value.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | ','));
            plain && !value.is_empty() && set(&mut server.schema, Some(value.to_owned()))
        }
        "ApplicationName" => {
            let plain = value.len() < 64 && value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
            plain && set(&mut server.application, value.to_owned())
        }
        // Say how Java's driver works inside.
        "reWriteBatchedInserts" | "binaryTransfer" | "tcpKeepAlive" => switch(value, |_| {}),
        "stringtype" => ["unspecified", "varchar"].contains(&value),
        _ => return None,
    })
}

impl Tls {
    fn at_least(self, wanted: Self) -> Self {
        if (self as u8) < wanted as u8 { wanted } else { self }
    }
}

fn set<T>(target: &mut T, value: T) -> bool {
    *target = value;
    true
}

fn user(server: &mut Server, value: &str) -> bool {
    !value.is_empty() && set(&mut server.user, Some(value.to_owned()))
}

fn switch(value: &str, apply: impl FnOnce(bool)) -> bool {
    let on = match value.to_ascii_lowercase().as_str() {
        "true" | "" => true,
        "false" => false,
        _ => return false,
    };
    apply(on);
    true
}

fn seconds(target: &mut Duration, value: &str) -> bool {
    duration(target, value, Duration::from_secs)
}

fn milliseconds(target: &mut Duration, value: &str) -> bool {
    duration(target, value, Duration::from_millis)
}

/// Zero is "no limit" in JDBC; here it is the default limit, because a wait without an end looks like work.
fn duration(target: &mut Duration, value: &str, of: fn(u64) -> Duration) -> bool {
    let Ok(number) = value.parse::<u32>() else { return false };
    if number > 0 {
        *target = of(number.into());
    }
    true
}

#[cfg(test)]
mod tests;
