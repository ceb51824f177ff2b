//! One entry of `steps`.
//!
//! Must not load other playbooks: a `play` is handed up as it stands.

use std::time::Duration;

use super::condition::{Test, condition, remarks, verdicts};
use super::exec_options;
use super::files;
use super::node::{Fields, Node, NodeKind, Text};
use super::problem::{Complaint, Position, any_of};
use super::scope::{Scope, Script};
use super::wait::{on_facts, wait};
use crate::plan::{Action, Check, Cleanup, Condition, Look, On, OnFailure, Share, Step};
use crate::text::did_you_mean;

/// What a step can do. `state` is an action where it stands alone.
pub(super) const ACTIONS: [&str; 13] =
    ["run", "probe", "remove", "touch", "write", "push", "pull", "wait", "state", "play", "check", "ping", "refuse"];
pub(super) const SETTINGS: [&str; 25] = [
    "name",
    "on",
    "when",
    "not_an_answer",
    "timeout",
    "retries",
    "idempotent",
    "serial",
    "max_fail",
    "on_failure",
    "cleanup",
    "state",
    "on_failure_state",
    "if_exists",
    "every_run",
    "about",
    "sudo",
    "env",
    "chdir",
    "shell",
    "stdin",
    "pty",
    "warn",
    "hint",
    "evidence",
];
const WRITE_MODE: u32 = 0o600;

/// What an entry of `steps` comes to.
#[derive(Debug)]
pub(super) enum StepItem {
    /// A step.
    Step { step: Box<Step>, at: Position },
    /// The steps of another playbook, under this name where it has one.
    Play { playbook: Text, name: Option<String> },
    /// Nothing: its condition can't hold in this run, or it is a wait of no time (`--wait 0`).
    Nothing,
}

/// Reads a step.
pub(super) fn step(scope: &Scope<'_>, node: &Node, default_timeout: Option<Duration>) -> Result<StepItem, Complaint> {
    let keys: Vec<&str> = SETTINGS.iter().chain(ACTIONS.iter().filter(|key| **key != "state")).copied().collect();
    let fields = node.fields("a step", &keys)?;
    let action_key = one_action(&fields)?;
    if action_key == "play" {
        return play(&fields);
    }
    let Some(name) = fields.text("name")? else {
        return Err(Complaint::new(fields.at, "a step has no `name`").hint("say in a few words what it does"));
    };
    let action = action(scope, &fields, action_key)?;
    if matches!(&action, Action::Wait(wait) if wait.timeout.is_zero()) {
        return Ok(StepItem::Nothing);
    }
    let mut step = Step::new(name.value.clone(), action);
    step.timeout = match scope.shortest(&fields, "timeout")? {
        Some(time) => Some(time).filter(|time| !time.is_zero()),
        // How long it takes is a question of size.
        None if matches!(step.action, Action::Push(_) | Action::Pull(_)) => None,
        None => default_timeout,
    };
    if let Some(text) = fields.text("on")? {
        step.on = on(&text)?;
    }
    step.retries = retries(&fields, &step.action)?;
    step.serial = fields.text("serial")?.map(|text| share(scope, &text, 1)).transpose()?;
    step.max_fail = fields.text("max_fail")?.map(|text| share(scope, &text, 0)).transpose()?;
    if let Some(node) = fields.get("on_failure") {
        step.on_failure = on_failure(scope, node)?;
    }
    if let Some(text) = fields.text("cleanup")? {
        step.cleanup = Some(word(&text, &[("remove", Cleanup::Remove)])?);
        if !matches!(step.action, Action::Touch { .. } | Action::Write { .. }) {
            return Err(Complaint::new(
                text.at,
                format!("`cleanup` beside `{action_key}`: there is no file to remove"),
            )
            .hint("`cleanup: remove` is for `touch` and `write`"));
        }
        if step.action.sudo().is_some() {
            let message = "`cleanup` beside `sudo`: the end of the run removes as the login user";
            return Err(Complaint::new(text.at, message).hint("remove it in a step of its own"));
        }
    }
    if action_key != "state" {
        step.state = fields.text("state")?.map(|text| state_name(&text)).transpose()?;
    }
    step.on_failure_state = fields.text("on_failure_state")?.map(|text| state_name(&text)).transpose()?;
    step.every_run = fields.flag("every_run")?.unwrap_or(false);
    if let Some(text) = fields.text("about")? {
        step.about_cluster = word(&text, &[("cluster", true)])?;
        if action_key != "wait" {
            let message = format!("`about` beside `{action_key}`, expected it beside `wait`");
            return Err(Complaint::new(text.at, message));
        }
    }
    check_companions(&fields, action_key)?;
    step.not_an_answer = not_an_answer(scope, &fields, &step)?;
    step.hint = scope.optional(&fields, "hint")?;
    step.evidence = fields.get("evidence").map(|node| scope.command(node, "`evidence`").map(Look::Run)).transpose()?;
    if let Some(node) = fields.get("when") {
        match condition(scope, node, "`when`")? {
            Test::Never => return Ok(StepItem::Nothing),
            Test::Where(when) if when.is_empty() => {}
            Test::Where(when) => step.when = Some(when),
        }
    }
    Ok(StepItem::Step { step: Box::new(step), at: name.at })
}

/// Refuses keys that stand beside an action that does not know them.
fn check_companions(fields: &Fields<'_>, action_key: &str) -> Result<(), Complaint> {
    let of_commands = exec_options::KEYS.map(|key| (key, "run"));
    let owners = [("refuse", "probe"), ("warn", "probe"), ("if_exists", "touch"), ("hint", "run"), ("evidence", "run")];
    for (key, owner) in owners.into_iter().chain(of_commands) {
        let owners: &[&str] = if key == "sudo" { &exec_options::WITH_SUDO } else { &[owner] };
        if let Some((key, _)) = fields.entry(key).filter(|_| !owners.contains(&action_key)) {
            let message =
                format!("`{}` beside `{action_key}`, expected it beside {}", key.value, any_of(owners.iter().copied()));
            return Err(Complaint::new(key.at, message));
        }
    }
    Ok(())
}

/// What counts as no answer of the one host that is asked for all.
fn not_an_answer(scope: &Scope<'_>, fields: &Fields<'_>, step: &Step) -> Result<Option<Condition>, Complaint> {
    let Some((key, node)) = fields.entry("not_an_answer") else { return Ok(None) };
    if step.on != On::Any || !matches!(step.action, Action::Probe { .. } | Action::Wait(_)) {
        return Err(Complaint::new(key.at, "`not_an_answer` on a step that does not ask one host for all")
            .hint("it is for a `probe` or a `wait` with `on: any`"));
    }
    match condition(scope, node, "`not_an_answer`")? {
        Test::Where(condition) if !condition.exists.is_empty() || !condition.missing.is_empty() => {
            Err(Complaint::new(node.at, "`not_an_answer` is about facts, not about files"))
        }
        Test::Never => Ok(None),
        Test::Where(condition) => Ok(Some(condition).filter(|condition| !condition.is_empty())),
    }
}

/// The action of a step: exactly one.
fn one_action(fields: &Fields<'_>) -> Result<&'static str, Complaint> {
    let actions = || ACTIONS.iter().filter(|key| !matches!(**key, "refuse" | "state"));
    let mut found = actions().filter_map(|action| fields.entry(action).map(|(key, _)| (*action, key)));
    match (found.next(), found.next()) {
        (Some((action, _)), None) => Ok(action),
        (None, _) if fields.get("state").is_some() => Ok("state"),
        (None, _) => Err(Complaint::new(
            fields.at,
            format!("a step without an action, expected {}", any_of(actions().copied().chain(["state"]))),
        )),
        (Some((first, one)), Some((second, two))) => {
            let at = if (one.at.line, one.at.column) > (two.at.line, two.at.column) { one.at } else { two.at };
            Err(Complaint::new(at, format!("`{first}` and `{second}` in one step")).hint("make it two steps"))
        }
    }
}

fn play(fields: &Fields<'_>) -> Result<StepItem, Complaint> {
    if let Some(key) = fields.keys().find(|key| !matches!(key.value.as_str(), "name" | "play")) {
        return Err(Complaint::new(key.at, format!("`{}` beside `play`, expected only `name`", key.value))
            .hint("set it on the steps of the other playbook"));
    }
    Ok(StepItem::Play { playbook: fields.need("play")?.text("`play`")?, name: fields.string("name")? })
}

fn action(scope: &Scope<'_>, fields: &Fields<'_>, key: &'static str) -> Result<Action, Complaint> {
    let node = fields.need(key)?;
    let what = format!("`{key}`");
    Ok(match key {
        "run" => match scope.script(node, &what)? {
            Some(Script { source, text, with, .. }) => {
                Action::Script { source, script: text, with, exec_options: exec_options::exec_options(scope, fields)? }
            }
            None => Action::Run {
                command: scope.command(node, &what)?,
                exec_options: exec_options::exec_options(scope, fields)?,
            },
        },
        "probe" => Action::Probe {
            probe: scope.probe(&node.text(&what)?)?,
            refuse: match fields.get("refuse") {
                Some(node) => on_facts(node, "`refuse`", verdicts(scope, node, "`refuse`", false)?)?,
                None => Vec::new(),
            },
            warn: fields.get("warn").map(|node| remarks(scope, node)).transpose()?.unwrap_or_default(),
        },
        "remove" => Action::Remove { paths: scope.paths(node, &what, true)?, sudo: exec_options::sudo(scope, fields)? },
        "touch" => Action::Touch {
            paths: scope.paths(node, &what, false)?,
            if_exists: fields.text("if_exists")?.map(|text| scope.path(&text, false)).transpose()?,
            sudo: exec_options::sudo(scope, fields)?,
        },
        "write" => write(scope, node)?,
        "wait" => Action::Wait(Box::new(wait(scope, node)?)),
        "state" => Action::State { name: state_name(&node.text(&what)?)? },
        "check" => Action::Check { checks: checks(node)? },
        "ping" => match fields.flag("ping")? {
            Some(true) | None => Action::Ping,
            Some(false) => return Err(node.wrong(&what, "`true`")),
        },
        "pull" => files::pull(scope, node, exec_options::sudo(scope, fields)?)?,
        _ => files::push(scope, node, exec_options::sudo(scope, fields)?)?,
    })
}

fn write(scope: &Scope<'_>, node: &Node) -> Result<Action, Complaint> {
    let fields = node.fields("`write`", &["path", "content", "mode"])?;
    let mode = match fields.text("mode")? {
        None => WRITE_MODE,
        Some(text) => files::mode(&text)?,
    };
    Ok(Action::Write {
        path: scope.path(&fields.need("path")?.text("`path`")?, false)?,
        content: scope.template(&fields.need("content")?.text("`content`")?)?,
        mode,
    })
}

fn checks(node: &Node) -> Result<Vec<Check>, Complaint> {
    const KEYS: [&str; 6] = ["process", "no_process", "command", "port", "file", "no_file"];
    let fields = node.fields("`check`", &KEYS)?;
    let mut checks = Vec::new();
    for key in fields.keys() {
        let Some(node) = fields.get(&key.value) else { continue };
        for text in node.texts(&format!("`{}`", key.value))? {
            let value = text.value.clone();
            checks.push(match key.value.as_str() {
                "process" | "no_process" => {
                    let (name, path) = match value.split_once('=') {
                        Some((name, path)) => (name.to_owned(), Some(path.to_owned())),
                        None => (value, None),
                    };
                    if key.value == "process" { Check::Process { name, path } } else { Check::NoProcess { name, path } }
                }
                "command" => Check::Command(value),
                "file" => Check::File(value),
                "no_file" => Check::NoFile(value),
                _ => match value.parse() {
                    Ok(port) if port > 0 => Check::Port(port),
                    _ => return Err(Complaint::new(text.at, format!("`{value}` is no port, expected 1 to 65535"))),
                },
            });
        }
    }
    if checks.is_empty() { Err(node.wrong("`check`", &any_of(KEYS))) } else { Ok(checks) }
}

fn retries(fields: &Fields<'_>, action: &Action) -> Result<u32, Complaint> {
    let says_so = fields.flag("idempotent")?.unwrap_or(false);
    let Some(text) = fields.text("retries")? else { return Ok(0) };
    let Ok(retries) = text.value.parse() else {
        return Err(Complaint::new(text.at, format!("`{}` is no number of retries", text.value)));
    };
    match action {
        Action::Run { .. } | Action::Script { .. } if !says_so && retries > 0 => {
            Err(Complaint::new(text.at, "`retries` on a command that may not be safe to run twice")
                .hint("add `idempotent: true` if it is"))
        }
        _ => Ok(retries),
    }
}

fn on(text: &Text) -> Result<On, Complaint> {
    let words: Vec<&str> = text.value.split_whitespace().collect();
    match words.as_slice() {
        ["all"] => Ok(On::All),
        ["any"] => Ok(On::Any),
        ["not", group] => Ok(On::NotGroup((*group).to_owned())),
        [group] if *group != "not" => Ok(On::Group((*group).to_owned())),
        _ => Err(Complaint::new(
            text.at,
            format!("`{}` is no selection of hosts, expected `all`, `any`, a group, or `not` and a group", text.value),
        )),
    }
}

pub(super) fn share(scope: &Scope<'_>, text: &Text, least: usize) -> Result<Share, Complaint> {
    let value = scope.now(text)?;
    let share = match value.strip_suffix('%') {
        Some(percent) => percent.parse().ok().filter(|p| *p <= 100 && usize::from(*p) >= least).map(Share::Percent),
        None => value.parse().ok().filter(|count| *count >= least).map(Share::Count),
    };
    share.ok_or_else(|| Complaint::new(text.at, format!("`{value}` is neither a number of hosts nor a percentage")))
}

fn state_name(text: &Text) -> Result<String, Complaint> {
    crate::plan::VarCheck::Name
        .check(&text.value)
        .map(|()| text.value.clone())
        .map_err(|expected| Complaint::new(text.at, format!("state `{}` must be {expected}", text.value)))
}

/// `stop`, `continue`, or `continue` where a condition on the variables of this run holds.
fn on_failure(scope: &Scope<'_>, node: &Node) -> Result<OnFailure, Complaint> {
    if let NodeKind::Map(_) = node.kind {
        let fields = node.fields("`on_failure`", &["continue"])?;
        return match condition(scope, fields.need("continue")?, "`continue`")? {
            Test::Never => Ok(OnFailure::Stop),
            Test::Where(when) if when.is_empty() => Ok(OnFailure::Continue),
            Test::Where(_) => Err(Complaint::new(node.at, "`on_failure` asks for a fact, expected a variable")),
        };
    }
    word(&node.text("`on_failure`")?, &[("stop", OnFailure::Stop), ("continue", OnFailure::Continue)])
}

fn word<T: Copy>(text: &Text, words: &[(&str, T)]) -> Result<T, Complaint> {
    let names = || words.iter().map(|(name, _)| *name);
    words.iter().find(|(name, _)| *name == text.value).map(|(_, value)| *value).ok_or_else(|| {
        Complaint::new(text.at, format!("`{}` is not expected here, expected {}", text.value, any_of(names())))
            .maybe_hint(did_you_mean(&text.value, names()))
    })
}
