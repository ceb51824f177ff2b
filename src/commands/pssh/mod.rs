//! `gsctl pssh` and its siblings: their command lines made into a run of gsctl's own.

mod copies;
mod extra;
mod hosts;
mod rsync;

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Options;
use crate::cli::pssh::{Called, Common, Dialect, Prsync, Pssh, unsaid};
use crate::inventory::host::{Host, Origin};
use crate::plan::{Action, ExecOptions, OnFailure, Plan, Step, Template, Vars};
use crate::reporter::harmless::Harmless;
use crate::reporter::pssh::{PsshFormat, PsshLines};
use crate::reporter::{Hurry, ReportQueue};
use crate::runner::{AllowUnreachable, NoRunLog, RunHost, RunSettings};
use crate::transport::Target;

use super::Environment;
use super::fleet::carry_out;
use super::names;
use super::push_record::PushRecord;
use super::selection::Selected;
use super::signals;
use super::standard_stream::{StandardStream, Which};
use super::written::written;
use super::{limits, passwords, targets};
use crate::diagnostic::Diagnostic;
use hosts::Entry;

/// Hosts at once, by default.
const PAR: u32 = 32;

/// What pssh itself says where an old variable is set.
const PSSH_HOSTS: &str = "\
Warning: the PSSH_HOSTS environment variable is deprecated.  Please
use the \"-h\" option instead, and consider creating aliases for
convenience.  For example:
    alias pssh_abc='pssh -h /path/to/hosts_abc'
";

/// Hosts as pssh knows them, and their names in its lines.
struct PsshHosts {
    entries: Vec<Entry>,
    names: Vec<String>,
}

/// Does what the command line says; gives back the exit status of pssh, or of the sibling that was called.
///
/// # Errors
/// A [`Diagnostic`] when something is wrong before anything was contacted; any other error is gsctl's own.
pub fn pssh(called: &Called, environment: &Environment) -> anyhow::Result<u8> {
    let common = called.common();
    if let Called::Pssh(Pssh { print_shim: true, .. }) = called {
        io::stdout().write_all(shim()?.as_bytes())?;
        return Ok(0);
    }
    check(called, environment)?;
    let opengauss = matches!(called, Called::Pssh(args) if args.dialect == Dialect::Opengauss);
    let pssh_hosts = match pssh_hosts(common, opengauss, environment)? {
        Ok(pssh_hosts) => pssh_hosts,
        Err(status) => return Ok(status),
    };
    if pssh_hosts.entries.is_empty() {
        writeln!(io::stderr(), "warning: the hosts file names no host")?;
        return Ok(u8::from(opengauss));
    }
    let said = |name: &str| environment.var(name).is_some_and(|value| !value.is_empty());
    let mut format = PsshFormat {
        opengauss,
        verbose: common.verbose || said("PSSH_VERBOSE"),
        outdir: common.outdir.clone(),
        errdir: common.errdir.clone(),
        append: common.fileappend,
        ..PsshFormat::default()
    };
    match called {
        Called::Pssh(args) => {
            format.inline = args.inline || said("PSSH_INLINE");
            format.inline_stdout = args.inline_stdout;
            format.print = args.print || said("PSSH_PRINT");
            format.shell = args.shell_mode;
            format.no_headers = args.no_headers;
            let command = command(args)?;
            PsshRun { common, pssh_hosts, format, environment, seconds: if opengauss { 300 } else { 60 } }.ssh(command)
        }
        Called::Pnuke(args) => {
            let text = format!("pkill -9 {}", args.pattern.join(" "));
            let command = Action::Run { command: Template::literal(text), exec_options: ExecOptions::default() };
            PsshRun { common, pssh_hosts, format, environment, seconds: 60 }.ssh(command)
        }
        Called::Pscp(args) => {
            format.one_failure = true;
            format.copies = true;
            let recursive = args.recursive || said("PSSH_RECURSIVE");
            copies::push(&args.paths, recursive, PsshRun { common, pssh_hosts, format, environment, seconds: 0 })
        }
        Called::Pslurp(args) => {
            format.copies = true;
            let recursive = args.recursive || said("PSSH_RECURSIVE");
            copies::pull(args, recursive, PsshRun { common, pssh_hosts, format, environment, seconds: 0 })
        }
        Called::Prsync(args) => {
            format.one_failure = true;
            let flags = [
                ("-v", format.verbose),
                ("-r", args.recursive || said("PSSH_RECURSIVE")),
                ("-a", args.archive || said("PSSH_ARCHIVE")),
                ("-z", args.compress || said("PSSH_COMPRESS")),
            ];
            let flags: Vec<String> =
                flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_owned()).collect();
            PsshRun { common, pssh_hosts, format, environment, seconds: 0 }.rsync(args, &flags)
        }
    }
}

/// A file for Python that becomes this program, under the name that the file itself has (`pssh`, `pscp`, ...).
fn shim() -> anyhow::Result<String> {
    let own = super::environment::own_program()?;
    let own = own.to_str().ok_or_else(|| Diagnostic::usage("the path of gsctl is not UTF-8"))?;
    Ok(format!(
        "#!/usr/bin/env python3\n\
         import os, sys\n\
         os.execve({own:?}, [os.path.basename(__file__)] + sys.argv[1:], dict({{\"GSCTL_PSSH_DIALECT\": \"opengauss\"}}, **os.environ))\n"
    ))
}

/// What each of them wants to be there.
fn check(called: &Called, environment: &Environment) -> Result<(), Diagnostic> {
    let missing = |what: &str, hint: &str| Err(Diagnostic::usage(format!("{what} not specified")).hint(hint));
    let paths = |paths: &[String], second: &str| match paths.len() {
        0 => missing("paths", "write them after the options"),
        1 => missing(second, "write it last"),
        _ => Ok(()),
    };
    match called {
        Called::Pssh(args) if args.command.is_empty() && !args.send_input => {
            return missing("command", "write it after the options");
        }
        Called::Pssh(args) if args.shell_mode && args.dialect != Dialect::Opengauss => {
            return Err(Diagnostic::usage("`-s` is known to openGauss' pssh only").hint("add --dialect opengauss"));
        }
        Called::Pscp(args) => paths(&args.paths, "remote path")?,
        Called::Prsync(args) => paths(&args.paths, "remote path")?,
        Called::Pslurp(args) => {
            paths(&args.paths, "local path")?;
            if args.paths.len() > 2 {
                return Err(Diagnostic::usage("there is something after the local path"));
            }
        }
        Called::Pnuke(args) if args.pattern.is_empty() => return missing("pattern", "write it after the options"),
        Called::Pnuke(args) if args.pattern.len() > 1 => {
            return Err(Diagnostic::usage("there is something after the pattern"));
        }
        Called::Pssh(_) | Called::Pnuke(_) => {}
    }
    let common = called.common();
    let old = environment.var("PSSH_HOSTS").is_some_and(|file| !file.is_empty());
    if common.host_files.is_empty() && common.host_strings.is_empty() && !old {
        return missing("hosts", "name a hosts file with -h, or hosts with -H");
    }
    Ok(())
}

/// The hosts, or the exit status where a file cannot be read.
fn pssh_hosts(common: &Common, once: bool, environment: &Environment) -> anyhow::Result<Result<PsshHosts, u8>> {
    let mut files = common.host_files.clone();
    if let Some(file) = environment.var("PSSH_HOSTS").filter(|file| !file.is_empty()) {
        io::stderr().write_all(PSSH_HOSTS.as_bytes())?;
        files.insert(0, file.into());
    }
    let glob = common.host_glob.as_deref().map(hosts::Glob::parse);
    let mut entries = Vec::new();
    for path in &files {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                writeln!(io::stderr(), "Could not open hosts file: {}: {error}", path.display())?;
                return Ok(Err(1));
            }
        };
        for text in text.lines() {
            match hosts::line(text) {
                Ok(entry) => entries.extend(entry),
                Err(said) => writeln!(io::stderr(), "{said}")?,
            }
        }
    }
    let fits = |entry: &Entry| glob.as_ref().is_none_or(|glob| glob.fits(&entry.host));
    entries.retain(fits);
    entries.extend(common.host_strings.iter().flat_map(|text| text.split_whitespace()).map(Entry::parse));
    // pssh works on a host as often as it is named, openGauss' own once.
    let mut seen = HashSet::new();
    let user = common.user.as_deref();
    entries.retain(|entry| seen.insert(entry.shown(user)) || !once);
    let names = entries.iter().map(|entry| entry.shown(user)).collect();
    Ok(Ok(PsshHosts { entries, names }))
}

/// pssh's own command, and what it reads.
fn command(args: &Pssh) -> io::Result<Action> {
    let mut bytes = Vec::new();
    if args.send_input {
        io::stdin().read_to_end(&mut bytes)?;
    }
    // ssh without a command gives what it reads to the login shell.
    let shell = if args.command.is_empty() { "exec \"$SHELL\" -l".to_owned() } else { args.command.join(" ") };
    let stdin = args.send_input.then(|| Arc::from(bytes));
    Ok(Action::Run { command: Template::literal(shell), exec_options: ExecOptions { stdin, ..ExecOptions::default() } })
}

/// What all of them need to get going.
struct PsshRun<'a> {
    common: &'a Common,
    pssh_hosts: PsshHosts,
    format: PsshFormat,
    environment: &'a Environment,
    /// Time for each host, by default.
    seconds: i64,
}

impl PsshRun<'_> {
    /// Options of ssh, from all the places that they come from.
    fn options(&self) -> Vec<String> {
        let env = self.environment.var("PSSH_OPTIONS").filter(|option| !option.is_empty()).map(str::to_owned);
        env.into_iter().chain(self.common.options.iter().cloned()).collect()
    }

    fn limit(&self) -> Option<Duration> {
        let seconds = self.common.timeout.unwrap_or(self.seconds);
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    fn par(&self) -> usize {
        let par = usize::try_from(self.common.par.unwrap_or(PAR)).unwrap_or(usize::MAX);
        par.min(self.pssh_hosts.entries.len())
    }

    fn asks(&self) -> bool {
        self.common.askpass || self.environment.var("PSSH_ASKPASS").is_some_and(|value| !value.is_empty())
    }

    /// gsctl's own options, with what these programs know of them.
    fn gsctl(&self, extra: extra::Extra) -> anyhow::Result<Options> {
        let mut options = unsaid()?;
        options.ssh.ssh_option = self.options().into_iter().chain(extra.options).collect();
        options.ssh.ssh_config = extra.config.map(Into::into);
        options.ssh.ask_password = self.asks();
        Ok(options)
    }

    /// Connections to be, with the variables that pssh sends.
    fn targets(&self, options: &Options) -> anyhow::Result<Arc<[Target]>> {
        let mut hosts = Vec::new();
        for entry in &self.pssh_hosts.entries {
            if entry.port.as_ref().is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
                let name = entry.shown(None);
                return Err(Diagnostic::usage(format!("host `{name}`: the port is not one from 1 to 65535")).into());
            }
            let mut host = Host::new(entry.host.as_str());
            let user = entry.user.as_ref().or(self.common.user.as_ref());
            for (key, value) in [("user", user), ("port", entry.port.as_ref())] {
                if let Some(value) = value {
                    host.set(key, value.clone(), Origin::CommandLine);
                }
            }
            hosts.push(Arc::new(host));
        }
        let mut targets = targets::build(&Selected { hosts, ..Selected::default() }, &options.ssh, self.environment)?;
        let password = passwords::login(options)?.map(Arc::new);
        let list = Arc::make_mut(&mut targets.list);
        for (number, (target, entry)) in list.iter_mut().zip(&self.pssh_hosts.entries).enumerate() {
            let settings = Arc::make_mut(&mut target.settings);
            settings.env = settings.env.iter().cloned().chain(self.env(number, entry)).collect();
            settings.password.clone_from(&password);
            // As ssh under pssh: until nobody holds the output any more.
            settings.linger = None;
        }
        Ok(targets.list)
    }

    /// What pssh tells each host about the run, if the server takes it (`AcceptEnv PSSH_*`).
    fn env(&self, number: usize, entry: &Entry) -> [(String, String); 3] {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        [
            pair("PSSH_NODENUM", number.to_string()),
            pair("PSSH_NUMNODES", self.pssh_hosts.entries.len().to_string()),
            pair("PSSH_HOST", entry.host.clone()),
        ]
    }

    /// pssh and pnuke: a command.
    fn ssh(self, action: Action) -> anyhow::Result<u8> {
        let words = extra::words(&self.common.extra_args, &self.common.extra_arg)?;
        let options = self.gsctl(extra::read(&words, false)?)?;
        let targets = self.targets(&options)?;
        self.carry_out_on_all(action, &options, &targets, |_, _| Vars::default())
    }

    /// Carries an action out on every host.
    fn carry_out_on_all(
        self,
        action: Action,
        options: &Options,
        targets: &Arc<[Target]>,
        vars: impl Fn(usize, &Entry) -> Vars,
    ) -> anyhow::Result<u8> {
        let (timeout, fanout) = (self.limit(), self.par());
        let step = Step { timeout, on_failure: OnFailure::Continue, ..Step::new("pssh", action) };
        let plan = Plan { name: "pssh".to_owned(), steps: vec![step], ..Plan::default() };
        let run_host = |(number, (target, entry)): (usize, (&Target, &Entry))| RunHost {
            name: target.name.clone(),
            groups: Arc::from([]),
            vars: vars(number, entry),
            user: target.user.clone(),
            port: target.port,
            timeout,
        };
        let run_hosts: Vec<RunHost> = targets.iter().zip(&self.pssh_hosts.entries).enumerate().map(run_host).collect();
        for run_host in &run_hosts {
            crate::runner::rehearse(&plan, run_host).map_err(Diagnostic::usage)?;
        }
        let mut settings = RunSettings {
            canary: None,
            fanout,
            keep: true,
            serial: None,
            max_fail: None,
            deadline: None,
            allow_unreachable: AllowUnreachable::Count(0),
            force: false,
            stream: self.format.print && !self.format.opengauss,
            live: true,
            follow: false,
            resume: None,
            writer: Arc::default(),
        };
        limits::arrange(&mut settings, run_hosts.len(), &plan, false, options.ssh.transport);
        let hurry = Hurry::default();
        let signals = signals::listen()?;
        let lines = lines(self.format, self.pssh_hosts.names, &hurry, self.environment)?;
        let mut queue = ReportQueue::start(lines, hurry.clone())?;
        let pushes = PushRecord::begin(&plan, self.environment, jiff::Timestamp::now());
        settings.writer = pushes.writer();
        let finished = carry_out(&plan, run_hosts, settings, targets, &mut NoRunLog, &mut queue, signals.clone())?;
        pushes.end(&finished);
        let written = written(&mut queue, &hurry, &signals);
        let code = written.reporter.as_ref().map_or(1, PsshLines::code);
        // Lines or files that could not be written must not look like a success.
        Ok(if (finished.stats.broken || queue.has_failed()) && code == 0 { 1 } else { code })
    }

    /// prsync: one rsync a host, as prsync starts it.
    fn rsync(self, args: &Prsync, flags: &[String]) -> anyhow::Result<u8> {
        if self.asks() {
            let diagnostic = Diagnostic::usage("`-A`: prsync starts ssh, to which gsctl hands no password");
            return Err(diagnostic.hint("use keys or an agent, or pscp -r").into());
        }
        let extra = extra::words(&self.common.extra_args, &self.common.extra_arg)?;
        let (last, sources) = args.paths.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
        let mut jobs = Vec::new();
        for (number, entry) in self.pssh_hosts.entries.iter().enumerate() {
            let mut ssh = vec!["ssh".to_owned()];
            ssh.extend(self.options().into_iter().flat_map(|option| ["-o".to_owned(), option]));
            if let Some(port) = &entry.port {
                ssh.extend(["-p".to_owned(), port.clone()]);
            }
            ssh.extend(args.ssh_args.clone());
            let user = entry.user.as_ref().or(self.common.user.as_ref());
            names::check_host(&entry.host, &entry.host)?;
            user.map_or(Ok(()), |user| names::check_user(&entry.host, user))?;
            let at = user.map(|user| format!("{user}@")).unwrap_or_default();
            let mut arguments = vec!["-e".to_owned(), ssh.join(" ")];
            arguments.extend(flags.iter().chain(&extra).cloned());
            // A host or a file whose name begins with `-` is no option.
            arguments.push("--".to_owned());
            arguments.extend(sources.iter().cloned());
            arguments.push(format!("{at}{}:{last}", entry.host));
            jobs.push(rsync::RsyncJob { arguments, env: self.env(number, entry).into() });
        }
        let (par, limit) = (self.par(), self.limit());
        let mut lines = lines(self.format, self.pssh_hosts.names, &Hurry::default(), self.environment)?;
        let told = rsync::run(jobs, par, limit, &mut lines)?;
        let code = lines.code();
        Ok(if !told && code == 0 { 1 } else { code })
    }
}

fn lines(
    format: PsshFormat,
    names: Vec<String>,
    hurry: &Hurry,
    environment: &Environment,
) -> Result<PsshLines, Diagnostic> {
    let to = |which, is_terminal| {
        Box::new(Harmless::new(io::BufWriter::new(StandardStream::new(which, hurry.clone())), is_terminal))
    };
    let (out, err) = (to(Which::Out, environment.stdout_tty), to(Which::Err, environment.stderr_tty));
    PsshLines::new(format, names, jiff::Zoned::now(), out, err)
        .map_err(|error| Diagnostic::usage(format!("output directory: {error}")))
}
