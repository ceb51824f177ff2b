//! The catalogue for people: `gsctl explain`, and the page of all causes.

use std::fmt::Write as _;

use super::catalogue::{DocumentedCause, Verified, builtin, ids};
use crate::outcome::cause::WaitHelps;

/// A row in full, as plain text.
#[must_use]
pub fn explanation(system: &str, row: &DocumentedCause) -> String {
    let mut text = format!("{}: {}\n\n", row.id, row.cause);
    let mut say = |name: &str, value: &str| {
        // Writing to text cannot fail.
        let _ = writeln!(text, "{name:<14}{value}");
    };
    say("system", system);
    say("stage", &stages(row));
    say("waiting", wait(row.wait));
    say("what to do", &row.hint);
    say("proof", &place(row));
    match (&row.signature, &row.state) {
        (Some(signature), _) => say("signature", signature),
        (None, Some(state)) => say("state", state),
        (None, None) => {}
    }
    say("documented", &row.source);
    say("known how", row.verified.words());
    text
}

/// The page of all causes, one heading an id.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Why a node does not come up\n\n\
         The causes that gsctl knows by name. `gsctl explain ID` prints one of them. The rows are data:\n\
         `playbooks/<system>/causes.yaml`; this page is made from them.\n\n\
         `gsctl start` reads the logs of the first stage that a node misses, and of them only what was written since it was asked for;\n\
         `gsctl diagnose` what was written since the newest start that a log tells of, else in the last ten minutes, and says how old it\n\
         is. A row about another stage of the chain is not the cause of this one. Rows of stage `cluster` are for nodes that are up and a\n\
         cluster that is not Normal: every node is asked. Of Greenplum, what a segment says is PostgreSQL's (rows PG), in CSV, and is shown\n\
         as PostgreSQL writes it. A row whose waiting does not help ends the wait when it is found twice.\n",
    );
    for (system, _) in ids() {
        let _ = write!(page, "\n## {system}\n");
        for row in builtin(system).unwrap_or_default().rows() {
            let _ = write!(
                page,
                "\n### {}\n\n**{}** (stage {}). {}.\n\n- what to do: {}\n- proof: {}\n",
                row.id,
                row.cause,
                stages(row),
                capitalized(wait(row.wait)),
                row.hint,
                place(row)
            );
            match (&row.signature, &row.state) {
                (Some(signature), _) => page.push_str(&format!("- signature: `` {signature} ``\n")),
                (None, Some(state)) => page.push_str(&format!("- state: {state}\n")),
                (None, None) => {}
            }
            page.push_str(&format!("- documented: {}\n", row.source));
            if row.verified == Verified::Recalled {
                page.push_str("- known how: recalled, not proven\n");
            }
        }
    }
    page
}

/// The stage that it is about, and others that miss it too.
fn stages(row: &DocumentedCause) -> String {
    let others =
        if row.holds_back.is_empty() { String::new() } else { format!("; also {}", row.holds_back.join(", ")) };
    format!("{}{others}", row.stage)
}

fn place(row: &DocumentedCause) -> String {
    let logs = row.logs.iter().filter(|code| *code != "CMD").map(|code| log_name(code));
    let command = row.command.iter().map(|command| format!("`{command}`"));
    logs.chain(command).collect::<Vec<_>>().join("; ")
}

/// Which log a code stands for.
fn log_name(code: &str) -> String {
    let name = match code {
        "OMM" => "the om_monitor log ($GAUSSLOG/cm/om_monitor)",
        "AGENT" => "the cm_agent log (log_dir of cm_agent.conf, $GAUSSLOG/cm/cm_agent)",
        "SYSCALL" => "system_call-current.log beside the cm_agent log",
        "CMS" => "the cm_server log ($GAUSSLOG/cm/cm_server)",
        "KEY_EVENT" => "key_event-*-current.log beside the cm_server log",
        "DNERR" => {
            "what gaussdb says before its own log exists: system_call-current.log, DBstart.log or the output of gs_ctl"
        }
        "DMSCTL" => "dms_control.log in the data directory",
        "PGLOG" => "the server's own log (log_directory of postgresql.conf)",
        "DSSLOG" | "DSSCMD" => "the logs of DSS ($DSS_HOME/log/run)",
        "PGSTART" => "what the postmaster says before its own log exists (pg_ctl -l, the journal)",
        "GPADMIN" => "the log of gpstart (~/gpAdminLogs on the coordinator)",
        "STARTUP" => "startup.log of the segment",
        "GPCSV" => "the newest gpdb-*.csv of the segment",
        "CONNECT" => "the answer to a connection",
        "CRSALERT" => "the alert log of the cluster",
        "OHASDTRC" => "the trace of ohasd",
        "OCSSDTRC" => "the trace of ocssd",
        "AGENTTRC" => "the traces of the agents",
        "ASMALERT" => "the alert log of ASM",
        "SDRLOG" => "the log of gs_sdr ($GAUSSLOG/om)",
        "STEPFILE" => "the step file ($PGHOST/streaming_cabin)",
        "OUTPUT" => "the output of the command",
        other => other,
    };
    name.to_owned()
}

fn wait(wait: WaitHelps) -> &'static str {
    match wait {
        WaitHelps::No => "waiting does not help",
        WaitHelps::MayPass => "it may pass when something outside changes",
        WaitHelps::Passes => "it passes by itself: keep waiting",
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
