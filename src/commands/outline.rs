//! What a playbook would do, step by step, in words: `--dry-run`, and with less `play --list-hosts`.
//!
//! What depends on the state of a node is said to: nobody was asked.

use std::fmt::Write as _;

use indexmap::{IndexMap, IndexSet};

use crate::duration::human;
use crate::inventory::hostset::fold;
use crate::plan::{
    Action, Block, Check, Cleanup, Condition, Look, On, OnFailure, Plan, Quorum, Share, Step, Template, Until, Vars,
    Wait,
};
use crate::runner::RunHost;

/// Columns before what is said about a step.
const INDENT: &str = "      ";
/// Characters of a command that are shown.
const LONGEST_COMMAND: usize = 100;

/// The whole playbook.
pub(super) fn outline(plan: &Plan, run_hosts: &[RunHost], serial: Option<Share>) -> String {
    let all: Vec<&RunHost> = run_hosts.iter().collect();
    let mut text = format!("{} on {}\n", plan.name, hosts(&all));
    for (id, step) in plan.steps.iter().enumerate() {
        if let Some(block) = plan.blocks.iter().find(|block| block.steps.start == id) {
            text += &batches(block, run_hosts.len());
        }
        let _ = writeln!(text, "{:>4}. {}", id + 1, step.name);
        let concerned = concerned(step, run_hosts);
        for line in about(plan, step, &concerned, serial) {
            let _ = writeln!(text, "{INDENT}{line}");
        }
    }
    text
}

/// The hosts that each step is for.
pub(super) fn host_lists(plan: &Plan, run_hosts: &[RunHost]) -> String {
    let mut text = String::new();
    for (id, step) in plan.steps.iter().enumerate() {
        let one = if step.on == On::Any { "one of " } else { "" };
        let _ = writeln!(text, "{:>4}. {}: {one}{}", id + 1, step.name, hosts(&concerned(step, run_hosts)));
    }
    text
}

fn concerned<'a>(step: &Step, run_hosts: &'a [RunHost]) -> Vec<&'a RunHost> {
    run_hosts.iter().filter(|run_host| step.on.includes(&run_host.groups)).collect()
}

/// `node[1-3] (3 hosts)`.
fn hosts(run_hosts: &[&RunHost]) -> String {
    let names: Vec<&str> = run_hosts.iter().map(|run_host| &*run_host.name).collect();
    match names.len() {
        0 => "no host".to_owned(),
        1 => names[0].to_owned(),
        count => format!("{} ({count} hosts)", fold(&names)),
    }
}

fn batches(block: &Block, count: usize) -> String {
    let mut text =
        format!("      steps {} to {} in batches of {}", block.steps.start + 1, block.steps.end, share(block.serial));
    if let Some(first) = block.first.filter(|&first| first < count) {
        let _ = write!(text, ", {first} first");
    }
    if let Some(last) = &block.last {
        let _ = write!(text, "; last of all where {}", condition(last, &Vars::default()));
    }
    let _ = writeln!(text, "; no further batch once more than {} failed", share(block.max_fail));
    text
}

fn share(share: Share) -> String {
    match share {
        Share::Count(count) => count.to_string(),
        Share::Percent(percent) => format!("{percent}%"),
    }
}

fn about(plan: &Plan, step: &Step, concerned: &[&RunHost], serial: Option<Share>) -> Vec<String> {
    let mut lines = Vec::new();
    let on = match step.on {
        On::Any => format!("on one of {}; on another one where that cannot be reached", hosts(concerned)),
        On::All | On::Group(_) | On::NotGroup(_) => format!("on {}", hosts(concerned)),
    };
    lines.push(on);
    let mut does: IndexMap<Vec<String>, Vec<&RunHost>> = IndexMap::new();
    for &run_host in concerned {
        does.entry(told(plan, step, &run_host.vars)).or_default().push(run_host);
    }
    for (told, run_hosts) in &does {
        let prefix = if does.len() > 1 { format!("{}: ", hosts(run_hosts)) } else { String::new() };
        lines.extend(told.iter().map(|line| format!("{prefix}{line}")));
    }
    if let Some(serial) = step.serial.or(serial).filter(|_| !matches!(step.action, Action::Wait(_))) {
        lines.push(format!("in batches of {}", share(serial)));
    }
    if step.retries > 0 {
        lines.push(format!("tried again {} times where it fails", step.retries));
    }
    if let Some(Cleanup::Remove) = step.cleanup {
        lines.push("what it makes is removed at the end".to_owned());
    }
    if step.on_failure == OnFailure::Continue {
        lines.push("where it fails, the others go on".to_owned());
    }
    lines
}

/// What a step does on a host, and what that depends on.
fn told(plan: &Plan, step: &Step, vars: &Vars) -> Vec<String> {
    let mut first = action(plan, &step.action, vars);
    if let Some(user) = step.action.sudo() {
        first.push_str(&format!(", through sudo as {}", user.render_plain(vars)));
    }
    let mut lines = vec![first];
    if let Some(when) = &step.when {
        lines.push(format!("only where {}: known only at the node", condition(when, vars)));
    }
    if let Some(no_answer) = &step.not_an_answer {
        lines.push(format!("another host is asked where {}", condition(no_answer, vars)));
    }
    match &step.action {
        Action::Touch { if_exists: Some(path), .. } => {
            lines.push(format!("only where {} is there: known only at the node", path.render_plain(vars)));
        }
        Action::Probe { refuse, .. } => {
            lines.extend(refuse.iter().map(|rule| {
                format!("refuses where {}: {}", condition(&rule.when, vars), rule.because.render_plain(vars))
            }));
        }
        Action::Wait(wait) => lines.extend(wait.give_up.iter().map(|rule| {
            format!("gives up where {}: {}", condition(&rule.when, vars), rule.because.render_plain(vars))
        })),
        _ => {}
    }
    lines
}

fn action(plan: &Plan, action: &Action, vars: &Vars) -> String {
    match action {
        Action::Ping => "log in".to_owned(),
        Action::Push(push) => {
            let names: Vec<&str> = push.copies.iter().map(|copy| copy.name.as_str()).collect();
            let owner = push.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
            format!("push {} to {}{owner}", names.join(", "), push.dest.render_plain(vars))
        }
        Action::Pull(pull) => {
            let sources = pull.sources(vars).unwrap_or_default();
            let paths: Vec<String> = sources.into_iter().map(|source| source.path).collect();
            format!("pull {} to {}", paths.join(", "), pull.dir(vars))
        }
        Action::Run { command, .. } => format!("run `{}`", first_line(&command.render_shell(vars))),
        Action::Script { source, .. } => format!("run the script {source}"),
        Action::Probe { probe, .. } => {
            let source = plan.probes.get(probe).map_or(probe.as_str(), |probe| probe.source.as_str());
            format!("look with {source}")
        }
        Action::Check { checks } => format!("check {}", checks.iter().map(check).collect::<Vec<_>>().join(", ")),
        Action::Remove { paths, .. } => format!("remove {}", plain(paths, vars)),
        Action::Touch { paths, .. } => format!("touch {}", plain(paths, vars)),
        Action::Write { path, content, mode } => {
            let bytes = content.render_plain(vars).len();
            format!("write {} ({bytes} bytes, mode {mode:04o})", path.render_plain(vars))
        }
        Action::Wait(wait) => waits(plan, wait, vars),
        Action::State { name } => format!("name the state `{name}`"),
    }
}

fn waits(plan: &Plan, wait: &Wait, vars: &Vars) -> String {
    let until = match &wait.until {
        Until::Chain => {
            let stages: Vec<&str> = plan.chain.iter().map(|stage| stage.name.as_str()).collect();
            let who = match wait.quorum {
                Quorum::All => "all".to_owned(),
                Quorum::Majority => "most".to_owned(),
                Quorum::Count(count) => format!("{count} of them"),
                Quorum::Percent(percent) => format!("{percent}% of them"),
                Quorum::Any => "one of them".to_owned(),
            };
            let verb = if matches!(wait.quorum, Quorum::Any | Quorum::Count(1)) { "is" } else { "are" };
            format!("{who} {verb} {}: {}", plan.end_word(), stages.join(", "))
        }
        Until::Condition(until) => condition(until, vars),
        Until::Checks => "all checks hold".to_owned(),
    };
    let look = match &wait.look {
        Look::Probe(probe) => {
            plan.probes.get(probe).map_or_else(String::new, |probe| format!(" with {}", probe.source))
        }
        Look::Run(command) => format!(" with `{}`", first_line(&command.render_shell(vars))),
        Look::Checks { .. } => String::new(),
    };
    format!("wait until {until}; for up to {}, looking each {}{look}", human(wait.timeout), human(wait.every))
}

/// `fact state is paused and /tmp/x is there`.
fn condition(condition: &Condition, vars: &Vars) -> String {
    let words = |values: &[Template]| {
        let values: IndexSet<String> = values.iter().map(|value| value.render_plain(vars)).collect();
        let shown = |value: &String| if value.is_empty() { "empty".to_owned() } else { value.clone() };
        values.iter().map(shown).collect::<Vec<_>>().join(" or ")
    };
    let facts = condition.facts.iter().map(|(fact, is)| format!("fact {fact} is {}", words(is)));
    let not = condition.not.iter().map(|(fact, not)| format!("fact {fact} is not {}", words(not)));
    let there = condition.exists.iter().map(|path| format!("{} is there", path.render_plain(vars)));
    let missing = condition.missing.iter().map(|path| format!("{} is not there", path.render_plain(vars)));
    facts.chain(not).chain(there).chain(missing).collect::<Vec<_>>().join(" and ")
}

fn check(check: &Check) -> String {
    match check {
        Check::Process { name, path: None } => format!("process {name}"),
        Check::Process { name, path: Some(path) } => format!("process {name} of {path}"),
        Check::NoProcess { name, path: None } => format!("no process {name}"),
        Check::NoProcess { name, path: Some(path) } => format!("no process {name} of {path}"),
        Check::Command(command) => format!("`{}`", first_line(command)),
        Check::Port(port) => format!("port {port}"),
        Check::File(path) => format!("file {path}"),
        Check::NoFile(path) => format!("no file {path}"),
    }
}

fn plain(paths: &[Template], vars: &Vars) -> String {
    paths.iter().map(|path| path.render_plain(vars)).collect::<Vec<_>>().join(", ")
}

/// The beginning of a command: what is longer is there with `-v`.
fn first_line(command: &str) -> String {
    let line = command.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(LONGEST_COMMAND).collect();
    if short.len() < command.trim().len() { format!("{short} ...") } else { short }
}
