//! Variables of a plan: what they may be, and what they are on each host.
//!
//! Must not read the environment or a file: values are handed in.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::duration;
use crate::shared::ByName;

/// Variables that every host has, whatever the playbook says: the runner puts them in.
pub const BUILTIN: [&str; 5] = ["host", "address", "user", "port", "groups"];

/// What a variable may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VarSpec {
    /// Its value where nothing else gives one.
    pub default: Option<String>,
    /// The environment variable of the machine gsctl runs on that gives its value.
    pub env: Option<String>,
    /// What a value must be.
    pub check: VarCheck,
    /// What it is for.
    pub help: Option<String>,
    /// Whether a missing value is an error. If not, a missing value is empty.
    pub required: bool,
    /// Whether the playbook needs its value before there is a host (a timeout, say). Then hosts can't differ in it.
    pub run_wide: bool,
    /// Its value on every host once a preflight has let the run go on without some hosts, whatever else gave one.
    pub when_missing: Option<String>,
    /// Where nothing gives it a value, a probe may: its fact `found_NAME`, on the host where it was found. Until then it has none.
    pub found: bool,
}

/// How a value is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum VarCheck {
    /// Anything.
    #[default]
    Any,
    /// A path from the root, without `..`.
    AbsPath,
    /// A whole number, perhaps negative.
    Int,
    /// A name: letters, digits, `_`, `-`, `.`, and no `-` or `.` in front.
    Name,
    /// One of these.
    OneOf(Vec<String>),
    /// `true` or `false`.
    Bool,
    /// A time, as in `90`, `90s`, `5m`, `1h30m`.
    Duration,
}

impl VarCheck {
    /// Whether a value is what it must be; if not, what it must be, as in "must be ...".
    ///
    /// # Errors
    ///
    /// Says what is expected.
    pub fn check(&self, value: &str) -> Result<(), String> {
        if value.contains('\0') {
            return Err("text without a zero byte".to_owned());
        }
        let (ok, expected) = match self {
            Self::Any => (true, ""),
            Self::AbsPath => (
                value.starts_with('/') && !value.split('/').any(|part| part == "..") && !value.contains('\n'),
                "a path that begins with `/`, without `..`",
            ),
            Self::Int => (value.parse::<i64>().is_ok(), "a whole number"),
            Self::Name => (is_plain_name(value), "a name of letters, digits, `_`, `-` and `.`"),
            Self::OneOf(values) => {
                return if values.iter().any(|one| one == value) { Ok(()) } else { Err(one_of(values)) };
            }
            Self::Bool => (matches!(value, "true" | "false"), "`true` or `false`"),
            Self::Duration => (duration::parse(value).is_ok(), "a time such as `90s`, `5m` or `1h30m`, at most `365d`"),
        };
        if ok { Ok(()) } else { Err(expected.to_owned()) }
    }
}

/// Values of variables on one host, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars(ByName<Arc<str>>);

impl Vars {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    /// Sets a variable.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) {
        self.0.insert(name, value.into());
    }

    /// Shares with another host's variables, where those have the same order, what is the same in both.
    pub fn share(&mut self, others: &Self) {
        self.0.share(&others.0);
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<K: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(K, V)> for Vars {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut vars = Self::default();
        pairs.into_iter().for_each(|(name, value)| vars.insert(name, value));
        vars
    }
}

/// Where a value came from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VarOrigin {
    /// `--var`, or an option that stands for a variable.
    CommandLine,
    /// The hosts file.
    Host,
    /// An environment variable of this name.
    Env(String),
    /// The playbook.
    Default,
}

impl fmt::Display for VarOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Host => f.write_str("hosts file"),
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::Default => f.write_str("playbook's default"),
        }
    }
}

/// Why variables can't be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VarError {
    /// No value where there must be one.
    #[error("variable `{name}` has no value{}", help.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Missing {
        /// The variable.
        name: String,
        /// What it is for.
        help: Option<String>,
        /// The environment variable that would give it.
        env: Option<String>,
    },
    /// A value that isn't what it must be.
    #[error("variable `{name}` is `{value}` ({origin}), must be {expected}")]
    Invalid {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// Who says so.
        origin: VarOrigin,
        /// What it must be.
        expected: String,
    },
    /// A host's own value for what is the same on all hosts.
    #[error("variable `{name}` holds for the whole run, so the hosts file can't set it")]
    RunWide {
        /// The variable.
        name: String,
    },
    /// A value for a variable that isn't there.
    #[error("there is no variable `{name}`")]
    Unknown {
        /// What was given.
        name: String,
        /// The variables that there are.
        known: Vec<String>,
    },
}

impl VarError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { name, env, .. } => {
                let env = env.as_ref().map(|env| format!(", or the environment variable `{env}`")).unwrap_or_default();
                Some(format!("give it with `--var {name}=VALUE`, `{name}=VALUE` in the hosts file{env}"))
            }
            Self::Invalid { .. } => None,
            Self::RunWide { name } => Some(format!("give it with `--var {name}=VALUE`")),
            Self::Unknown { known, .. } if known.is_empty() => Some("this playbook has no variables".to_owned()),
            Self::Unknown { known, .. } => Some(format!("variables of this playbook: {}", known.join(", "))),
        }
    }
}

/// The values of all variables on one host. Strongest first: command line, hosts file, environment, default.
///
/// # Errors
///
/// A required variable without a value, or a value that fails its check.
pub fn resolve<'h>(
    specs: &IndexMap<String, VarSpec>,
    command_line: &IndexMap<String, String>,
    host: impl Fn(&str) -> Option<&'h str>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Vars, VarError> {
    let mut vars = Vars::default();
    for (name, spec) in specs {
        if spec.run_wide && host(name).is_some() && !command_line.contains_key(name) {
            return Err(VarError::RunWide { name: name.clone() });
        }
        let value = resolve_one(name, spec, command_line, &host, &env)?;
        // Without a value a path that it begins is no path, so nothing can be done to a wrong one.
        if !(spec.found && value.is_empty()) {
            vars.insert(name.as_str(), value);
        }
    }
    Ok(vars)
}

/// The value of one variable. See [`resolve`].
pub(crate) fn resolve_one<'h>(
    name: &str,
    spec: &VarSpec,
    command_line: &IndexMap<String, String>,
    host: impl Fn(&str) -> Option<&'h str>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<String, VarError> {
    let from_env = || {
        let variable = spec.env.as_ref()?;
        // An empty environment variable is as good as none.
        let value = env(variable).filter(|value| !value.is_empty())?;
        Some((value, VarOrigin::Env(variable.clone())))
    };
    let found = command_line
        .get(name)
        .map(|value| (value.clone(), VarOrigin::CommandLine))
        .or_else(|| host(name).map(|value| (value.to_owned(), VarOrigin::Host)))
        .or_else(from_env)
        .or_else(|| spec.default.clone().map(|value| (value, VarOrigin::Default)));
    let (value, origin) = match found {
        Some(found) => found,
        None if spec.required => {
            return Err(VarError::Missing { name: name.to_owned(), help: spec.help.clone(), env: spec.env.clone() });
        }
        None => return Ok(String::new()),
    };
    if value.is_empty() && !spec.required {
        return Ok(value);
    }
    match spec.check.check(&value) {
        Ok(()) => Ok(value),
        Err(expected) => Err(VarError::Invalid { name: name.to_owned(), value, origin, expected }),
    }
}

/// Whether everything given on the command line is a variable of the plan.
///
/// # Errors
///
/// Names the first that isn't.
pub fn check_names<'a>(
    specs: &IndexMap<String, VarSpec>,
    given: impl IntoIterator<Item = &'a str>,
) -> Result<(), VarError> {
    match given.into_iter().find(|name| !specs.contains_key(*name)) {
        Some(name) => Err(VarError::Unknown { name: name.to_owned(), known: specs.keys().cloned().collect() }),
        None => Ok(()),
    }
}

fn one_of(values: &[String]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
    match quoted.as_slice() {
        [] => "one of none".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn is_plain_name(value: &str) -> bool {
    !value.is_empty()
        && !value.starts_with(['-', '.'])
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks() {
        let one_of = || VarCheck::OneOf(vec!["Normal".into(), "Degraded".into()]);
        for (check, value, ok) in [
            (VarCheck::Any, "", true),
            (VarCheck::Any, "a\0b", false),
            (VarCheck::AbsPath, "/opt/a b", true),
            (VarCheck::AbsPath, "opt", false),
            (VarCheck::AbsPath, "/opt/../etc", false),
            (VarCheck::AbsPath, "/opt\n", false),
            (VarCheck::Int, "-3", true),
            (VarCheck::Int, "3s", false),
            (VarCheck::Name, "node-1.a_b", true),
            (VarCheck::Name, "-rf", false),
            (VarCheck::Name, "a b", false),
            (one_of(), "Normal", true),
            (one_of(), "normal", false),
            (VarCheck::Bool, "true", true),
            (VarCheck::Bool, "yes", false),
            (VarCheck::Duration, "5m", true),
            (VarCheck::Duration, "5 minutes", false),
            (VarCheck::Duration, "10min", true),
            (VarCheck::Duration, "366d", false),
            // A deadline so far away would be no point in time.
            (VarCheck::Duration, "18446744073709551615", false),
        ] {
            assert_eq!(check.check(value).is_ok(), ok, "{check:?} {value:?}");
        }
        assert_eq!(one_of().check("x"), Err("`Normal` or `Degraded`".into()));
    }

    fn specs() -> IndexMap<String, VarSpec> {
        let spec = VarSpec { env: Some("X".into()), check: VarCheck::Int, required: true, ..VarSpec::default() };
        IndexMap::from([("x".to_owned(), spec)])
    }

    #[test]
    fn the_strongest_wins() {
        for (line, host, env, default, want) in [
            (Some("1"), Some("2"), Some("3"), Some("4"), "1"),
            (None, Some("2"), Some("3"), Some("4"), "2"),
            (None, None, Some("3"), Some("4"), "3"),
            (None, None, Some(""), Some("4"), "4"),
            (None, None, None, Some("4"), "4"),
        ] {
            let mut specs = specs();
            specs["x"].default = default.map(str::to_owned);
            let line = line.map(|value| ("x".to_owned(), value.to_owned())).into_iter().collect();
            let vars = resolve(&specs, &line, |_| host, |_| env.map(str::to_owned)).expect("resolves");
            assert_eq!(vars.get("x"), Some(want));
        }
    }

    #[test]
    fn told_what_is_missing() {
        let error = resolve(&specs(), &IndexMap::new(), |_| None, |_| None).expect_err("missing");
        assert_eq!(error.to_string(), "variable `x` has no value");
        assert_eq!(
            error.hint().as_deref(),
            Some("give it with `--var x=VALUE`, `x=VALUE` in the hosts file, or the environment variable `X`")
        );
        let error = resolve(&specs(), &IndexMap::new(), |_| Some("y"), |_| None).expect_err("wrong");
        assert_eq!(error.to_string(), "variable `x` is `y` (hosts file), must be a whole number");
    }

    #[test]
    fn optional_and_run_wide() {
        let mut specs = specs();
        specs["x"].required = false;
        let vars = resolve(&specs, &IndexMap::new(), |_| None, |_| None).expect("resolves");
        assert_eq!(vars.get("x"), Some(""));
        specs["x"].run_wide = true;
        let error = resolve(&specs, &IndexMap::new(), |_| Some("1"), |_| None).expect_err("run wide");
        assert_eq!(error, VarError::RunWide { name: "x".into() });
        assert!(check_names(&specs, ["x"]).is_ok());
        assert_eq!(check_names(&specs, ["y"]).expect_err("unknown").to_string(), "there is no variable `y`");
    }
}
