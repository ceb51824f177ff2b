//! `gpstart`, `gpstop`, `gpactivatestandby` and `gpstate`, in the order and the words of the facts (5.1 to 5.4).

use std::thread;
use std::time::Duration;

use crate::client::{self, Said};
use crate::data::{Data, Row};
use crate::{ctl, option, say, segd};

/// Time that a postmaster gets.
const LIMIT: Duration = Duration::from_secs(20);

struct Log(&'static str);

impl Log {
    fn line(&self, level: &str, text: &str) {
        say(&format!("20261121:10:00:00:000123 {}:cdw:gpadmin-[{level}]:-{text}", self.0));
    }

    fn info(&self, text: &str) {
        self.line("INFO", text);
    }

    /// The end, as the Python programs make it.
    fn fail(&self, text: &str) -> u8 {
        self.line("CRITICAL", &format!("{} failed. (Reason='{text}') exiting...", self.0));
        2
    }
}

/// The coordinator's directory: `-d`, else the environment.
fn directory(arguments: &[String]) -> Option<Data> {
    let environment = || {
        ["COORDINATOR_DATA_DIRECTORY", "MASTER_DATA_DIRECTORY"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    };
    option(arguments, "-d").map(str::to_owned).or_else(environment).map(|path| Data::at(&path))
}

pub(crate) fn gpstart(arguments: &[String]) -> u8 {
    let log = Log("gpstart");
    log.info(&format!("Starting gpstart with args: {}", arguments.join(" ")));
    let Some(data) = directory(arguments).filter(Data::is_there) else {
        return log.fail("Environment Variable COORDINATOR_DATA_DIRECTORY not set!");
    };
    if data.postmaster().is_some() {
        return log.fail("Coordinator instance postmaster is already running");
    }
    // 1: utility mode, to read the catalog. A server that hangs is waited for without end (gpdb#2944).
    log.info("Starting Coordinator instance in admin mode");
    if ctl::start(&data, Some(&startup_log(&data)), " -c gp_role=utility ", Some(LIMIT)) != 0 {
        return log.fail("Failure starting coordinator");
    }
    let port = data.port().unwrap_or(5432).to_string();
    log.info("Obtaining Greenplum Coordinator catalog information");
    let _ = client::ask(None, &port, "-c gp_role=utility -c gp_session_role=utility", "select 1");
    let rows = data.catalog();
    // 2: who can be reached.
    let mut hosts: Vec<&str> = rows.iter().map(|row| row.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let reached = |host: &str| segd::ask(host, &format!("echo {host}")).as_deref() == Some(host);
    let unreachable: Vec<&str> = hosts.into_iter().filter(|host| !reached(host)).collect();
    if !unreachable.is_empty() {
        log.line("WARNING", "One or more hosts are not reachable via SSH.");
        for host in &unreachable {
            log.line("WARNING", &format!("Host {host} is unreachable"));
        }
        log.line("WARNING", "Marking segments on unreachable hosts as down for this start");
    }
    // 3: the standby.
    let standby = rows.iter().find(|row| row.content < 0 && row.role == "m");
    if let Some(standby) = standby {
        let Some(timeline) = segd::ask(&standby.host, &format!("timeline {}", standby.data)) else {
            ctl::stop(&data, "fast", Some(LIMIT));
            return log.fail(
                "Standby host is unreachable, cannot determine whether the standby is acting as the coordinator",
            );
        };
        if timeline.parse().unwrap_or(0) > data.control("timeline").parse::<u32>().unwrap_or(0) {
            ctl::stop(&data, "fast", Some(LIMIT));
            return log.fail("Standby activated, this node no more can act as coordinator");
        }
    }
    // 4: out of utility mode.
    log.info("Stopping Coordinator instance in admin mode");
    ctl::stop(&data, "fast", Some(LIMIT));
    // 5: primaries and mirrors together.
    log.info("Commencing parallel primary and mirror segment instance startup, please wait...");
    let segments: Vec<&Row> = rows.iter().filter(|row| row.content >= 0).collect();
    let results: Vec<(&Row, String)> = thread::scope(|scope| {
        let started: Vec<_> = segments
            .iter()
            .map(|row| {
                let down = unreachable.contains(&row.host.as_str());
                let work = move || {
                    if down {
                        "--STARTED:False--REASONCODE:5--REASON:Host unreachable".to_owned()
                    } else {
                        segd::ask(&row.host, &format!("start execute {}", row.data)).unwrap_or_default()
                    }
                };
                (*row, scope.spawn(work))
            })
            .collect();
        started.into_iter().map(|(row, thread)| (row, thread.join().unwrap_or_default())).collect()
    });
    let up = |row: &Row| results.iter().any(|(other, line)| other.dbid == row.dbid && line.contains("STARTED:True"));
    for (_, line) in results.iter().filter(|(_, line)| !line.is_empty()) {
        log.line("DEBUG", line);
    }
    // 6: every content needs one.
    let failed: Vec<_> = results.iter().filter(|(row, _)| !up(row)).collect();
    for (row, line) in &failed {
        let reason = line.rsplit("REASON:").next().unwrap_or_default();
        let text =
            format!("DBID:{}  FAILED  host:'{}' datadir:'{}' with reason:'{reason}'", row.dbid, row.host, row.data);
        log.line("WARNING", &text);
    }
    if segments.iter().any(|row| !segments.iter().any(|other| other.content == row.content && up(other))) {
        for row in segments.iter().filter(|row| up(row)) {
            let _ = segd::ask(&row.host, &format!("stop fast {}", row.data));
        }
        log.line("ERROR", "gpstart error: Do not have enough valid segments to start the array.");
        return 2;
    }
    // 7: the coordinator for everybody, then the standby.
    log.info("Starting Coordinator instance");
    if ctl::start(&data, Some(&startup_log(&data)), " -c gp_role=dispatch ", Some(LIMIT)) != 0 {
        return log.fail("Failure starting coordinator");
    }
    if let Some(standby) = standby {
        log.info(&format!("Starting standby coordinator {}", standby.host));
        let _ = segd::ask(&standby.host, &format!("start dispatch {}", standby.data));
    }
    let started = segments.len() - failed.len();
    log.info(&format!("Successfully started {started} of {} segment instances", segments.len()));
    u8::from(!failed.is_empty())
}

fn startup_log(data: &Data) -> String {
    let _ = std::fs::create_dir_all(data.0.join("log"));
    data.0.join("log/startup.log").display().to_string()
}

pub(crate) fn gpstop(arguments: &[String]) -> u8 {
    let log = Log("gpstop");
    let Some(data) = directory(arguments).filter(Data::is_there) else {
        return log.fail("Environment Variable COORDINATOR_DATA_DIRECTORY not set!");
    };
    if data.postmaster().is_none() {
        return log.fail("coordinator is not running");
    }
    let mode = option(arguments, "-M").unwrap_or("smart");
    let rows = data.catalog();
    log.info("Commencing Coordinator instance shutdown");
    ctl::stop(&data, mode, Some(LIMIT));
    let mut running = 0;
    // Standby, then primaries, then mirrors.
    let standbys = rows.iter().filter(|row| row.content < 0 && row.role == "m");
    let primaries = rows.iter().filter(|row| row.content >= 0 && row.role == "p");
    let mirrors = rows.iter().filter(|row| row.content >= 0 && row.role == "m");
    for row in standbys.chain(primaries).chain(mirrors) {
        let said = segd::ask(&row.host, &format!("stop {mode} {}", row.data));
        running += u32::from(said.as_deref() != Some("stopped"));
    }
    if running > 0 {
        log.line("WARNING", &format!("{running} segments did not complete their shutdown in the allowed timeout"));
        return 2;
    }
    log.info("Database successfully shutdown with no errors reported");
    0
}

pub(crate) fn gpactivatestandby(arguments: &[String]) -> u8 {
    let log = Log("gpactivatestandby");
    let Some(data) = directory(arguments).filter(Data::is_there) else {
        return log.fail("no data directory");
    };
    if !data.follows() {
        return log.fail("standby.signal not found: this is not a standby");
    }
    let rows = data.catalog();
    if let Some(old) = rows.iter().find(|row| row.content < 0 && row.role == "p")
        && segd::ask(&old.host, &format!("active {}", old.port)).as_deref() == Some("yes")
    {
        return log.fail("Active postgres process on coordinator");
    }
    if data.postmaster().is_none() {
        return log.fail("standby is not running, use -f");
    }
    if ctl::promote(&data, Some(LIMIT)) != 0 {
        return log.fail("could not promote");
    }
    log.info("The activation of the standby coordinator has completed successfully.");
    0
}

/// `gpstate -b`: the summary.
pub(crate) fn gpstate(arguments: &[String]) -> u8 {
    let log = Log("gpstate");
    let Some(data) = directory(arguments).filter(|data| data.postmaster().is_some()) else {
        return log.fail("coordinator is not running");
    };
    let rows = data.catalog();
    let port = data.port().unwrap_or(5432).to_string();
    if let Said::Fatal(said) | Said::Nobody(said) = client::ask(None, &port, "", "select 1") {
        return log.fail(&said);
    }
    let segments: Vec<&Row> = rows.iter().filter(|row| row.content >= 0).collect();
    let alive = |row: &&&Row| segd::ask(&row.host, &format!("alive {}", row.data)).as_deref() == Some("yes");
    let missing = segments.iter().filter(|row| !alive(row)).count();
    log.info(&format!("Total segment instance count from metadata                = {}", segments.len()));
    log.info(&format!("Total number of postmaster.pid PIDs missing                = {missing}"));
    log.info(&format!("Total number of /tmp lock files missing                    = {missing}"));
    log.info(&format!("Total number postmaster processes missing                  = {missing}"));
    u8::from(missing > 0)
}
