//! `gsctl pssh`: pssh's command line made into a run of gsctl's own.

mod hosts;

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::pssh::{Dialect, Pssh, unsaid};
use crate::inventory::host::{Host, Origin};
use crate::plan::{Action, Manner, OnFailure, Plan, Step, Template, Vars};
use crate::reporter::pssh::{PsshFormat, PsshLines};
use crate::runner::{Allow, Member, NoLedger, Settings};

use super::World;
use super::fault::Fault;
use super::launch::carry_out;
use super::selection::Selected;
use super::{descriptors, targets};
use hosts::Entry;

/// Hosts at once, where nobody says.
const PAR: u32 = 32;

/// Does what pssh's command line says; gives back pssh's exit status.
///
/// # Errors
/// A [`Fault`] when something is wrong before anything was contacted; any other error is gsctl's own.
pub fn pssh(args: &Pssh, world: &World) -> anyhow::Result<u8> {
    let opengauss = args.dialect == Dialect::Opengauss;
    if args.host_files.is_empty() && args.host_strings.is_empty() {
        return Err(Fault::usage("hosts not specified").hint("name a hosts file with -h, or hosts with -H").into());
    }
    if args.command.is_empty() {
        return Err(Fault::usage("command not specified").hint("write it after the options").into());
    }
    if args.shell_mode && !opengauss {
        return Err(Fault::usage("`-s` is known to openGauss' pssh only").hint("add --dialect opengauss").into());
    }
    let mut entries = Vec::new();
    for path in &args.host_files {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                writeln!(std::io::stderr(), "Could not open hosts file: {}: {error}", path.display())?;
                return Ok(1);
            }
        };
        for text in text.lines() {
            match hosts::line(text) {
                Ok(entry) => entries.extend(entry),
                Err(said) => writeln!(std::io::stderr(), "{said}")?,
            }
        }
    }
    entries.extend(args.host_strings.iter().flat_map(|text| text.split_whitespace()).map(Entry::parse));
    let mut seen = HashSet::new();
    let names: Vec<String> = entries.iter().map(|entry| entry.shown(args.user.as_deref())).collect();
    // pssh works on a host as often as it is named, openGauss' own once.
    let keep: Vec<usize> = (0..names.len()).filter(|&at| seen.insert(names[at].as_str()) || !opengauss).collect();
    let names: Vec<String> = keep.iter().map(|&at| names[at].clone()).collect();
    let entries: Vec<&Entry> = keep.iter().map(|&at| &entries[at]).collect();
    if entries.is_empty() {
        writeln!(std::io::stderr(), "warning: the hosts file names no host")?;
        return Ok(u8::from(opengauss));
    }
    let format = PsshFormat {
        inline: args.inline,
        inline_stdout: args.inline_stdout,
        print: args.print,
        shell: args.shell_mode,
        opengauss,
        verbose: args.verbose,
        outdir: args.outdir.clone(),
        errdir: args.errdir.clone(),
    };
    run(args, &entries, names, format, world)
}

fn run(args: &Pssh, entries: &[&Entry], names: Vec<String>, format: PsshFormat, world: &World) -> anyhow::Result<u8> {
    let mut options = unsaid()?;
    options.ssh.ssh_option.clone_from(&args.options);
    let mut hosts = Vec::new();
    for entry in entries {
        if entry.port.as_ref().is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
            let name = entry.shown(None);
            return Err(Fault::usage(format!("host `{name}`: the port is not one from 1 to 65535")).into());
        }
        let mut host = Host::new(entry.host.clone());
        let user = entry.user.as_ref().or(args.user.as_ref());
        for (key, value) in [("user", user), ("port", entry.port.as_ref())] {
            if let Some(value) = value {
                host.set(key, value.clone(), Origin::CommandLine);
            }
        }
        hosts.push(host);
    }
    let targets = targets::build(&Selected { hosts, ..Selected::default() }, &options.ssh, world)?;
    let seconds = args.timeout.unwrap_or(if format.opengauss { 300 } else { 60 });
    let timeout = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let mut bytes = Vec::new();
    if args.send_input {
        std::io::stdin().read_to_end(&mut bytes)?;
    }
    let stdin = args.send_input.then(|| Arc::from(bytes));
    let manner = Manner { stdin, ..Manner::default() };
    let action = Action::Run { command: Template::literal(args.command.join(" ")), manner };
    let step = Step { timeout, on_failure: OnFailure::Continue, ..Step::new("pssh", action) };
    let plan = Plan { name: "pssh".to_owned(), steps: vec![step], ..Plan::default() };
    let members: Vec<Member> = targets
        .list
        .iter()
        .map(|target| Member {
            name: target.name.clone(),
            groups: Vec::new(),
            vars: Vars::default(),
            user: target.user.clone(),
            port: target.port,
            timeout,
        })
        .collect();
    for member in &members {
        crate::runner::rehearse(&plan, member).map_err(Fault::usage)?;
    }
    let mut settings = Settings {
        canary: None,
        fanout: usize::try_from(args.par.unwrap_or(PAR)).unwrap_or(usize::MAX).min(members.len()),
        keep: true,
        serial: None,
        max_fail: None,
        deadline: None,
        allow_unreachable: Allow::Count(0),
        force: false,
        stream: format.print && !format.opengauss,
        live: true,
        resume: None,
    };
    descriptors::arrange(&mut settings, members.len(), &plan, options.ssh.transport);
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut lines = PsshLines::new(format, names, jiff::Zoned::now(), &mut out, &mut err)
        .map_err(|error| Fault::usage(format!("output directory: {error}")))?;
    let finished = carry_out(&plan, members, settings, targets, &mut NoLedger, &mut lines)?;
    let code = lines.code();
    // Lines or files that could not be written must not look like a success.
    Ok(if finished.stats.broken && code == 0 { 1 } else { code })
}
