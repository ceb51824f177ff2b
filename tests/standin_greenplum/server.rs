//! `postgres`: a postmaster with a pid file, a lock file, a socket, children, and the answers of its state.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::answers::{State, refusal, rows};
use crate::catalog;
use crate::data::{Data, holder, is_seven, lock_file, number, program, setting};
use crate::{complain, fts, has, option, segd};

/// How long a start takes where nothing slows it down.
const START: u64 = 150;
/// Between two looks at the one that is followed.
const STREAM: Duration = Duration::from_millis(200);

struct Server {
    data: Data,
    port: u16,
    /// `dispatch`, `execute` or `utility`.
    role: String,
    state: Mutex<State>,
    /// A coordinator takes ordinary sessions once it has heard every primary.
    dispatches: AtomicBool,
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
    if has(arguments, "--child") {
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }
    let Some(data) = option(arguments, "-D").map(Data::at).filter(Data::is_there) else {
        complain("postgres cannot access the server configuration file: No such file or directory");
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
    if let Some(lines) = data.trouble("STARTUP") {
        complain(lines.trim_end());
        return 1;
    }
    if let Some(lines) = data.trouble("GPCSV") {
        data.log("LOG", "database system was shut down at 2026-11-28 19:34:20 UTC");
        data.log_lines(&lines);
        return 1;
    }
    // Handlers before the pid file: whoever reads the pid may signal at once.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGQUIT, SIGUSR1]) else { return 1 };
    let (socket, lock) = (PathBuf::from(format!("/tmp/.s.PGSQL.{port}")), lock_file(port));
    if holder(port).is_some() {
        complain(&format!("FATAL:  lock file \"{}\" already exists", lock.display()));
        return 1;
    }
    let _ = fs::remove_file(&socket);
    let (pid, dir) = (std::process::id(), data.0.display());
    let Ok(listener) = UnixListener::bind(&socket) else {
        complain(&format!("FATAL:  could not create Unix socket \"{}\"", socket.display()));
        return 1;
    };
    let _ = fs::remove_file(data.0.join("standin.streaming"));
    let _ = fs::write(&lock, format!("{pid}\n{dir}\n1795250794\n{port}\n/tmp\n"));
    let lines = format!("{pid}\n{dir}\n1795250794\n{port}\n/tmp\n*\n  5432001        19\n");
    if fs::write(data.0.join("postmaster.pid"), lines).is_err() {
        return 1;
    }
    let role = role(arguments);
    let state = Mutex::new(State::Starting);
    let server = Arc::new(Server { data: data.clone(), port, role, state, dispatches: AtomicBool::new(false) });
    let follows = data.follows();
    data.set_control(&data.control("timeline"), if follows { "in archive recovery" } else { "in production" });
    listen(&server, listener);
    let starting = Arc::clone(&server);
    thread::spawn(move || come_up(&starting, follows));
    if follows {
        let follower = Arc::clone(&server);
        thread::spawn(move || follow(&follower));
    }
    for signal in signals.forever() {
        match signal {
            SIGUSR1 => promote(&server),
            SIGQUIT => break,
            _ if data.fails("noshutdown") => server.become_(State::Stopping),
            _ => break,
        }
    }
    server.become_(State::Stopping);
    let clean = if data.follows() { "shut down in recovery" } else { "shut down" };
    data.set_control(&data.control("timeline"), clean);
    for file in [data.0.join("postmaster.pid"), lock, socket] {
        let _ = fs::remove_file(file);
    }
    0
}

/// As its command line says: `-E` is an entry, `-c gp_role=utility` for utility sessions only.
fn role(arguments: &[String]) -> String {
    let named = arguments.iter().find_map(|argument| argument.strip_prefix("gp_role="));
    let role = named.unwrap_or(if has(arguments, "-E") { "dispatch" } else { "execute" });
    role.to_owned()
}

fn listen(server: &Arc<Server>, listener: UnixListener) {
    // Only coordinators are asked over the network.
    if server.role == "dispatch"
        && let Some(address) = setting("address")
        && let Ok(listener) = TcpListener::bind((address.as_str(), server.port))
    {
        let server = Arc::clone(server);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = Arc::clone(&server);
                thread::spawn(move || serve(&server, stream.try_clone(), stream));
            }
        });
    }
    let server = Arc::clone(server);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let server = Arc::clone(&server);
            thread::spawn(move || serve(&server, stream.try_clone(), stream));
        }
    });
}

fn come_up(server: &Arc<Server>, follows: bool) {
    thread::sleep(Duration::from_millis(server.data.slow().unwrap_or(START)));
    if server.data.fails("starting") || server.state() != State::Starting {
        return;
    }
    if follows || server.data.fails("recovery") {
        server.become_(State::Recovery);
        return;
    }
    server.become_(State::Accepting);
    if server.role == "dispatch" {
        coordinate(server);
    }
}

/// Looks after the segments for as long as it lives.
fn coordinate(server: &Arc<Server>) {
    let _probe = child(server.port, "bgworker: ftsprobe process");
    let _recovery = child(server.port, "bgworker: dtx recovery process");
    loop {
        fts::scan(&server.data);
        while !server.dispatches.load(Ordering::SeqCst) && !fts::all_served(&server.data) {
            thread::sleep(Duration::from_millis(100));
            fts::scan(&server.data);
        }
        server.dispatches.store(true, Ordering::SeqCst);
        // A test may change the interval while the server runs.
        let scanned = std::time::Instant::now();
        while scanned.elapsed() < Duration::from_secs(number("fts", 2)) {
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A receiver for as long as the other end is there.
fn follow(server: &Arc<Server>) {
    let mark = server.data.0.join("standin.streaming");
    let _startup = child(server.port, "startup process   waiting for 000000010000000000000003");
    let mut receiver: Option<Child> = None;
    while server.data.follows() {
        let data = &server.data;
        let cut_off = data.fails("starting") || data.fails("noreceiver");
        let there = !cut_off
            && data
                .source()
                .is_some_and(|(host, port)| segd::ask(&host, &format!("listens {port}")).as_deref() == Some("yes"));
        if there && receiver.is_none() {
            let title = if is_seven() { "walreceiver   streaming 0/C000060" } else { "wal receiver process   " };
            receiver = child(server.port, title);
            let _ = fs::write(&mark, "");
        }
        if !there && receiver.is_some() {
            end(&mut receiver);
            let _ = fs::remove_file(&mark);
        }
        thread::sleep(STREAM);
    }
    end(&mut receiver);
    let _ = fs::remove_file(&mark);
}

/// A process of the server's, with its title for a command line.
fn child(port: u16, title: &str) -> Option<Child> {
    let mut command = Command::new(program("postgres"));
    command.arg0(format!("postgres:  {port}, {title}")).arg("--child");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// `CheckForStandbyTrigger`, and what a new coordinator writes into its catalog.
fn promote(server: &Arc<Server>) {
    let file = server.data.0.join("promote");
    if !file.exists() || !server.data.follows() || server.data.fails("nopromote") {
        return;
    }
    let _ = fs::remove_file(file);
    let follow = server.data.follow_file();
    let _ =
        if is_seven() { fs::remove_file(&follow) } else { fs::rename(&follow, follow.with_file_name("recovery.done")) };
    let timeline = server.data.control("timeline").parse::<u32>().unwrap_or(1) + 1;
    server.data.set_control(&timeline.to_string(), "in production");
    server.become_(State::Recovery);
    let mut rows = catalog::rows(&server.data);
    if !rows.is_empty() {
        rows.retain(|row| row.content >= 0 || !row.is_primary());
        for row in rows.iter_mut().filter(|row| row.content < 0) {
            "p".clone_into(&mut row.role);
            "p".clone_into(&mut row.preferred);
        }
        catalog::write(&server.data, &rows);
    }
    let server = Arc::clone(server);
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(START));
        server.become_(State::Accepting);
        if server.role == "dispatch" {
            coordinate(&server);
        }
    });
}

/// One connection: a line with the options, one with the SQL; rows, or what is wrong.
fn serve<S: Read + Write>(server: &Server, reading: std::io::Result<S>, mut stream: S) {
    let Ok(reading) = reading else { return };
    let mut lines = BufReader::new(reading).lines();
    let (Some(Ok(options)), Some(Ok(sql))) = (lines.next(), lines.next()) else { return };
    let refused = refusal(server.state(), &server.role, &options);
    let ordinary = server.role == "dispatch" && !options.contains("role=utility");
    // It was accepted, and that was it.
    let mute = server.data.fails("hang") || (server.data.fails("mute") && ordinary);
    let waits = refused.is_none() && ordinary && !server.dispatches.load(Ordering::SeqCst);
    if mute || waits {
        thread::sleep(Duration::from_secs(600));
        return;
    }
    let answer = match refused {
        Some(said) => {
            server.data.log("FATAL", &said);
            format!("FATAL:  {said}\n")
        }
        None => rows(&server.data, &sql),
    };
    let _ = stream.write_all(answer.as_bytes());
}
