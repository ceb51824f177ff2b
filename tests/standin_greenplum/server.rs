//! `postgres`: a postmaster with a pid file, a socket and the answers of its state (facts 5.4).

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::data::{Data, Row, is_old, is_postgres, program, setting};
use crate::{complain, option, segd};

/// How long a start takes where nothing slows it down.
const START: u64 = 150;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Recovery,
    /// A mirror of 5, or a standby that follows.
    Mirror,
    Accepting,
    Stopping,
}

struct Server {
    data: Data,
    /// `dispatch`, `execute` or `utility`.
    role: String,
    state: Mutex<State>,
}

impl Server {
    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn become_(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

pub(crate) fn run(arguments: &[String]) -> u8 {
    if arguments.first().is_some_and(|first| first == "--wal-receiver") {
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }
    let Some(data) = option(arguments, "-D").map(Data::at).filter(Data::is_there) else {
        complain("postgres: could not access the server configuration file: No such file or directory");
        return 2;
    };
    let Some(port) = option(arguments, "-p").and_then(|port| port.parse().ok()).or_else(|| data.port()) else {
        return 2;
    };
    if data.fails("nostart") {
        complain("LOG:  could not bind IPv4 address \"0.0.0.0\": Address already in use");
        complain("FATAL:  could not create any TCP/IP sockets");
        return 1;
    }
    let role = arguments.iter().find_map(|argument| argument.strip_prefix("gp_role=")).unwrap_or("dispatch").to_owned();
    // Handlers before the pid file: whoever reads the pid may signal at once.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGQUIT, SIGUSR1]) else { return 1 };
    let socket = PathBuf::from(format!("/tmp/.s.PGSQL.{port}"));
    let lock = PathBuf::from(format!("/tmp/.s.PGSQL.{port}.lock"));
    let holder = fs::read_to_string(&lock).ok().and_then(|text| text.lines().next()?.parse().ok());
    if holder.is_some_and(is_postgres) {
        complain(&format!("FATAL:  lock file \"{}\" already exists", lock.display()));
        return 1;
    }
    let _ = fs::remove_file(&socket);
    let (pid, dir) = (std::process::id(), data.0.display());
    let Ok(listener) = UnixListener::bind(&socket) else {
        complain(&format!("FATAL:  could not create Unix socket \"{}\"", socket.display()));
        return 1;
    };
    let lines = format!("{pid}\n{dir}\n1795250794\n{port}\n/tmp\n*\n  5432001         0\nstarting\n");
    let _ = fs::write(&lock, &lines);
    let server = Arc::new(Server { data: data.clone(), role, state: Mutex::new(State::Starting) });
    if fs::write(data.0.join("postmaster.pid"), lines).is_err() {
        return 1;
    }
    let follows = data.follows();
    let mut receiver = None;
    if follows && !data.fails("starting") {
        receiver = wal_receiver(port);
    }
    data.set_control(&data.control("timeline"), if follows { "in archive recovery" } else { "in production" });
    // Only coordinators are asked over the network.
    if server.role == "dispatch"
        && let Some(address) = setting("address")
        && let Ok(listener) = TcpListener::bind((address.as_str(), port))
    {
        let server = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                thread::spawn(move || serve(&server, stream.try_clone(), stream));
            }
        });
    }
    let local = Arc::clone(&server);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let server = Arc::clone(&local);
            thread::spawn(move || serve(&server, stream.try_clone(), stream));
        }
    });
    let starting = Arc::clone(&server);
    thread::spawn(move || come_up(&starting, follows));
    for signal in signals.forever() {
        match signal {
            SIGUSR1 => promote(&server, &mut receiver),
            SIGQUIT => break,
            _ if data.fails("noshutdown") => server.become_(State::Stopping),
            _ => break,
        }
    }
    server.become_(State::Stopping);
    end(&mut receiver);
    let clean = if data.follows() { "shut down in recovery" } else { "shut down" };
    data.set_control(&data.control("timeline"), clean);
    for file in [data.0.join("postmaster.pid"), lock, socket] {
        let _ = fs::remove_file(file);
    }
    0
}

fn come_up(server: &Server, follows: bool) {
    thread::sleep(Duration::from_millis(server.data.slow().unwrap_or(START)));
    if server.data.fails("starting") || server.state() != State::Starting {
        return;
    }
    server.become_(match follows {
        _ if server.data.fails("recovery") => State::Recovery,
        // The standby of a coordinator says `starting up` for as long as it lives (the seed document).
        true if is_old() && server.role == "dispatch" => State::Starting,
        true => State::Mirror,
        false => State::Accepting,
    });
}

fn wal_receiver(port: u16) -> Option<Child> {
    let mut command = Command::new(program("postgres"));
    command.arg0(format!("postgres: {port}, walreceiver   streaming 0/C000060")).arg("--wal-receiver");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// `CheckForStandbyTrigger`.
fn promote(server: &Arc<Server>, receiver: &mut Option<Child>) {
    let file = server.data.0.join("promote");
    if !file.exists() || !server.data.follows() || server.data.fails("nopromote") {
        return;
    }
    let _ = fs::remove_file(file);
    end(receiver);
    for signal in ["standby.signal", "recovery.conf"] {
        let _ = fs::remove_file(server.data.0.join(signal));
    }
    let timeline = server.data.control("timeline").parse::<u32>().unwrap_or(1) + 1;
    server.data.set_control(&timeline.to_string(), "in production");
    server.become_(State::Recovery);
    let server = Arc::clone(server);
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(START));
        server.become_(State::Accepting);
    });
}

/// One connection: a line with the options, one with the SQL; rows, or what is wrong.
fn serve<S: Read + Write>(server: &Server, reading: std::io::Result<S>, mut stream: S) {
    let Ok(reading) = reading else { return };
    if server.data.fails("hang") {
        // It was accepted, and that was it.
        thread::sleep(Duration::from_secs(600));
        return;
    }
    let mut lines = BufReader::new(reading).lines();
    let (Some(Ok(options)), Some(Ok(sql))) = (lines.next(), lines.next()) else { return };
    let answer = answer(server, &options, &sql);
    let _ = stream.write_all(answer.as_bytes());
}

fn answer(server: &Server, options: &str, sql: &str) -> String {
    let fatal = |text: &str| format!("FATAL:  {text}\n");
    if is_old() && options.contains("gp_role=") {
        return fatal("unrecognized configuration parameter \"gp_role\"");
    }
    match server.state() {
        State::Starting => return fatal("the database system is starting up"),
        State::Recovery => return fatal("the database system is in recovery mode"),
        State::Stopping => return fatal("the database system is shutting down"),
        State::Mirror if is_old() => return fatal("the database system is in mirror or uninitialized mode"),
        State::Mirror => {
            return fatal(
                "the database system is in recovery mode\nDETAIL:  last replayed record at 0/C000060\n\
                 - VERSION: PostgreSQL 12.12 (Greenplum Database 7.1.0)",
            );
        }
        State::Accepting => {}
    }
    let utility = options.contains("role=utility");
    if server.role == "utility" && !utility {
        return fatal("System was started in single node mode - only utility mode connections are allowed");
    }
    if server.role == "execute" && !utility {
        return fatal("connections to primary segments are not allowed");
    }
    rows(server, sql)
}

/// Knows the questions of `gsctl` and of the management programs.
fn rows(server: &Server, sql: &str) -> String {
    let catalog = server.data.catalog();
    let segments: Vec<&Row> = catalog.iter().filter(|row| row.content >= 0).collect();
    if sql == "select 1" {
        return "1\n".to_owned();
    }
    if sql.contains("pg_is_in_recovery") {
        return "f\n".to_owned();
    }
    if sql.contains("hostname||") {
        if is_old() && !sql.contains("pg_filespace_entry") {
            return "ERROR:  column \"datadir\" does not exist\nLINE 1: select hostname\n".to_owned();
        }
        return segments.iter().fold(String::new(), |text, row| {
            format!("{text}{},{}={}:{}:{}:{}\n", row.host, row.address, row.data, row.port, row.role, row.content)
        });
    }
    let alive = |row: &&Row| segd::ask(&row.host, &format!("alive {}", row.data)).as_deref() == Some("yes");
    let dead = |role: &str| segments.iter().filter(|row| row.role == role && !alive(row)).count();
    if sql.contains("gp_dist_random") {
        return if dead("p") == 0 {
            format!("{}\n", segments.iter().filter(|row| row.role == "p").count())
        } else {
            "ERROR:  failed to acquire resources on one or more segments\nDETAIL:  Connection refused\n".to_owned()
        };
    }
    // FTS has seen a dead mirror by the time that anybody asks.
    let count = if sql.contains("status = 'd'") {
        dead("p") + dead("m")
    } else if sql.contains("preferred_role") {
        segments.iter().filter(|row| row.role != row.preferred).count()
    } else if sql.contains("mode not in") {
        dead("m")
    } else {
        segments.len()
    };
    format!("{count}\n")
}
