//! From the command line to a run, or to an answer that needs none.

mod clustershell;
pub mod completions;
mod config;
mod confirm;
mod copy;
mod environment;
mod explain;
mod fleet;
mod hosts;
mod identities;
mod inventories;
mod journal;
mod jumps;
mod kept_fleet;
mod ledger;
mod limits;
mod local;
mod man;
mod merge;
mod names;
mod oneshot;
mod openssh;
mod origins;
mod outline;
mod output_filter;
mod output_inputs;
mod outputs;
mod passwords;
mod past_hosts;
mod playbook;
mod program;
mod pssh;
mod push_record;
mod recorded_keys;
mod report_files;
mod resume;
mod routes;
mod run;
mod runs;
mod selection;
mod shell;
mod signals;
mod standard_stream;
mod targets;
pub mod version;
mod written;

use std::ffi::OsString;
use std::io::Write;

use crate::cli::config as known;
use crate::cli::{Cli, Command, Options, Play, Preflight, Rm};
use crate::exit::ExitStatus;
use crate::plan::{Plan, Share};
use crate::playbook::builtin;
use crate::reporter::CommandKind;
use crate::reporter::style::Styles;
use crate::runner::{AllowUnreachable, Canary, Confirm};

pub use crate::diagnostic::Diagnostic;
pub use environment::Environment;
use journal::PlaybookRef;
use playbook::PlaybookRequest;
pub use pssh::pssh;
use run::{PendingRun, Way};
use selection::Selected;

/// Does what the command line says, with the defaults that the config file has.
///
/// # Errors
/// As [`fn@run`]; also when the config file is wrong.
pub fn gsctl(cli: Cli, words: &[OsString], environment: &Environment) -> anyhow::Result<ExitStatus> {
    let defaults = |cli, words: &[OsString]| {
        let mut cli = config::defaults(cli, words, environment)?;
        apply(&mut cli);
        Ok::<Cli, Diagnostic>(cli)
    };
    match &cli.command {
        Command::Config(args) => Ok(config::config(args, &cli, words, environment)?),
        Command::Completions(_) | Command::Man(_) => run(&cli, environment),
        Command::Wait(_) => {
            // As defaults, in the environment or the config file, they are for the commands that have them.
            if let Some(option) = known::typed(words, &["serial", "max-fail", "canary"]) {
                return Err(Diagnostic::usage(format!(
                    "`--{option}` has no meaning for `wait`, which looks at all hosts until the end"
                ))
                .hint("--quorum N|P% says how many hosts will do")
                .into());
            }
            run(&defaults(cli, words)?, environment)
        }
        _ => run(&defaults(cli, words)?, environment),
    }
}

/// Makes of options that stand for others what they stand for.
fn apply(cli: &mut Cli) {
    if let Some(file) = &cli.options.ssh.known_hosts {
        // What `-o` says itself is stronger.
        let option = format!("UserKnownHostsFile=\"{}\"", file.display());
        cli.options.ssh.ssh_option.push(option);
    }
    if let Command::Play(args) = &cli.command {
        let limit = args.limit.clone();
        cli.options.hosts.intersect.extend(limit);
    }
}

/// Does what the command line says.
///
/// # Errors
/// A [`Diagnostic`] when something is wrong before anything was contacted; any other error is gsctl's own.
pub fn run(cli: &Cli, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let options = &cli.options;
    // Zero on the command line is "no limit", and stronger than anything that sets one.
    let timeout = options.run.timeout;
    let simple = |plan: Plan, kind| run_plan(plan, kind, PlaybookRef::default(), None, cli, environment);
    let run_playbook = |asked: PlaybookRequest, preflight| {
        let (plan, digest) = asked.load(timeout, environment)?;
        let playbook = PlaybookRef { file: asked.file(), digest, given: asked.given, ..PlaybookRef::default() };
        run_plan(plan, CommandKind::Playbook, playbook, preflight, cli, environment)
    };
    match &cli.command {
        Command::Exec(args) => simple(oneshot::exec(args, options, environment, timeout)?, CommandKind::Output),
        Command::Script(args) => simple(oneshot::script(args, timeout)?, CommandKind::Output),
        Command::Shell(args) => shell::shell(args, options, environment),
        Command::Local(args) => simple(local::local(args, options, environment, timeout)?, CommandKind::Output),
        Command::Ping => simple(oneshot::ping(), CommandKind::Ping),
        Command::Check(args) => simple(oneshot::check(args, timeout)?, CommandKind::Check),
        Command::Wait(args) => simple(oneshot::wait(args, timeout)?, CommandKind::Check),
        Command::Touch(args) => simple(oneshot::touch(&args.path, &args.privilege, timeout), CommandKind::Changes),
        Command::Rm(args) => rm(args, cli, environment),
        Command::Push(args) => simple(copy::push(args, options.output.diff, timeout)?, CommandKind::Changes),
        Command::Pull(args) => simple(copy::pull(args, timeout)?, CommandKind::Changes),
        Command::Start(args) => run_playbook(PlaybookRequest::start(args)?, Some(&args.preflight)),
        Command::Stop(args) => run_playbook(PlaybookRequest::stop(args)?, Some(&args.preflight)),
        Command::Restart(args) => {
            let in_batches = options.run.serial.is_some() || options.run.canary.is_some();
            let asked = PlaybookRequest::restart(args, in_batches)?;
            let (mut plan, digest) = asked.load(timeout, environment)?;
            roll(&mut plan, options);
            let playbook = PlaybookRef { file: asked.file(), digest, given: asked.given, ..PlaybookRef::default() };
            run_plan(plan, CommandKind::Playbook, playbook, Some(&args.preflight), cli, environment)
        }
        Command::Status(args) => run_playbook(PlaybookRequest::status(args)?, None),
        Command::Diagnose(args) => run_playbook(PlaybookRequest::diagnose(args)?, None),
        Command::Explain(args) => Ok(explain::explain(args)?),
        Command::Promote(args) => run_playbook(PlaybookRequest::promote(args)?, Some(&args.preflight)),
        Command::Play(args) if args.list => Ok(list()?),
        Command::Play(args) if args.schema => Ok(schema()?),
        Command::Play(Play { show: Some(name), .. }) => Ok(show(name)?),
        Command::Play(args) if args.resume.is_some() || args.from.is_some() => {
            let (asked, resume) = resume::asked(args, options, environment)?;
            let (mut plan, digest) = asked.load(timeout, environment)?;
            roll(&mut plan, options);
            let playbook =
                PlaybookRef { file: asked.file(), digest, given: asked.given, resume, from: args.from.clone() };
            run_plan(plan, CommandKind::Playbook, playbook, Some(&args.preflight), cli, environment)
        }
        Command::Play(args) => {
            let asked = PlaybookRequest::play(args);
            let (mut plan, digest) = asked.load(timeout, environment)?;
            if args.syntax_check {
                return Ok(ExitStatus::Success);
            }
            roll(&mut plan, options);
            let playbook = PlaybookRef { file: asked.file(), digest, given: asked.given, ..PlaybookRef::default() };
            run_plan(plan, CommandKind::Playbook, playbook, Some(&args.preflight), cli, environment)
        }
        Command::Hosts(args) => Ok(hosts::hosts(args, options, environment)?),
        Command::Runs(args) => Ok(runs::runs(args, options, environment)?),
        // It needs the words of the command line, so it was done before.
        Command::Config(_) => Ok(ExitStatus::Success),
        Command::Completions(args) => Ok(completions::completions(args.shell)?),
        Command::Man(args) => Ok(man::man(args)?),
    }
}

/// Has a playbook done batch by batch, where the options say so.
fn roll(plan: &mut Plan, options: &Options) {
    let run = &options.run;
    let first = run.canary.map(|first| usize::try_from(first).unwrap_or(usize::MAX));
    if run.serial.is_some() || first.is_some() {
        // What rolls by itself keeps its batches after the first hosts.
        let own = plan.blocks.first().filter(|block| block.steps.len() == plan.steps.len()).map(|block| block.serial);
        let serial = run.serial.or(own).unwrap_or(Share::Percent(100));
        plan.roll(serial, run.max_fail.unwrap_or(Share::Count(0)), first);
    } else if let Some(max_fail) = run.max_fail {
        plan.blocks.iter_mut().for_each(|block| block.max_fail = max_fail);
    }
}

fn run_plan(
    plan: Plan,
    kind: CommandKind,
    playbook: PlaybookRef,
    preflight: Option<&Preflight>,
    cli: &Cli,
    environment: &Environment,
) -> anyhow::Result<ExitStatus> {
    let selected = selection::select(&cli.options.hosts, &cli.options.ssh, environment)?;
    run_plan_on(selected, plan, kind, playbook, preflight, cli, environment)
}

fn run_plan_on(
    selected: Selected,
    plan: Plan,
    kind: CommandKind,
    playbook: PlaybookRef,
    preflight: Option<&Preflight>,
    cli: &Cli,
    environment: &Environment,
) -> anyhow::Result<ExitStatus> {
    let options = &cli.options;
    report_files::check(&report_files::inputs(cli, &selected, &plan, &playbook.file, environment), &options.output)?;
    let sudo = match &cli.command {
        Command::Exec(args) => Some(&args.privilege.password),
        Command::Script(args) => Some(&args.privilege.password),
        Command::Touch(args) => Some(&args.privilege.password),
        Command::Rm(args) => Some(&args.privilege.password),
        Command::Push(args) => Some(&args.privilege.password),
        Command::Pull(args) => Some(&args.privilege.password),
        Command::Play(args) => Some(&args.sudo_password),
        _ => None,
    };
    let allow = preflight.map_or(AllowUnreachable::Count(0), playbook::allowance);
    let force = preflight.is_some_and(|preflight| preflight.force);
    let canary = canary(&plan, options)?;
    let list_hosts = matches!(&cli.command, Command::Play(args) if args.list_hosts);
    let remote_status = match &cli.command {
        Command::Exec(args) => args.remote_status,
        Command::Script(args) => args.remote_status,
        Command::Local(args) => args.remote_status,
        _ => false,
    };
    let way = if matches!(&cli.command, Command::Local(_)) { Way::Local } else { Way::Network };
    let judged = matches!(&cli.command, Command::Status(args) if args.exit_code);
    PendingRun {
        plan,
        selected,
        playbook,
        kind,
        allow,
        force,
        judged,
        remote_status,
        sudo,
        canary,
        list_hosts,
        way,
        options,
        environment,
    }
    .execute()
}

/// The hosts that go first, and who is asked before the others follow.
fn canary(plan: &Plan, options: &Options) -> Result<Option<Canary>, Diagnostic> {
    let Some(first) = options.run.canary else { return Ok(None) };
    if plan.steps.len() > 1 && plan.blocks.is_empty() {
        return Err(Diagnostic::usage(format!(
            "`--canary` has no meaning for `{}`: its steps are about all hosts",
            plan.name
        ))
        .hint("`gsctl play PLAYBOOK --canary N` does all steps on the first hosts before the others follow"));
    }
    if !options.run.yes && !options.run.dry_run && !confirm::has_terminal() {
        return Err(Diagnostic::usage(
            "`--canary` asks before the other hosts follow, and there is no terminal to ask on",
        )
        .hint("--yes goes on by itself once the canaries are fine"));
    }
    let ask = (!options.run.yes).then(|| Confirm::new(confirm::ask));
    Ok(Some(Canary { first: usize::try_from(first).unwrap_or(usize::MAX), ask }))
}

/// `rm`: on many hosts, and with a terminal, it asks first. The hosts that are removed on are those of
/// the question, whatever the hosts file has become meanwhile.
fn rm(args: &Rm, cli: &Cli, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let options = &cli.options;
    let selected = selection::select(&options.hosts, &options.ssh, environment)?;
    let silent = options.run.yes || options.run.dry_run || !environment.stdin_tty || !environment.stderr_tty;
    if !silent && selected.hosts.len() > args.confirm_above && !confirmed(args, &selected) {
        return Ok(ExitStatus::Interrupted);
    }
    let plan = oneshot::rm(&args.path, &args.privilege, options.run.timeout);
    run_plan_on(selected, plan, CommandKind::Changes, PlaybookRef::default(), None, cli, environment)
}

fn confirmed(args: &Rm, selected: &Selected) -> bool {
    let names: Vec<&str> = selected.hosts.iter().map(|host| &*host.name).collect();
    let set = crate::inventory::hostset::fold(&names);
    let paths = args.path.join(" ");
    let question = format!("remove {paths} on {} hosts, {set}?", names.len());
    confirm::ask(&crate::reporter::sanitize::line(question.as_bytes()))
}

/// `play --list`.
fn list() -> Result<ExitStatus, Diagnostic> {
    let mut table = crate::reporter::Table::new(["PLAYBOOK", "SUMMARY"]);
    for (name, summary) in builtin::list() {
        table.row([name, summary]);
    }
    hosts::finish(table.write(&mut std::io::stdout().lock(), &Styles::default(), None, "~"))
}

/// `play --schema`.
fn schema() -> Result<ExitStatus, Diagnostic> {
    let text = format!("{:#}\n", crate::playbook::schema());
    hosts::finish(std::io::stdout().lock().write_all(text.as_bytes()))
}

/// `play --show NAME`.
fn show(name: &str) -> Result<ExitStatus, Diagnostic> {
    let Some(text) = builtin::source(name) else {
        let names: Vec<&str> = builtin::names().collect();
        return Err(Diagnostic::usage(format!("there is no built-in playbook `{name}`"))
            .hint(format!("built-in playbooks: {}", names.join(", "))));
    };
    hosts::finish(std::io::stdout().lock().write_all(text.as_bytes()))
}
