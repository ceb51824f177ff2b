//! `psql` and `pg_isready`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use crate::{complain, option, say};

/// What a server said to one question.
pub(crate) enum Said {
    Rows(String),
    /// It refused the connection in words.
    Fatal(String),
    /// The question was wrong.
    Error(String),
    /// Nobody is there.
    Nobody(String),
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
            Said::Nobody("No such file or directory".to_owned())
        }
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Said::Nobody("Connection refused".to_owned())
        }
        Err(error) => Said::Nobody(error.to_string()),
        Ok(_) if answer.starts_with("FATAL:") => Said::Fatal(answer),
        Ok(_) if answer.starts_with("ERROR:") => Said::Error(answer),
        Ok(0) => Said::Nobody("server closed the connection unexpectedly".to_owned()),
        Ok(_) => Said::Rows(answer),
    }
}

pub(crate) fn psql(arguments: &[String]) -> u8 {
    let options = std::env::var("PGOPTIONS").unwrap_or_default();
    let port = option(arguments, "-p").unwrap_or("5432");
    let sql = option(arguments, "-c").unwrap_or("select 1");
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
            complain(&format!("psql: error: {}", said.trim_end()));
            2
        }
        Said::Nobody(why) => {
            complain(&format!(
                "psql: error: could not connect to server: {why}\n\tIs the server running locally and accepting\n\t\
                 connections on Unix domain socket \"/tmp/.s.PGSQL.{port}\"?"
            ));
            2
        }
    }
}

pub(crate) fn pg_isready(arguments: &[String]) -> u8 {
    let port = option(arguments, "-p").unwrap_or("5432");
    match ask(option(arguments, "-h"), port, "", "select 1") {
        Said::Rows(_) | Said::Error(_) => 0,
        Said::Fatal(_) => 1,
        Said::Nobody(_) => 2,
    }
}
