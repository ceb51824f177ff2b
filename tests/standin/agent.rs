//! `cm_agent`: starts, restarts and stops the instances of one node, and tells every `cm_server` about them (facts 2).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::conf::{Conf, Misbehaviour};
use crate::database;
use crate::home::{Home, MANUAL_PAUSE, MANUAL_START, datanode_id, instance_marker};
use crate::log::Log;
use crate::process::{Fate, Watched};
use crate::wire::{self, Datanode};

/// The real loop takes a second; this one is quicker so that tests are.
const INTERVAL: Duration = Duration::from_millis(250);
/// A dead instance is started again, but not more often than the real loop could.
const RETRY: Duration = Duration::from_secs(1);
/// How long an agent that crashes in a loop lives.
const CRASH: Duration = Duration::from_millis(300);
/// A database that ignores the fast shutdown is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the datanode is reported.
const REPORT: Duration = Duration::from_millis(200);

/// Runs until a marker asks it to stop.
pub(crate) fn run(home: &Home) -> ExitCode {
    let Some(_lock) = home.lock("cm_agent.lock") else { return ExitCode::FAILURE };
    let Ok(conf) = home.conf() else { return ExitCode::FAILURE };
    let mut log = Log::open(&conf.gausslog.join("cm/cm_agent"), "cm_agent");
    if conf.does(Misbehaviour::NoAddress) {
        thread::sleep(conf.mes_wait);
        log.fatal("init cma heartbeat conn by mes failed");
        return ExitCode::FAILURE;
    }
    log.thread("LOG", "agent start and stop thread start");
    let datanode = Arc::new(AtomicU8::new(Datanode::Down as u8));
    report(home, &conf, &datanode);
    check(home, &conf);
    let mut agent = Agent::new(home.clone(), conf, log);
    loop {
        if let Some(code) = agent.turn() {
            return code;
        }
        datanode.store(agent.datanode() as u8, Ordering::Relaxed);
        thread::sleep(INTERVAL);
    }
}

/// Tells each `cm_server` about the datanode, from a thread each: one that is dead must not hold up the others.
fn report(home: &Home, conf: &Conf, datanode: &Arc<AtomicU8>) {
    if !conf.datanodes.contains(&conf.node) {
        return;
    }
    let node = conf.node;
    for server in conf.cm_servers.iter().filter_map(|server| conf.server(*server)) {
        let (home, datanode) = (home.clone(), Arc::clone(datanode));
        thread::spawn(move || {
            loop {
                if home.conf().is_ok_and(|conf| conf.does(Misbehaviour::Isolated)) {
                    thread::sleep(REPORT);
                    continue;
                }
                let state = Datanode::from_number(datanode.load(Ordering::Relaxed));
                let _ = wire::ask(server, &format!("report {node} {}", state.word()));
                thread::sleep(REPORT);
            }
        });
    }
}

/// Has `cm_ctl check -B gs_ctl` run once a second, as the real agent does: what it leaves in `bin/result` disturbs the checks
/// of others (measured 1.1).
fn check(home: &Home, conf: &Conf) {
    let (mut command, path) = (Command::new(home.bin("cm_ctl")), conf.dn(conf.node));
    command.args(["check", "-B", "gs_ctl", "-T"]).arg(path).stdin(Stdio::null()).stdout(Stdio::null());
    thread::spawn(move || {
        loop {
            let _ = command.status();
            thread::sleep(RETRY);
        }
    });
}

/// How the marker wants the database stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopMode {
    Fast,
    Immediate,
}

struct Agent {
    home: Home,
    conf: Conf,
    log: Log,
    started: Instant,
    fenced: Instance,
    server: Instance,
    database: Instance,
    /// Set by the marker and never taken back: removing the marker does not cancel a stop (facts 1.9).
    stopping: Option<StopMode>,
    /// Since when all instances are gone.
    stopped: Option<Instant>,
    /// When the datanode's line was last written to the log.
    told: Option<Instant>,
}

impl Agent {
    fn new(home: Home, conf: Conf, log: Log) -> Self {
        let gaussdb = home.bin("gaussdb");
        let own_directory = conf.gausslog.join("cm/cm_agent").display().to_string();
        let root = home.root.display().to_string();
        let fenced = Instance::new(&gaussdb, &["--fenced", "-k", &root, "-D", &own_directory]);
        let database = Instance::new(&gaussdb, &["-D", &conf.dn(conf.node).display().to_string(), "-M", "pending"]);
        let server = Instance::new(&home.bin("cm_server"), &[]);
        let started = Instant::now();
        Self { home, conf, log, started, fenced, server, database, stopping: None, stopped: None, told: None }
    }

    /// One round; an exit code ends the agent.
    fn turn(&mut self) -> Option<ExitCode> {
        if let Ok(conf) = self.home.conf() {
            self.conf = conf;
        }
        if self.conf.does(Misbehaviour::CrashLoop) {
            thread::sleep(CRASH);
            return Some(ExitCode::FAILURE);
        }
        if !self.home.has("cm_agent.lock") {
            return Some(ExitCode::FAILURE);
        }
        for instance in [&mut self.fenced, &mut self.server, &mut self.database] {
            instance.look();
        }
        if self.stopping.is_none() && self.home.has(MANUAL_START) {
            self.log.say("shutdown requested, find start file!");
            self.stopping = Some(StopMode::Fast);
        }
        // Read again each time: a new marker over a fast stop that hangs ends it (second reading 6).
        if self.stopping.is_some() && self.home.has(MANUAL_START) {
            self.stopping = Some(self.stop_mode());
        }
        match self.stopping {
            Some(_) if self.conf.does(Misbehaviour::StoppingForever) => None,
            Some(mode) => self.stop(mode),
            None => {
                self.start();
                None
            }
        }
    }

    /// `get_stop_mode()`: three lines, and anything less is a fast stop, as is SMART (facts 1.9).
    fn stop_mode(&mut self) -> StopMode {
        let text = fs::read_to_string(self.home.bin(MANUAL_START)).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        match lines[..] {
            [_, "2", _, ..] => StopMode::Immediate,
            [_, _, _, ..] => StopMode::Fast,
            _ => {
                self.log.say("cluster_manual_start file damaged.");
                StopMode::Fast
            }
        }
    }

    fn stop(&mut self, mode: StopMode) -> Option<ExitCode> {
        let polite = if mode == StopMode::Fast { Signal::INT } else { Signal::KILL };
        self.database.stop(polite, self.conf.does(Misbehaviour::Hang));
        if self.conf.does(Misbehaviour::NoPstree) {
            self.log.thread("FATAL", "/home/omm/script/py_pstree.py may be not exist.");
            return (!self.database.is_up()).then_some(ExitCode::FAILURE);
        }
        self.server.stop(Signal::TERM, false);
        self.fenced.stop(Signal::TERM, false);
        if [&self.fenced, &self.server, &self.database].into_iter().any(Instance::is_up) {
            return None;
        }
        if self.stopped.is_none() {
            self.log.say("all instances have been stopped!");
        }
        let stopped = *self.stopped.get_or_insert_with(Instant::now);
        (stopped.elapsed() >= self.conf.stop_delay).then_some(ExitCode::SUCCESS)
    }

    fn start(&mut self) {
        if self.started.elapsed() < self.conf.slow {
            return;
        }
        let node = self.conf.node;
        let output = self.conf.gausslog.join("cm/cm_agent");
        if self.conf.does(Misbehaviour::NicDown) {
            self.log.thread("LOG", "g_cmsNicDown is 1, cannot start cms.");
            self.server.stop(Signal::KILL, false);
            self.database.stop(Signal::KILL, false);
            return;
        }
        self.fenced.start(&output);
        if self.conf.cm_servers.contains(&node)
            && let Some(log) = self.server.start(&output)
        {
            let program = self.home.bin("cm_server");
            self.log.say(&format!(
                "CM_SERVER START system(command:{} >> \"{}\" 2>&1 &).",
                program.display(),
                log.display()
            ));
        }
        if !self.conf.datanodes.contains(&node) {
            return;
        }
        if let Some(lines) = self.home.trouble("AGENT") {
            self.log.append(&lines);
            return;
        }
        let (held, damaged) = (self.home.has(&instance_marker(node)), !database::is_whole(&self.dn()));
        let taken = self.conf.does(Misbehaviour::PortConflict) && !self.database.is_up();
        if !self.database.is_up() && self.told.is_none_or(|told| told.elapsed() >= RETRY) {
            self.told = Some(Instant::now());
            let [held, damaged, taken] = [held, damaged, taken].map(u8::from);
            self.log.thread(
                "LOG",
                &format!(
                    "datanodeId={}, dn_manual_stop={held}, g_dnDiskDamage={damaged}, g_nicDown=0, port_conflict={taken}, \
                     g_dnBuild=0, g_ltranDown=0, g_dnStartCounts={}.",
                    datanode_id(node),
                    self.database.starts,
                ),
            );
        }
        if held || damaged {
            self.database.stop(if damaged { Signal::KILL } else { Signal::INT }, false);
            return;
        }
        // While paused, a datanode is started at the agent's first start only (facts 2).
        let paused = self.home.has(MANUAL_PAUSE) && self.database.starts > 0;
        if paused || taken || self.conf.does(Misbehaviour::Dash) {
            return;
        }
        if let Some(log) = self.database.start(&output) {
            let (program, starts) = (self.home.bin("gaussdb"), self.database.starts);
            self.log.say(&format!(
                "DN START system(command:{} -D {} -M pending >> \"{}\" 2>&1 &), try {starts}",
                program.display(),
                self.dn().display(),
                log.display(),
            ));
        }
    }

    fn dn(&self) -> PathBuf {
        self.conf.dn(self.conf.node)
    }

    /// What the `cm_server`s are told. A postmaster without its pid file has not come up yet.
    fn datanode(&self) -> Datanode {
        let up = self.database.is_up() && database::postmaster(&database::pid_file(&self.dn())).is_some();
        if up {
            Datanode::Up
        } else if self.home.has(&instance_marker(self.conf.node)) {
            Datanode::ManuallyStopped
        } else if !database::is_whole(&self.dn()) {
            Datanode::DiskDamaged
        } else if self.conf.does(Misbehaviour::PortConflict) {
            Datanode::PortConflicting
        } else {
            Datanode::Down
        }
    }
}

/// A process the agent is responsible for.
struct Instance {
    program: PathBuf,
    arguments: Vec<String>,
    process: Option<Watched>,
    /// How often this agent has started it, or found it.
    starts: u32,
    tried: Option<Instant>,
    asked_to_stop: Option<Instant>,
}

impl Instance {
    fn new(program: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { program: program.to_path_buf(), arguments, process: None, starts: 0, tried: None, asked_to_stop: None }
    }

    fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Notices that it is gone, or that an agent before this one left it running.
    fn look(&mut self) {
        match self.process.as_mut().map(Watched::look) {
            Some(Fate::Gone(_)) => {
                self.process = None;
                self.asked_to_stop = None;
            }
            None if self.starts == 0 => {
                self.process = Watched::find(&self.program, |found| {
                    found.iter().skip(1).map(Vec::as_slice).eq(self.arguments.iter().map(String::as_bytes))
                });
                self.starts += u32::from(self.process.is_some());
            }
            Some(Fate::Alive) | None => {}
        }
    }

    /// Starts it if it is not there; returns the log that its output goes to.
    fn start(&mut self, directory: &Path) -> Option<PathBuf> {
        if self.is_up() || self.tried.is_some_and(|tried| tried.elapsed() < RETRY) {
            return None;
        }
        self.tried = Some(Instant::now());
        let (out, path) = Log::output(directory)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stderr(out.try_clone().ok()?).stdout(out);
        self.process = Some(Watched::start(&self.program, &mut command).ok()?);
        self.starts += 1;
        Some(path)
    }

    /// Asks once, and kills what does not listen, unless it may take as long as it likes.
    fn stop(&mut self, signal: Signal, for_ever: bool) {
        let Some(process) = &self.process else { return };
        match self.asked_to_stop {
            Some(_) if signal == Signal::KILL => process.signal(signal),
            Some(_) if for_ever => {}
            None => {
                process.signal(signal);
                self.asked_to_stop = Some(Instant::now());
            }
            Some(asked) if asked.elapsed() > PATIENCE => process.signal(Signal::KILL),
            Some(_) => {}
        }
    }
}
