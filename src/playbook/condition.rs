//! `when`, `until`, `refuse` and `give_up`: conditions and what they mean.
//!
//! Must not look at a host. Conditions on variables are decided here, for the whole run.

use std::time::Duration;

use super::node::{Node, Text};
use super::problem::{Complaint, any_of};
use super::scope::Scope;
use crate::duration;
use crate::plan::{Condition, Remark, Rule, Template};
use crate::text::did_you_mean;

pub(super) const KEYS: [&str; 8] = ["fact", "state", "var", "is", "not", "below", "exists", "missing"];
/// Keys of an entry of `warn`.
pub(super) const REMARK_KEYS: [&str; 4] = ["when", "hosts_missing", "because", "hint"];

/// What is left of a condition once the variables in it are known.
#[derive(Debug)]
pub(super) enum Test {
    /// Can't hold in this run.
    Never,
    /// Holds where this does.
    Where(Condition),
}

/// A condition: one mapping, or a list of which all must hold.
pub(super) fn condition(scope: &Scope<'_>, node: &Node, what: &str) -> Result<Test, Complaint> {
    let mut all = Condition::default();
    let mut never = false;
    let nodes = node.one_or_many();
    if nodes.is_empty() {
        return Err(node.wrong(what, "a condition such as `{ fact: NAME, is: VALUE }`"));
    }
    for node in nodes {
        never |= !add(scope, node, what, &mut all)?;
    }
    Ok(if never { Test::Never } else { Test::Where(all) })
}

/// Adds the tests of one mapping. False where one of them can't hold.
fn add(scope: &Scope<'_>, node: &Node, what: &str, all: &mut Condition) -> Result<bool, Complaint> {
    let fields = node.fields(what, &KEYS)?;
    let values = |key: &str| -> Result<Option<Vec<Text>>, Complaint> {
        fields.get(key).map(|node| node.texts(&format!("`{key}`"))).transpose()
    };
    let templates =
        |texts: Vec<Text>| texts.iter().map(|text| scope.template(text)).collect::<Result<Vec<Template>, _>>();
    let (is, not) = (values("is")?, values("not")?);
    let mut holds = true;
    match (fields.text("fact")?, fields.text("var")?) {
        (Some(fact), None) => {
            let fact = scope.fact(&fact)?;
            match (is, not) {
                (Some(is), None) => all.facts.push((fact, templates(is)?)),
                (None, Some(not)) => all.not.push((fact, templates(not)?)),
                _ => return Err(Complaint::new(fields.at, "`fact` takes either `is` or `not`")),
            }
        }
        (None, Some(var)) => {
            let value = known(scope, &var)?;
            let any = |texts: Vec<Text>| -> Result<bool, Complaint> {
                texts.iter().try_fold(false, |any, text| Ok(any | (scope.now(text)? == value)))
            };
            holds = match (is, not, fields.text("below")?) {
                (Some(is), None, None) => any(is)?,
                (None, Some(not), None) => !any(not)?,
                (None, None, Some(below)) => is_below(scope, &value, &below)?,
                _ => return Err(Complaint::new(fields.at, "`var` takes one of `is`, `not` and `below`")),
            };
        }
        (Some(_), Some(var)) => {
            return Err(Complaint::new(var.at, "`fact` and `var` in one condition").hint("make it a list of two"));
        }
        (None, None) => {
            if let Some((key, _)) = fields.entry("is").or_else(|| fields.entry("not")) {
                return Err(Complaint::new(key.at, format!("`{}` without a `fact` or `var`", key.value)));
            }
        }
    }
    if let Some(states) = values("state")? {
        all.facts.push(("state".to_owned(), templates(states)?));
    }
    if let Some(node) = fields.get("exists") {
        all.exists.extend(scope.paths(node, "`exists`", false)?);
    }
    if let Some(node) = fields.get("missing") {
        all.missing.extend(scope.paths(node, "`missing`", false)?);
    }
    if fields.keys().next().is_none() {
        return Err(Complaint::new(fields.at, format!("{what} is empty, expected {}", any_of(KEYS))));
    }
    Ok(holds)
}

/// Whether a time is shorter than another one. No time at all is not a short one: nothing is waited for.
fn is_below(scope: &Scope<'_>, value: &str, limit: &Text) -> Result<bool, Complaint> {
    let limit_text = scope.now(limit)?;
    let Ok(wanted) = duration::parse(&limit_text) else {
        return Err(Complaint::new(limit.at, format!("`{limit_text}` is no time such as `90s`")));
    };
    Ok(duration::parse(value).is_ok_and(|value| !value.is_zero() && value < wanted))
}

/// What is said once every host was looked at. Remarks that can't apply are left out.
pub(super) fn remarks(scope: &Scope<'_>, node: &Node) -> Result<Vec<Remark>, Complaint> {
    let mut remarks = Vec::new();
    for node in node.list("`warn`")? {
        let fields = node.fields("an entry of `warn`", &REMARK_KEYS)?;
        let when = match fields.get("when") {
            Some(node) => condition(scope, node, "`when`")?,
            None => Test::Where(Condition::default()),
        };
        let because = scope.template(&fields.need("because")?.text("`because`")?)?;
        let hint = scope.optional(&fields, "hint")?;
        let hosts_missing = fields.flag("hosts_missing")?.unwrap_or(false);
        match when {
            Test::Never => {}
            Test::Where(when) if !when.exists.is_empty() || !when.missing.is_empty() => {
                return Err(Complaint::new(fields.at, "an entry of `warn` tests a file, expected facts"));
            }
            Test::Where(when) => remarks.push(Remark { when, hosts_missing, because, hint }),
        }
    }
    Ok(remarks)
}

fn known(scope: &Scope<'_>, var: &Text) -> Result<String, Complaint> {
    if scope.vars.contains_key(&var.value) {
        return scope.value(&var.value, var, 0);
    }
    let names = scope.vars.keys().map(String::as_str);
    Err(Complaint::new(var.at, format!("undefined variable `{}`", var.value))
        .maybe_hint(did_you_mean(&var.value, names)))
}

/// A list of conditions and what each means. Those that can't hold are left out.
pub(super) fn verdicts(scope: &Scope<'_>, node: &Node, what: &str, waits: bool) -> Result<Vec<Rule>, Complaint> {
    let keys: &[&str] = if waits { &["when", "because", "hint", "after"] } else { &["when", "because", "hint"] };
    let mut verdicts = Vec::new();
    let entry = format!("an entry of {what}");
    for node in node.list(what)? {
        let fields = node.fields(&entry, keys).map_err(|complaint| {
            if !waits && complaint.message.starts_with("unknown key `after`") {
                return complaint.hint("`after` is for `give_up` of a `wait`");
            }
            complaint
        })?;
        let when = condition(scope, fields.need("when")?, "`when`")?;
        let because = scope.words(&fields.need("because")?.text("`because`")?)?;
        let hint = scope.optional(&fields, "hint")?;
        let after = scope.time(&fields, "after")?.unwrap_or(Duration::ZERO);
        if let Test::Where(when) = when {
            verdicts.push(Rule { when, because, hint, after });
        }
    }
    Ok(verdicts)
}
