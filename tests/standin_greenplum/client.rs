//! `psql` and `pg_isready`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use crate::data::is_seven;
use crate::{complain, option, say};

/// What a server said to one question.
pub(crate) enum Said {
    Rows(String),
    /// It refused the connection in words.
    Fatal(String),
    /// The question was wrong.
    Error(String),
    /// There is no server.
    NoServer(String),
}

/// Options for a session that every running server of this version lets in, if it does not recover.
pub(crate) fn utility() -> &'static str {
    if is_seven() { "-c gp_role=utility" } else { "-c gp_session_role=utility" }
}

/// Asks a server; waits for ever where it says nothing.
pub(crate) fn ask(host: Option<&str>, port: &str, options: &str, sql: &str) -> Said {
    let question = format!("{options}\n{}\n", sql.replace('\n', " "));
    let mut answer = String::new();
    let local = host.is_none_or(|host| host.starts_with('/'));
    let heard = if local {
        let path = format!("{}/.s.PGSQL.{port}", host.unwrap_or("/tmp"));
        UnixStream::connect(&path).and_then(|mut stream| {
            stream.write_all(question.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            stream.read_to_string(&mut answer)
        })
    } else {
        TcpStream::connect(format!("{}:{port}", host.unwrap_or_default())).and_then(|mut stream| {
            stream.write_all(question.as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            stream.read_to_string(&mut answer)
        })
    };
    match heard {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Said::NoServer("No such file or directory".to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Said::NoServer("Connection refused".to_owned())
        }
        Err(error) => Said::NoServer(error.to_string()),
        Ok(_) if answer.starts_with("FATAL:") => Said::Fatal(answer),
        Ok(_) if answer.starts_with("ERROR:") => Said::Error(answer),
        Ok(0) => Said::NoServer("server closed the connection unexpectedly".to_owned()),
        Ok(_) => Said::Rows(answer),
    }
}

pub(crate) fn psql(arguments: &[String]) -> u8 {
    let options = std::env::var("PGOPTIONS").unwrap_or_default();
    let port = option(arguments, "-p").unwrap_or("5432");
    let sql = option(arguments, "-c").or_else(|| option(arguments, "-Atc")).unwrap_or("select 1");
    // 7 says `error:` after its name, 6 does not.
    let psql = if is_seven() { "psql: error:" } else { "psql:" };
    match ask(option(arguments, "-h"), port, &options, sql) {
        Said::Rows(rows) => {
            say(rows.trim_end());
            0
        }
        Said::Error(said) => {
            complain(said.trim_end());
            1
        }
        Said::Fatal(said) => {
            complain(&format!("{psql} {}", said.trim_end()));
            2
        }
        Said::NoServer(why) => {
            complain(&format!(
                "{psql} could not connect to server: {why}\n\tIs the server running locally and accepting\n\t\
                 connections on Unix domain socket \"/tmp/.s.PGSQL.{port}\"?"
            ));
            2
        }
    }
}

pub(crate) fn pg_isready(arguments: &[String]) -> u8 {
    let port = option(arguments, "-p").unwrap_or("5432");
    let (words, code) = match ask(option(arguments, "-h"), port, "", "select 1") {
        Said::Rows(_) | Said::Error(_) => ("accepting connections", 0),
        Said::Fatal(said) if !is_seven() && said.contains("in recovery mode") => ("mirror ready", 64),
        // It has come so far that it refuses a kind of session.
        Said::Fatal(said) if said.contains("not allowed") || said.contains("are allowed") => {
            ("accepting connections", 0)
        }
        Said::Fatal(_) => ("rejecting connections", 1),
        Said::NoServer(_) => ("no response", 2),
    };
    if !arguments.iter().any(|argument| argument == "-q") {
        say(&format!("/tmp:{port} - {words}"));
    }
    code
}
