//! `gpstart` and `gpstop`, in the order, the words and with the exit statuses of 6.24.3.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use crate::catalog::{self, Row};
use crate::client::{self, Said};
use crate::data::{Data, holder, is_seven, lock_file, number};
use crate::{ctl, has, option, say, segd};

/// Time that a postmaster gets.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Log(pub(crate) &'static str);

impl Log {
    pub(crate) fn line(&self, level: &str, text: &str) {
        say(&format!("20261128:19:34:28:{:06} {}:mdw:gpadmin-[{level}]:-{text}", std::process::id(), self.0));
    }

    pub(crate) fn info(&self, text: &str) {
        self.line("INFO", text);
    }

    /// The end that it sees coming.
    pub(crate) fn error(&self, text: &str) -> u8 {
        self.line("ERROR", &format!("{} error: {text}", self.0));
        2
    }

    /// The end that it does not.
    pub(crate) fn fail(&self, text: &str) -> u8 {
        self.line("CRITICAL", &format!("{} failed. (Reason='{text}') exiting...", self.0));
        2
    }
}

/// What 6 calls master and 7 coordinator.
pub(crate) fn master() -> &'static str {
    if is_seven() { "coordinator" } else { "master" }
}

fn upper() -> &'static str {
    if is_seven() { "Coordinator" } else { "Master" }
}

/// The coordinator's directory: `-d`, else the environment. An empty one is taken as it is.
pub(crate) fn directory(arguments: &[String]) -> String {
    let environment =
        || ["COORDINATOR_DATA_DIRECTORY", "MASTER_DATA_DIRECTORY"].iter().find_map(|name| std::env::var(name).ok());
    option(arguments, "-d").map(str::to_owned).or_else(environment).unwrap_or_default()
}

/// Options of a coordinator for everybody, and of one for utility sessions.
fn options(port: u16, utility: bool) -> String {
    match (is_seven(), utility) {
        (_, true) => format!(" -p {port} -c gp_role=utility "),
        (true, false) => format!(" -p {port} -c gp_role=dispatch "),
        (false, false) => format!(" -p {port} -E "),
    }
}

pub(crate) fn gpstart(arguments: &[String]) -> u8 {
    let log = Log("gpstart");
    log.info(&format!("Starting gpstart with args: {}", arguments.join(" ")));
    log.info("Gathering information and validating the environment...");
    let dir = directory(arguments);
    let data = Data::at(&dir);
    if !data.is_there() {
        return log.fail(&format!("[Errno 2] No such file or directory: '{dir}/postgresql.conf'"));
    }
    let port = data.port().unwrap_or(5432);
    let lock = lock_file(port);
    if holder(port).is_some() {
        log.info(&format!("Have lock file {} and a process running on port {port}", lock.with_extension("").display()));
        return log.error(&format!("{} instance process running", upper()));
    }
    if data.0.join("postmaster.pid").exists() {
        let text = format!("postmaster.pid file exists on {}, checking if recovery startup required", upper());
        log.line("WARNING", &text);
    }
    if lock.exists() {
        log.info(&format!(
            "Have lock file {} but no process running on port {port}",
            lock.with_extension("").display()
        ));
    }
    log.info(&format!("Starting {} instance in admin mode", upper()));
    if ctl::start(&data, Some(&data.startup_log()), &options(port, true), Some(LIMIT)) != 0 {
        return log.fail(&format!("Failed to start {} instance in admin mode", upper()));
    }
    if has(arguments, "-m") {
        log.info(&format!("{} started in maintenance mode", upper()));
        return 0;
    }
    log.info(&format!("Obtaining Greenplum {} catalog information", upper()));
    // A server that says nothing is waited for without end.
    let _ = client::ask(None, &port.to_string(), client::utility(), "select 1");
    thread::sleep(Duration::from_millis(number("pace", 0)));
    let rows = catalog::rows(&data);
    let unreachable = unreachable(&log, &rows);
    let standby = rows.iter().find(|row| row.content < 0 && !row.is_primary());
    let checked = if has(arguments, "-S") { None } else { standby };
    let said = checked.and_then(|standby| check_standby(&log, &data, standby));
    log.info(&format!("Stopping {} instance in admin mode", upper()));
    ctl::stop(&data, "fast", Some(LIMIT));
    if let Some(code) = said {
        return code;
    }
    let standby = standby.filter(|_| !has(arguments, "-y"));
    start_array(&log, &data, &rows, &unreachable, standby)
}

fn unreachable(log: &Log, rows: &[Row]) -> Vec<String> {
    let mut hosts: Vec<&str> = rows.iter().filter(|row| row.content >= 0).map(|row| row.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let reached = |host: &str| segd::ask(host, &format!("echo {host}")).as_deref() == Some(host);
    let gone: Vec<String> = hosts.into_iter().filter(|host| !reached(host)).map(str::to_owned).collect();
    if !gone.is_empty() {
        log.line(
            "WARNING",
            "One or more hosts are not reachable via SSH.  Any segments on those hosts will be marked down",
        );
        for host in &gone {
            log.line("WARNING", &format!("Host {host} is unreachable"));
            for row in rows.iter().filter(|row| row.content >= 0 && row.host == *host) {
                log.line("WARNING", &format!("Marking segment {} down because {host} is unreachable", row.dbid));
            }
        }
    }
    gone
}

/// The exit status with which the start ends because of the standby.
fn check_standby(log: &Log, data: &Data, standby: &Row) -> Option<u8> {
    let Some(timeline) = segd::ask(&standby.host, &format!("timeline {}", standby.data)) else {
        log.line(
            "WARNING",
            &format!(
                "Standby host {} is unreachable, cannot determine whether the standby is acting as the {}",
                standby.host,
                master()
            ),
        );
        log.line("WARNING", "If the standby is acting as the master and you start this one, data can be lost");
        log.info("User abort requested, Exiting...");
        return Some(4);
    };
    let ahead = timeline.parse().unwrap_or(0) > data.control("timeline").parse::<u32>().unwrap_or(0);
    ahead.then(|| log.error(&format!("Standby activated, this node no more can act as {}.", master())))
}

/// Segments, coordinator, standby.
fn start_array(log: &Log, data: &Data, rows: &[Row], unreachable: &[String], standby: Option<&Row>) -> u8 {
    log.info("Commencing parallel primary and mirror segment instance startup, please wait...");
    let segments: Vec<&Row> = rows.iter().filter(|row| row.content >= 0).collect();
    let (tried, skipped): (Vec<&Row>, Vec<&Row>) =
        segments.iter().copied().partition(|row| row.status == "u" && !unreachable.contains(&row.host));
    let results = start_segments(&tried);
    let up = |row: &Row| results.get(&row.dbid).is_some_and(|line| line.contains("STARTED:True"));
    let mut failed = 0;
    for row in tried.iter().filter(|row| !up(row)) {
        let reason = results.get(&row.dbid).and_then(|line| line.rsplit("REASON:").next()).unwrap_or_default();
        let Row { dbid, host, data, .. } = row;
        log.info(&format!("DBID:{dbid}  FAILED  host:'{host}' datadir:'{data}' with reason:'{reason}'"));
        failed += 1;
    }
    failed += segments.iter().filter(|row| unreachable.contains(&row.host)).count();
    let lost: Vec<&&Row> = segments
        .iter()
        .filter(|row| row.is_primary() && !segments.iter().any(|other| other.content == row.content && up(other)))
        .collect();
    if !lost.is_empty() {
        for row in segments.iter().filter(|row| up(row)) {
            let _ = segd::ask(&row.host, &format!("stop fast {}", row.data));
        }
        for row in &lost {
            log.line("ERROR", &format!("No segment started for content: {}.", row.content));
        }
        return log.error("Do not have enough valid segments to start the array.");
    }
    log.info(&format!("Successful segment starts                                            = {}", tried.len()));
    log.info(&format!("Starting {} instance mdw directory {}", upper(), data.0.display()));
    let port = data.port().unwrap_or(5432);
    if ctl::start(data, Some(&data.startup_log()), &options(port, false), Some(LIMIT)) != 0 {
        return log.fail(&format!("Failed to start {} instance", upper()));
    }
    thread::sleep(Duration::from_millis(number("pace", 0)));
    if data.fails("hang") {
        let _ = client::ask(None, &port.to_string(), "", "select 1");
    }
    let no_standby = standby.is_some_and(|standby| {
        log.info("Starting standby master");
        let said = segd::ask(&standby.host, &format!("start dispatch {}", standby.data)).unwrap_or_default();
        !said.contains("STARTED:True")
    });
    if no_standby {
        log.line("WARNING", "Could not start standby master");
    }
    if skipped.len() > unreachable.len() {
        log.line("WARNING", &format!("Number of segments not attempted to start: {}", skipped.len()));
    }
    if data.fails("mute") || !skipped.is_empty() {
        log.info("Check status of database with gpstate utility");
    } else {
        log.info("Database successfully started");
    }
    u8::from(failed > 0 || no_standby)
}

/// One gpsegstart for each host. A directory that it may not look into makes it fail for all segments of the host.
fn start_segments(tried: &[&Row]) -> BTreeMap<i32, String> {
    let aborted = |row: &Row| tried.iter().any(|other| other.host == row.host && other.ask("unreadable"));
    let all: Vec<(i32, String)> = thread::scope(|scope| {
        let work = tried.iter().map(|row| {
            scope.spawn(move || {
                if aborted(row) {
                    return (
                        row.dbid,
                        "--STARTED:False--REASONCODE:2--REASON:ExecutionError: 'non-zero rc: 1' pg_controldata"
                            .to_owned(),
                    );
                }
                (row.dbid, segd::ask(&row.host, &format!("start execute {}", row.data)).unwrap_or_default())
            })
        });
        let handles: Vec<_> = work.collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
    });
    all.into_iter().collect()
}

pub(crate) fn gpstop(arguments: &[String]) -> u8 {
    let log = Log("gpstop");
    log.info(&format!("Starting gpstop with args: {}", arguments.join(" ")));
    let dir = directory(arguments);
    let data = Data::at(&dir);
    if !data.is_there() {
        return log.fail(&format!("[Errno 2] No such file or directory: '{dir}/postgresql.conf'"));
    }
    if data.postmaster().is_none() {
        return log.error("postmaster.pid file does not exist.  is Greenplum instance already stopped?");
    }
    let port = data.port().unwrap_or(5432).to_string();
    log.info(&format!("Obtaining Greenplum {} catalog information", upper()));
    if let Said::Fatal(said) | Said::NoServer(said) = client::ask(None, &port, client::utility(), "select 1") {
        return log.fail(&said.replace('\n', " "));
    }
    thread::sleep(Duration::from_millis(number("pace", 0)));
    let mode = option(arguments, "-M").unwrap_or("smart");
    let rows = catalog::rows(&data);
    log.info(&format!("Commencing {} instance shutdown with mode='{mode}'", upper()));
    ctl::stop(&data, mode, Some(LIMIT));
    let mut running = 0;
    // Standby, then primaries, then mirrors.
    let standbys = rows.iter().filter(|row| row.content < 0 && !row.is_primary());
    let primaries = rows.iter().filter(|row| row.content >= 0 && row.is_primary());
    let mirrors = rows.iter().filter(|row| row.content >= 0 && !row.is_primary());
    for row in standbys.chain(primaries).chain(mirrors) {
        let said = segd::ask(&row.host, &format!("stop {mode} {}", row.data));
        running += u32::from(said.as_deref() != Some("stopped"));
    }
    if running > 0 {
        log.line("WARNING", &format!("{running} segments did not complete their shutdown in the allowed timeout"));
        return 2;
    }
    let _ = fs::remove_file(lock_file(data.port().unwrap_or(5432)));
    log.info("Database successfully shutdown with no errors reported");
    0
}
