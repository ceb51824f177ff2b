//! `gpactivatestandby`, `gpinitstandby`, `gprecoverseg` and `gpstate`, as 6.24.3 has them.

use std::thread;
use std::time::{Duration, Instant};

use crate::catalog::{self, Row};
use crate::client::{self, Said};
use crate::data::{Data, number};
use crate::manage::{LIMIT, Log, directory, master};
use crate::{ctl, fts, has, segd};

/// Run on the standby. Of the old one it looks at the lock file alone.
pub(crate) fn gpactivatestandby(arguments: &[String]) -> u8 {
    let log = Log("gpactivatestandby");
    let fail = |text: &str| {
        log.line("CRITICAL", &format!("Error activating standby {}: {text}", master()));
        2
    };
    let data = Data::at(&directory(arguments));
    if !data.is_there() {
        return fail(&format!("Could not find directory {}", data.0.display()));
    }
    if !data.follows() {
        return fail("Missing recovery.conf: this is not a standby");
    }
    if !has(arguments, "-q") {
        log.line("DEBUG", "Running Command: ls -l");
    }
    if let Some((host, port)) = data.source() {
        match segd::ask(&host, &format!("lock {port}")).as_deref() {
            Some("yes") => return fail(&format!("Active postgres process on {}", master())),
            Some(_) => {}
            None => log.line("WARNING", &format!("Host {host} cannot be reached")),
        }
    }
    if data.postmaster().is_none() {
        return fail("the standby does not run; -f starts it");
    }
    thread::sleep(Duration::from_millis(number("pace", 0)));
    if ctl::promote(&data, Some(LIMIT)) != 0 {
        return fail("could not promote");
    }
    // Until it takes connections, and a while to tidy up.
    let port = data.port().unwrap_or(5432).to_string();
    let began = Instant::now();
    while !matches!(client::ask(None, &port, client::utility(), "select 1"), Said::Rows(_)) && began.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_millis(number("pace", 0)));
    log.info(&format!("The activation of the standby {} has completed successfully.", master()));
    0
}

/// The rows of a coordinator that runs and dispatches; else what the program ends with.
fn running(log: &Log, arguments: &[String]) -> Result<(Data, Vec<Row>), u8> {
    let data = Data::at(&directory(arguments));
    let port = data.port().unwrap_or(5432).to_string();
    match client::ask(None, &port, "", "select 1") {
        Said::Rows(_) => {
            let rows = catalog::rows(&data);
            Ok((data, rows))
        }
        Said::Fatal(said) | Said::Error(said) | Said::NoServer(said) => {
            Err(log.fail(&format!("could not connect to server: {}", said.replace('\n', " "))))
        }
    }
}

/// `-n`: starts a standby that is down.
pub(crate) fn gpinitstandby(arguments: &[String]) -> u8 {
    let log = Log("gpinitstandby");
    let (data, rows) = match running(&log, arguments) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let Some(standby) = rows.iter().find(|row| row.content < 0 && !row.is_primary()) else {
        return log.error("no standby is configured");
    };
    if !has(arguments, "-n") {
        return log.error("the stand-in knows -n only");
    }
    log.info("Starting standby master");
    if standby.ask("alive") {
        log.info("Standy master is already up and running.");
        return 0;
    }
    let _ = data;
    let said = segd::ask(&standby.host, &format!("start dispatch {}", standby.data)).unwrap_or_default();
    if said.contains("STARTED:True") { 0 } else { log.error("Could not start standby master") }
}

/// `-a`: starts what is marked down as mirrors; `-r`: gives everybody the role back that is preferred.
pub(crate) fn gprecoverseg(arguments: &[String]) -> u8 {
    let log = Log("gprecoverseg");
    let (data, rows) = match running(&log, arguments) {
        Ok(found) => found,
        Err(code) => return code,
    };
    if has(arguments, "-r") {
        return rebalance(&log, &data, rows);
    }
    let down: Vec<&Row> = rows.iter().filter(|row| row.content >= 0 && row.status == "d").collect();
    if down.is_empty() {
        log.info("No segments to recover: the segments are all up");
        return 0;
    }
    let mut failed = 0;
    for row in down {
        let Some(primary) = rows.iter().find(|other| other.content == row.content && other.is_primary()) else {
            continue;
        };
        let _ = segd::ask(&row.host, &format!("follow {} {} {}", row.data, primary.address, primary.port));
        let said = segd::ask(&row.host, &format!("start mirror {}", row.data)).unwrap_or_default();
        failed += u8::from(!said.contains("STARTED:True"));
    }
    let began = Instant::now();
    while catalog::segments(&data).iter().any(|row| row.status == "d") && failed == 0 && began.elapsed() < LIMIT {
        thread::sleep(Duration::from_millis(200));
        fts::scan(&data);
    }
    log.info("Segments successfully recovered.");
    u8::from(failed > 0)
}

fn rebalance(log: &Log, data: &Data, mut rows: Vec<Row>) -> u8 {
    for row in rows.iter_mut().filter(|row| row.content >= 0 && row.role != row.preferred) {
        // The order does not matter: the catalog is written when both are done.
        let verb = if row.is_primary() { "stop fast" } else { "promote" };
        let _ = segd::ask(&row.host, &format!("{verb} {}", row.data));
        row.preferred.clone_into(&mut row.role);
    }
    catalog::write(data, &rows);
    for row in rows.iter().filter(|row| row.content >= 0 && !row.is_primary() && !row.ask("alive")) {
        let Some(primary) = rows.iter().find(|other| other.content == row.content && other.is_primary()) else {
            continue;
        };
        let _ = segd::ask(&row.host, &format!("follow {} {} {}", row.data, primary.address, primary.port));
        let _ = segd::ask(&row.host, &format!("start mirror {}", row.data));
    }
    log.info("The rebalance operation has completed successfully.");
    0
}

/// `-b`, `-s`, `-e`: 1 where something is wrong, `-f`: 0 also with the standby down; 2 where the coordinator is not there.
pub(crate) fn gpstate(arguments: &[String]) -> u8 {
    let log = Log("gpstate");
    let (_, rows) = match running(&log, arguments) {
        Ok(found) => found,
        Err(code) => return code,
    };
    if has(arguments, "-f") {
        let standby = rows.iter().find(|row| row.content < 0 && !row.is_primary());
        let status = if standby.is_some_and(|row| row.ask("streams")) {
            "Standby host passive"
        } else {
            "Standby process not running"
        };
        log.info(&format!("Standby status                       = {status}"));
        return 0;
    }
    let segments: Vec<&Row> = rows.iter().filter(|row| row.content >= 0).collect();
    let missing = segments.iter().filter(|row| !row.ask("alive")).count();
    log.info(&format!("Total segment instance count from metadata                = {}", segments.len()));
    log.info(&format!("Total number of postmaster.pid PIDs missing                = {missing}"));
    log.info(&format!("Total number of /tmp lock files missing                    = {missing}"));
    log.info(&format!("Total number postmaster processes missing                  = {missing}"));
    u8::from(missing > 0)
}
