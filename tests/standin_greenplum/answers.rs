//! What a server says: the words of each state, as measured, and the rows of the questions that are asked.

use crate::catalog::{self, Row};
use crate::data::{Data, is_seven};
use crate::fts;

/// How far a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    /// A mirror or standby that follows, or one that recovers.
    Recovery,
    Accepting,
    Stopping,
}

const VERSION: [&str; 2] = [
    "PostgreSQL 9.4.26 (Greenplum Database 6.24.3 build dev) on x86_64-unknown-linux-gnu, compiled by gcc",
    "PostgreSQL 12.12 (Greenplum Database 7.1.0 build dev) on x86_64-pc-linux-gnu, compiled by gcc",
];

/// The refusal of a connection; `None`: it is let in. `role` is `dispatch`, `execute` or `utility`.
pub(crate) fn refusal(state: State, role: &str, options: &str) -> Option<String> {
    let (own, other) = if is_seven() { ("gp_role=", "gp_session_role=") } else { ("gp_session_role=", "gp_role=") };
    let only_utility = if is_seven() {
        "System was started in single node mode - only utility mode connections are allowed"
    } else {
        "System was started in master-only utility mode - only utility mode connections are allowed"
    };
    let said = match state {
        State::Starting => "the database system is starting up\nDETAIL:  last replayed record at 0/0".to_owned(),
        State::Recovery => format!(
            "the database system is in recovery mode\nDETAIL:  last replayed record at 0/C000000\n- VERSION: {}",
            VERSION[usize::from(is_seven())]
        ),
        State::Stopping => "the database system is shutting down".to_owned(),
        State::Accepting if is_seven() && options.contains(other) => {
            "unrecognized configuration parameter \"gp_session_role\"".to_owned()
        }
        // 6 knows the name, takes it, and then does not take the connection.
        State::Accepting if !is_seven() && options.contains(other) => only_utility.to_owned(),
        State::Accepting if options.contains(&format!("{own}utility")) => return None,
        State::Accepting => match role {
            "utility" => only_utility.to_owned(),
            "execute" => "connections to primary segments are not allowed\n\
                          DETAIL:  This database instance is running as a primary segment in a Greenplum cluster and does not \
                          permit direct connections.\nHINT:  To force a connection anyway (dangerous!), use utility mode."
                .to_owned(),
            _ => return None,
        },
    };
    Some(said)
}

/// Knows the questions of `gsctl` and of the management programs.
pub(crate) fn rows(data: &Data, sql: &str) -> String {
    if sql == "select 1" {
        return "1\n".to_owned();
    }
    if sql.contains("pg_is_in_recovery") {
        return "f\n".to_owned();
    }
    if sql.contains("gp_request_fts_probe_scan") {
        fts::scan(data);
        return "t\n".to_owned();
    }
    let all = catalog::rows(data);
    let segments: Vec<&Row> = all.iter().filter(|row| row.content >= 0).collect();
    if sql.starts_with("select hostname||") {
        return segments.iter().fold(String::new(), |text, row| {
            let Row { host, address, data, port, role, content, status, .. } = row;
            format!("{text}{host},{address}={data}:{port}:{role}:{content}:{status}\n")
        });
    }
    if sql.starts_with("select content||") {
        return all.iter().fold(String::new(), |text, row| {
            let Row { content, role, preferred, mode, status, port, host, data, .. } = row;
            format!("{text}{content}|{role}|{preferred}|{mode}|{status}|{port}|{host}|{data}\n")
        });
    }
    if sql.contains("gp_stat_replication") {
        let streams = all.iter().filter(|row| !row.is_primary() && row.ask("streams"));
        return streams.fold(String::new(), |text, row| format!("{text}{}|streaming|sync\n", row.content));
    }
    if sql.contains("gp_dist_random") {
        // A dispatch that fails has FTS look at once.
        if !fts::all_served(data) {
            fts::scan(data);
        }
        if fts::all_served(data) {
            return format!("{}\n", segments.iter().filter(|row| row.is_primary()).count());
        }
        return "ERROR:  failed to acquire resources on one or more segments\nDETAIL:  Connection refused\n".to_owned();
    }
    "ERROR:  the stand-in does not know this question\n".to_owned()
}
