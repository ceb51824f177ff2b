//! `om_monitor`: keeps `cm_agent` running unless a marker forbids it (facts 2).

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};

use crate::conf::Conf;
use crate::home::{DILATATION, Home, MANUAL_START, refuses_user};
use crate::log::Log;
use crate::process::{Fate, Watched};

/// `MONITOR_CHECK_INTERVAL` of the real one.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often a stop that the agent did not finish is taken up again.
const UNFINISHED_STOPS: u32 = 3;
/// The agent blanks its argument "normal" or "abnormal", so /proc shows as many empty ones (measured 1.7).
const NORMAL: usize = "normal".len() + 1;
const ABNORMAL: usize = "abnormal".len() + 1;

/// Runs until its lock file disappears.
pub(crate) fn run(home: &Home) -> ExitCode {
    if refuses_user() {
        return ExitCode::FAILURE;
    }
    let conf = home.conf();
    let mut log = Log::open(&directory(conf.as_ref().ok()), "om_monitor");
    let Some(_lock) = home.lock("om_monitor.lock") else {
        return ExitCode::FAILURE;
    };
    let conf = match conf {
        Ok(conf) => conf,
        Err(error) => {
            log.fatal(&format!("read staticNodeConfig failed! {error}"));
            return ExitCode::FAILURE;
        }
    };
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < conf.nofile_min) {
        let minimum = conf.nofile_min;
        log.fatal(&format!("max number of open files limit {limit} less than {minimum}, monitor start failed."));
        return ExitCode::FAILURE;
    }
    let mut monitor = Monitor::new(home.clone(), conf, log);
    while home.has("om_monitor.lock") {
        monitor.turn();
        thread::sleep(INTERVAL);
    }
    ExitCode::SUCCESS
}

/// What follows `-L`.
fn directory(conf: Option<&Conf>) -> PathBuf {
    let asked = env::args_os().skip_while(|argument| argument != "-L").nth(1).map(PathBuf::from);
    asked.or_else(|| Some(conf?.gausslog.join("cm/om_monitor"))).unwrap_or_default()
}

struct Monitor {
    home: Home,
    conf: Conf,
    log: Log,
    agent: Option<Watched>,
    /// A marker was there at the last look, so the next start is wanted by somebody and no crash.
    is_start: bool,
    /// The raw wait status of the last agent.
    previous_status: i32,
    /// Starts of an agent that has to finish a stop.
    start_count: u32,
    /// Since when a start is allowed; `slow` counts from here.
    ready: Option<Instant>,
}

impl Monitor {
    fn new(home: Home, conf: Conf, log: Log) -> Self {
        let agent = None;
        Self { home, conf, log, agent, is_start: false, previous_status: 0, start_count: 0, ready: None }
    }

    fn turn(&mut self) {
        // A file that is just being written is no reason to forget what it said.
        if let Ok(conf) = self.home.conf() {
            self.conf = conf;
        }
        let marker = self.home.has(MANUAL_START);
        self.is_start |= marker;
        self.reap();
        let program = self.home.bin("cm_agent");
        if self.agent.is_none() {
            self.agent = Watched::find(&program, |_| true);
        }
        if self.agent.is_none() && self.start_requested(&program, marker) {
            match self.home.trouble("OMM") {
                Some(lines) => self.log.append(&lines),
                None => self.start(&program),
            }
        }
        if !marker {
            self.is_start = false;
            self.start_count = 0;
        }
    }

    fn reap(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        let Fate::Gone(status) = agent.look() else { return };
        if let Some(status) = status {
            let pid = agent.pid;
            self.log.say(&format!("child process cm_agent have die! pid is {pid}, exit status is {status}"));
            match status & 0x7f {
                0 => self.log.say(&format!("cm_agent exited, status={}", status >> 8)),
                signal => self.log.say(&format!("cm_agent killed by signal {signal}")),
            }
            self.previous_status = status;
            if status == 0 {
                self.start_count = 0;
            }
        }
        self.agent = None;
    }

    /// `check_start_request()` with both its cases (facts 2).
    fn start_requested(&mut self, program: &Path, marker: bool) -> bool {
        let readable = access(self.conf.agent_conf(), Access::READ_OK).is_ok();
        let executable = access(program, Access::EXEC_OK).is_ok();
        let changing = self.home.has(DILATATION);
        self.log.say(&format!(
            "The CM Agent startup check is complete: cluster_manual_start={}, agent_config_file_r={}, \
             agent_binary_file_x={}, config_change_flag={}, previous_status={}, start_count={}.",
            u8::from(marker),
            u8::from(readable),
            u8::from(executable),
            u8::from(changing),
            self.previous_status,
            self.start_count,
        ));
        if marker && self.previous_status != 0 && self.start_count < UNFINISHED_STOPS {
            self.start_count += 1;
            self.log.say(&format!(
                "The CM Agent did not exit correctly last time. Restart the CM Agent to complete the unfinished stop \
                 operation: start_times={}.",
                self.start_count,
            ));
            return true;
        }
        if marker || !readable || !executable || changing {
            self.ready = None;
            return false;
        }
        self.ready.get_or_insert_with(Instant::now).elapsed() >= self.conf.slow
    }

    fn start(&mut self, program: &Path) {
        self.ready = None;
        let blanks = if self.is_start { NORMAL } else { ABNORMAL };
        let mut command = Command::new(program);
        command.args(vec![""; blanks]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match Watched::start(program, &mut command) {
            Ok(agent) => {
                self.log.say(&format!("cm_agent start, pid is {}", agent.pid));
                self.agent = Some(agent);
            }
            Err(error) => self.log.say(&format!("cm_agent start failed: {error}")),
        }
    }
}
