//! `gpsegd`: does on a node what the real management programs do there over ssh. A node without one is unreachable by ssh.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use crate::data::{Data, agent_of, is_postgres, program, setting};

pub(crate) fn run() -> u8 {
    let Some(Ok(listener)) = setting("agent").map(TcpListener::bind) else { return 1 };
    for stream in listener.incoming().flatten() {
        thread::spawn(move || {
            let mut line = String::new();
            let Ok(copy) = stream.try_clone() else { return };
            if BufReader::new(copy).read_line(&mut line).is_ok() {
                let mut stream = stream;
                let _ = stream.write_all(answer(line.trim_end()).as_bytes());
            }
        });
    }
    1
}

/// Asks the node of that name; `None` where it cannot be reached.
pub(crate) fn ask(host: &str, question: &str) -> Option<String> {
    let mut stream = TcpStream::connect(agent_of(host)?).ok()?;
    stream.write_all(format!("{question}\n").as_bytes()).ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.trim_end().to_owned())
}

fn answer(question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    match words[..] {
        ["echo", host] => host.to_owned(),
        // As gpsegstart.py says it (facts 5.1).
        ["start", role, dir] => {
            let data = Data::at(dir);
            let already = data.postmaster().is_some();
            let mut command = Command::new(program("pg_ctl"));
            command.args(["-D", dir, "-l", &format!("{dir}/log/startup.log"), "-w", "-t", "5"]);
            command.args(["-o", &format!(" -c gp_role={role} "), "start"]);
            let rc = if already { 0 } else { command.output().ok().and_then(|out| out.status.code()).unwrap_or(1) };
            let (started, code, reason) = match rc {
                _ if already => ("True", 1, "Segment is already running"),
                0 => ("True", 0, "Start Succeeded"),
                _ if !data.is_there() => ("False", 3, "Segment data directory does not exist"),
                _ => ("False", 2, "PG_CTL failed."),
            };
            format!("STATUS--DIR:{dir}--STARTED:{started}--REASONCODE:{code}--REASON:{reason}")
        }
        ["stop", mode, dir] => {
            let mut command = Command::new(program("pg_ctl"));
            command.args(["-D", dir, "-m", mode, "-w", "-t", "3", "stop"]);
            let _ = command.output();
            if Data::at(dir).postmaster().is_none() { "stopped".to_owned() } else { "running".to_owned() }
        }
        ["alive", dir] => if Data::at(dir).postmaster().is_some() { "yes" } else { "no" }.to_owned(),
        ["timeline", dir] => Data::at(dir).control("timeline"),
        // `cat /tmp/.s.PGSQL.<port>.lock`, and whether its process is there.
        ["active", port] => {
            let text = std::fs::read_to_string(format!("/tmp/.s.PGSQL.{port}.lock")).unwrap_or_default();
            let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
            if pid.is_some_and(is_postgres) { "yes" } else { "no" }.to_owned()
        }
        _ => String::new(),
    }
}
