//! Plans from playbooks: `start`, `stop`, `status`, `play`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};

use crate::cli::{Accept, AllowUnreachable, Diagnose, Play, Preflight, Promote, Restart, Start, Status, Stop, System};
use crate::plan::Plan;
use crate::plan::push::{Content, PushFile};
use crate::playbook::{Loader, Sources, builtin};

use super::environment::Environment;
use super::oneshot::OWN_TIMEOUT;
use crate::diagnostic::Diagnostic;

/// A playbook that was asked for, and its variables.
#[derive(Debug)]
pub(super) struct PlaybookRequest {
    /// Its name or file.
    pub(super) name: String,
    /// Variables from the command line.
    pub(super) given: IndexMap<String, String>,
}

impl PlaybookRequest {
    /// `start`.
    ///
    /// # Errors
    /// When there is no such system.
    pub(super) fn start(args: &Start) -> Result<Self, Diagnostic> {
        let mut asked = Self::system(&args.system, "start")?;
        asked.set("wait", args.wait.map(seconds));
        asked.set("accept", args.accept.map(|accept| cluster_state(accept).to_owned()));
        Ok(asked)
    }

    /// `stop`.
    ///
    /// # Errors
    /// When there is no such system.
    pub(super) fn stop(args: &Stop) -> Result<Self, Diagnostic> {
        let mut asked = Self::system(&args.system, "stop")?;
        asked.set("wait", args.wait.map(seconds));
        asked.set("mode", args.mode.map(|mode| mode.name().to_owned()));
        Ok(asked)
    }

    /// `restart`: all nodes at once, or in batches.
    ///
    /// # Errors
    /// When there is no such system, or it cannot be restarted in batches.
    pub(super) fn restart(args: &Restart, in_batches: bool) -> Result<Self, Diagnostic> {
        let mut asked = if in_batches {
            let rolling = Self::system(&args.system, "rolling-restart");
            let whole = Self::system(&args.system, "restart").is_ok();
            rolling.map_err(|unknown| if whole { never_rolling(&args.system.system) } else { unknown })?
        } else {
            Self::system(&args.system, "restart")?
        };
        if args.switchover && !in_batches {
            return Err(Diagnostic::usage("`--switchover` without `--serial`: all nodes are stopped at once")
                .hint("--serial 1 restarts one node after the other"));
        }
        asked.set("switchover", args.switchover.then(|| "yes".to_owned()));
        asked.set("wait", args.wait.map(seconds));
        asked.set("mode", args.mode.map(|mode| mode.name().to_owned()));
        asked.set("accept", args.accept.map(|accept| cluster_state(accept).to_owned()));
        Ok(asked)
    }

    /// `status`.
    ///
    /// # Errors
    /// When there is no such system.
    pub(super) fn status(args: &Status) -> Result<Self, Diagnostic> {
        Self::system(&args.system, "status")
    }

    /// `diagnose`.
    ///
    /// # Errors
    /// When there is no such system, or it has no chain that could be looked at.
    pub(super) fn diagnose(args: &Diagnose) -> Result<Self, Diagnostic> {
        Self::system(&args.system, "diagnose")
    }

    /// `promote`.
    ///
    /// # Errors
    /// When there is no such system, or it has no standby to promote.
    pub(super) fn promote(args: &Promote) -> Result<Self, Diagnostic> {
        let mut asked = Self::system(&args.system, "promote")?;
        asked.set("wait", args.wait.map(seconds));
        Ok(asked)
    }

    /// `play`.
    #[must_use]
    pub(super) fn play(args: &Play) -> Self {
        Self { name: args.playbook.clone().unwrap_or_default(), given: args.var.iter().cloned().collect() }
    }

    fn system(args: &System, verb: &str) -> Result<Self, Diagnostic> {
        if args.system.contains('/') {
            // A directory of the user's own.
            let file = Path::new(&args.system).join(format!("{verb}.yaml"));
            if !file.is_file() {
                return Err(Diagnostic::usage(format!("`--system {}`: there is no `{}`", args.system, file.display()))
                    .hint("a system of one's own is a directory with start.yaml, stop.yaml, status.yaml, ..."));
            }
            return Ok(Self { name: file.display().to_string(), given: args.var.iter().cloned().collect() });
        }
        let name = format!("{}/{verb}", args.system);
        if builtin::source(&name).is_none() {
            let systems: Vec<&str> =
                builtin::names().filter_map(|name| name.strip_suffix(verb)?.strip_suffix('/')).collect();
            return Err(Diagnostic::usage(format!("there is no `{verb}` for the system `{}`", args.system)).hint(
                format!(
                    "systems that have one: {}; `--system ./DIRECTORY` for playbooks of your own",
                    systems.join(", ")
                ),
            ));
        }
        Ok(Self { name, given: args.var.iter().cloned().collect() })
    }

    fn set(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.given.insert(name.to_owned(), value);
        }
    }

    /// Its name for the journal: a built-in's, or the path of the file from the root.
    #[must_use]
    pub(super) fn file(&self) -> String {
        if builtin::source(&self.name).is_some() {
            return self.name.clone();
        }
        let path = std::path::absolute(&self.name).unwrap_or_else(|_| PathBuf::from(&self.name));
        std::fs::canonicalize(&path).unwrap_or(path).display().to_string()
    }

    /// Loads it; gives its digest too.
    ///
    /// # Errors
    /// When the playbook is wrong or cannot be read.
    pub(super) fn load(
        &self,
        timeout: Option<Duration>,
        environment: &Environment,
    ) -> Result<(Plan, String), Diagnostic> {
        let files = Files::default();
        let loader = Loader {
            sources: &files,
            given: &self.given,
            env: &|name| environment.var(name).map(str::to_owned),
            step_timeout: timeout.or(Some(OWN_TIMEOUT)).filter(|limit| !limit.is_zero()),
        };
        let plan = loader.load(&self.name).map_err(|problem| Diagnostic::usage(problem.to_string()))?;
        Ok((plan, files.digest(&self.name)))
    }
}

/// What a preflight puts up with.
#[must_use]
pub(super) fn allowance(preflight: &Preflight) -> crate::runner::AllowUnreachable {
    match preflight.allow_unreachable {
        None => crate::runner::AllowUnreachable::Count(0),
        Some(AllowUnreachable::Count(count)) => crate::runner::AllowUnreachable::Count(count),
        Some(AllowUnreachable::Minority) => crate::runner::AllowUnreachable::Minority,
    }
}

fn never_rolling(system: &str) -> Diagnostic {
    Diagnostic::usage(format!("`{system}` cannot be restarted node by node"))
        .hint("without --serial and --canary all nodes are stopped, then started")
}

fn seconds(time: Duration) -> String {
    if time.is_zero() { "0".to_owned() } else { crate::duration::exact(time) }
}

fn cluster_state(accept: Accept) -> &'static str {
    match accept {
        Accept::Normal => "Normal",
        Accept::Degraded => "Degraded",
    }
}

/// Playbooks and scripts on this machine's disk; remembers what was read.
#[derive(Default)]
struct Files {
    read: RefCell<BTreeMap<String, String>>,
    /// What commands are to read.
    inputs: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Files {
    fn text(&self, name: &str) -> io::Result<String> {
        let text = text(Path::new(name))?;
        self.read.borrow_mut().insert(name.to_owned(), text.clone());
        Ok(text)
    }

    /// A digest of all that was read and of what is compiled in and used, so that a change of any of it is seen.
    fn digest(&self, name: &str) -> String {
        let read = self.read.borrow();
        let all: String = std::iter::once(name).chain(read.values().map(String::as_str)).collect::<Vec<_>>().join("\n");
        let compiled_in = builtin::used_by(&all);
        let mut digest = Sha256::new();
        // By their texts alone: a playbook that is only moved is the same.
        for text in read.values().map(String::as_str).chain(compiled_in.into_iter().map(|(_, text)| text)) {
            digest.update(text.len().to_be_bytes());
            digest.update(text);
        }
        for input in self.inputs.borrow().values() {
            digest.update(input.len().to_be_bytes());
            digest.update(input);
        }
        format!("sha256:{:x}", digest.finalize())
    }
}

impl Sources for Files {
    fn playbook(&self, name: &str) -> io::Result<String> {
        self.text(name)
    }

    fn script(&self, relative: &str) -> io::Result<String> {
        self.text(relative)
    }

    fn input(&self, relative: &str) -> io::Result<Vec<u8>> {
        let bytes = std::fs::read(relative)?;
        self.inputs.borrow_mut().insert(relative.to_owned(), bytes.clone());
        Ok(bytes)
    }

    fn copies(&self, relative: &str) -> Result<Vec<PushFile>, String> {
        let copies = super::copy::copies(Path::new(relative)).map_err(|diagnostic| diagnostic.to_string())?;
        // A run that goes on must bring the same files.
        let said = copies.iter().map(|copy| match &copy.content {
            Content::Dir => format!("{}/\n", copy.name),
            Content::File { sha256, .. } => format!("{} {sha256}\n", copy.name),
        });
        self.read.borrow_mut().insert(format!("{relative} (copied)"), said.collect());
        Ok(copies)
    }
}

fn text(path: &Path) -> io::Result<String> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
    }
    std::fs::read_to_string(path)
}
