//! `gpsegd`: does on a node what the real management programs do there over ssh. A node without one is unreachable by ssh.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use crate::catalog;
use crate::ctl;
use crate::data::{Data, agent_of, holder, is_seven, lock_file, program, setting};
use crate::{complain, say};

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

/// Asks the node of that name or address; `None` where it cannot be reached.
pub(crate) fn ask(host: &str, question: &str) -> Option<String> {
    let mut stream = TcpStream::connect(agent_of(host)?).ok()?;
    stream.write_all(format!("{question}\n").as_bytes()).ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.trim_end().to_owned())
}

/// `ssh [-n] [-o OPTION]... HOST COMMAND`, from node to node.
pub(crate) fn ssh(arguments: &[String]) -> u8 {
    let mut words = arguments.iter();
    let mut host = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "-o" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => {
                host = Some(word);
                break;
            }
        }
    }
    let Some(host) = host else { return 255 };
    let command: Vec<&str> = words.map(String::as_str).collect();
    let Some(said) = ask(host, &format!("sh {}", command.join(" ").replace('\n', " "))) else {
        complain(&format!("ssh: connect to host {host} port 22: Connection timed out"));
        return 255;
    };
    let (said, status) = said.rsplit_once("status=").unwrap_or((&said, "255"));
    if !said.is_empty() {
        say(said.trim_end());
    }
    status.parse().unwrap_or(255)
}

fn yes(holds: bool) -> String {
    if holds { "yes" } else { "no" }.to_owned()
}

fn answer(question: &str) -> String {
    if let Some(command) = question.strip_prefix("sh ") {
        let Ok(output) = Command::new("/bin/sh").args(["-c", command]).output() else { return String::new() };
        let status = output.status.code().unwrap_or(255);
        return format!("{}status={status}", String::from_utf8_lossy(&output.stdout));
    }
    let words: Vec<&str> = question.split(' ').collect();
    match words[..] {
        ["echo", host] => host.to_owned(),
        ["start", role, dir] => start(role, &Data::at(dir)),
        ["stop", mode, dir] => {
            let mut command = Command::new(program("pg_ctl"));
            command.args(["-D", dir, "-m", mode, "-w", "-t", "3", "stop"]);
            let _ = command.output();
            if Data::at(dir).postmaster().is_none() { "stopped".to_owned() } else { "running".to_owned() }
        }
        ["alive", dir] => yes(Data::at(dir).postmaster().is_some()),
        ["follows", dir] => yes(Data::at(dir).postmaster().is_some() && Data::at(dir).follows()),
        // In step.
        ["streams", dir] => {
            let data = Data::at(dir);
            yes(data.postmaster().is_some() && data.follows() && data.0.join("standin.streaming").exists())
        }
        ["unreadable", dir] => yes(Data::at(dir).is_unreadable()),
        ["promote", dir] => yes(ctl::promote(&Data::at(dir), None) == 0),
        ["timeline", dir] => Data::at(dir).control("timeline"),
        ["follow", dir, host, port] => {
            Data::at(dir).follow(host, port.parse().unwrap_or_default());
            yes(true)
        }
        ["catalog", dir, text] => {
            catalog::write_text(&Data::at(dir), &text.replace(';', "\n"));
            yes(true)
        }
        // `cat /tmp/.s.PGSQL.<port>.lock`: whether its process is there is not looked at.
        ["lock", port] => yes(lock_file(port.parse().unwrap_or_default()).exists()),
        ["listens", port] => yes(holder(port.parse().unwrap_or_default()).is_some()),
        _ => String::new(),
    }
}

/// As gpsegstart.py reports it. What runs is started again.
fn start(role: &str, data: &Data) -> String {
    if data.postmaster().is_some() {
        ctl::stop(data, "fast", Some(std::time::Duration::from_secs(5)));
    }
    let port = data.port().unwrap_or_default();
    let options = match (is_seven(), role) {
        (true, role) => format!(" -p {port} -c gp_role={role} "),
        (false, "dispatch") => format!(" -p {port} -E "),
        (false, "mirror") => format!(" -i -p {port} "),
        (false, _) => format!(" -p {port} "),
    };
    let dir = data.0.display().to_string();
    let rc = if data.is_there() {
        let mut command = Command::new(program("pg_ctl"));
        command.args(["-D", &dir, "-l", &data.startup_log(), "-w", "-t", "5", "-o", &options, "start"]);
        command.output().ok().and_then(|out| out.status.code()).unwrap_or(1)
    } else {
        1
    };
    let (started, code, reason) = match rc {
        0 => ("True", 0, "Start Succeeded".to_owned()),
        _ if !data.is_there() => ("False", 3, format!("Segment data directory does not exist for: '{dir}'")),
        _ => ("False", 2, "PG_CTL failed.".to_owned()),
    };
    format!("STATUS--DIR:{dir}--STARTED:{started}--REASONCODE:{code}--REASON:{reason}")
}
