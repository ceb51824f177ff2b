//! What the words of the shell do: `:push` and `:pull`, `:hosts`, `:status` and their like.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use super::line::WORDS;
use super::{Session, folded, hosts, say};
use crate::cli::{self, Cli, Command, HostOptions};
use crate::commands::copy;
use crate::commands::oneshot;
use crate::commands::selection;
use crate::diagnostic::Diagnostic;
use crate::duration::human;
use crate::exit::ExitStatus;
use crate::inventory::host::Host;
use crate::inventory::hostset::fold;
use crate::reporter::{CommandKind, plural};

impl Session<'_> {
    /// `:push` and `:pull`, as the commands of that name.
    pub(super) fn copy(&mut self, words: Vec<String>) -> anyhow::Result<ExitStatus> {
        let words: Vec<_> = std::iter::once("gsctl".to_owned()).chain(words).map(Into::into).collect();
        let Cli { command, options } = match cli::parse(&words, &[]) {
            Ok(cli) => cli,
            Err(error) => {
                let text = error.to_string();
                return Err(Diagnostic::usage(text.trim_start_matches("error: ").trim_end()).into());
            }
        };
        let limit = options.run.timeout.or(self.options.run.timeout);
        let plan = match command {
            Command::Push(args) if args.privilege.sudo.is_none() => copy::push(&args, options.output.diff, limit)?,
            Command::Pull(args) if args.privilege.sudo.is_none() => copy::pull(&args, limit)?,
            _ => {
                return Err(Diagnostic::usage("`--sudo`: not in the shell").hint("`gsctl push --sudo` does it").into());
            }
        };
        let hosts = self.there();
        self.run_on(hosts, plan, CommandKind::Changes)
    }

    pub(super) fn reconnect(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let lost = self.kept.lost();
        let hosts: Vec<Arc<Host>> = self.chosen.iter().filter(|host| lost.contains(&&*host.name)).cloned().collect();
        if hosts.is_empty() {
            say("no chosen host was lost");
            return Ok(None);
        }
        self.run_on(hosts, oneshot::ping(), CommandKind::Ping).map(Some)
    }

    pub(super) fn choose(&mut self, set: String) -> anyhow::Result<()> {
        let options = HostOptions { hosts: vec![set], ..HostOptions::default() };
        let found = selection::choose(self.inventory.clone(), self.all.files.clone(), &options, self.environment)?;
        let (here, others): (Vec<Arc<Host>>, Vec<Arc<Host>>) =
            found.hosts.into_iter().partition(|host| self.kept.has(&host.name));
        if here.is_empty() {
            let names = folded(&others);
            return Err(Diagnostic::usage(format!("`{names}` is not among the hosts of this shell"))
                .hint(format!("they are {}", hosts(&self.all.hosts)))
                .into());
        }
        if !others.is_empty() {
            say(&format!("warning: not among the hosts of this shell: {}", folded(&others)));
        }
        // As they were when they were logged in to.
        let is_here = |host: &&Arc<Host>| here.iter().any(|chosen| chosen.name == host.name);
        self.chosen = self.all.hosts.iter().filter(is_here).cloned().collect();
        if !self.has_terminal {
            return Ok(());
        }
        say(&hosts(&self.chosen));
        Ok(())
    }

    pub(super) fn show(&mut self, gathered: bool) {
        let output = &mut self.options.output;
        (output.gather, output.stream) = (gathered, !gathered);
        (output.diff, output.quiet_hosts, output.tail) = (false, false, None);
    }

    pub(super) fn timeout(&self) -> String {
        match self.options.run.timeout {
            Some(limit) if !limit.is_zero() => format!("timeout {}", human(limit)),
            _ => "no timeout".to_owned(),
        }
    }

    pub(super) fn status(&mut self) {
        let there = self.there();
        let lost: Vec<String> = self.kept.lost().into_iter().map(str::to_owned).collect();
        say(&format!("chosen: {}", hosts(&self.chosen)));
        say(&format!("there: {}", if there.is_empty() { "none".to_owned() } else { hosts(&there) }));
        if !lost.is_empty() {
            let names: Vec<&str> = lost.iter().map(String::as_str).collect();
            say(&format!("lost: {} ({})", fold(&names), plural::hosts(names.len())));
        }
        if let Some(last) = self.last {
            say(&format!("last line: {} ({})", last.code(), last.name()));
        }
        let timeout = self.timeout();
        say(&timeout);
    }

    pub(super) fn save(&self, file: &str) -> anyhow::Result<()> {
        let Some(report) = &self.kept.last else {
            return Err(Diagnostic::usage("no line was run yet").into());
        };
        let path = self.environment.path(file);
        let written = (|| {
            let mut out = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&path)?;
            for host in &report.hosts {
                writeln!(out, "== {} ==", host.host)?;
                host.stdout.copy_to(&mut out)?;
                host.stderr.copy_to(&mut out)?;
                if let Some(failure) = &host.failure {
                    writeln!(out, "-- {}: {}", failure.phase.words(), failure.cause)?;
                }
            }
            out.flush()
        })();
        written.map_err(|error: io::Error| {
            let wrong = Diagnostic::usage(format!("`{file}`: {error}"));
            let exists = error.kind() == io::ErrorKind::AlreadyExists;
            if exists { wrong.hint("name a file that is not there yet") } else { wrong }
        })?;
        Ok(())
    }
}

pub(super) fn help() {
    for (word, what, does) in WORDS {
        say(&format!("{:22} {does}", format!("{word} {what}")));
    }
    say("everything else is a command for the hosts, each line in a shell of its own there");
}
