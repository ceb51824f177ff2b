//! From the command line to a run, or to an answer that needs none.

mod adhoc;
mod books;
pub mod completions;
mod config;
mod descriptors;
mod fault;
mod files;
mod hosts;
mod inventories;
mod jumps;
mod keyring;
mod launch;
mod logbook;
mod man;
mod openssh;
mod origins;
mod outputs;
mod past;
mod program;
mod pssh;
mod question;
mod resume;
mod runs;
mod secret;
mod selection;
mod shaping;
mod standard_stream;
mod targets;
mod world;

use std::ffi::OsString;
use std::io::Write;

use crate::cli::config as known;
use crate::cli::{Cli, Command, Options, Play, Preflight, Rm};
use crate::exit::ExitStatus;
use crate::plan::Plan;
use crate::playbook::builtin;
use crate::reporter::CommandKind;
use crate::reporter::style::Styles;
use crate::runner::{Allow, Canary, Gate};

use books::Asked;
pub use fault::Fault;
use launch::Launch;
use logbook::Book;
pub use pssh::pssh;
use selection::Selected;
pub use world::World;

/// Does what the command line says, with the defaults that the config file has.
///
/// # Errors
/// As [`run`]; also when the config file is wrong.
pub fn gsctl(cli: Cli, words: &[OsString], world: &World) -> anyhow::Result<ExitStatus> {
    match &cli.command {
        Command::Config(args) => Ok(config::config(args, &cli, words, world)?),
        Command::Completions(_) | Command::Man(_) => run(&cli, world),
        Command::Wait(_) => {
            // As defaults, in the environment or the config file, they are for the commands that have them.
            if let Some(option) = known::typed(words, &["serial", "max-fail", "canary"]) {
                return Err(Fault::usage(format!(
                    "`--{option}` has no meaning for `wait`, which looks at all hosts until the end"
                ))
                .hint("--quorum N|P% says how many hosts will do")
                .into());
            }
            run(&config::defaults(cli, words, world)?, world)
        }
        _ => run(&config::defaults(cli, words, world)?, world),
    }
}

/// Does what the command line says.
///
/// # Errors
/// A [`Fault`] when something is wrong before anything was contacted; any other error is gsctl's own.
pub fn run(cli: &Cli, world: &World) -> anyhow::Result<ExitStatus> {
    let options = &cli.options;
    // Zero on the command line is "no limit", and stronger than anything that sets one.
    let timeout = options.run.timeout;
    let simple = |plan: Plan, kind| launch(plan, kind, Book::default(), None, cli, world);
    let book = |asked: Asked, preflight| {
        let (plan, digest) = asked.load(timeout, world)?;
        let book = Book { file: asked.file(), digest, given: asked.given, ..Book::default() };
        launch(plan, CommandKind::Playbook, book, preflight, cli, world)
    };
    match &cli.command {
        Command::Exec(args) => simple(adhoc::exec(args, options, world, timeout)?, CommandKind::Output),
        Command::Script(args) => simple(adhoc::script(args, timeout)?, CommandKind::Output),
        Command::Ping => simple(adhoc::ping(), CommandKind::Ping),
        Command::Check(args) => simple(adhoc::check(args, timeout)?, CommandKind::Check),
        Command::Wait(args) => simple(adhoc::wait(args, timeout)?, CommandKind::Check),
        Command::Touch(args) => simple(adhoc::touch(&args.path, timeout), CommandKind::Changes),
        Command::Rm(args) => rm(args, cli, world),
        Command::Push(args) => simple(files::push(args, timeout)?, CommandKind::Changes),
        Command::Pull(args) => simple(files::pull(args, timeout)?, CommandKind::Changes),
        Command::Start(args) => book(Asked::start(args)?, Some(&args.preflight)),
        Command::Stop(args) => book(Asked::stop(args)?, Some(&args.preflight)),
        Command::Status(args) => book(Asked::status(args)?, None),
        Command::Promote(args) => book(Asked::promote(args)?, Some(&args.preflight)),
        Command::Play(args) if args.list => Ok(list()?),
        Command::Play(args) if args.schema => Ok(schema()?),
        Command::Play(Play { show: Some(name), .. }) => Ok(show(name)?),
        Command::Play(args) if args.resume.is_some() || args.from.is_some() => {
            let (asked, resume) = resume::asked(args, options, world)?;
            let (plan, digest) = asked.load(timeout, world)?;
            let book = Book { file: asked.file(), digest, given: asked.given, resume, from: args.from.clone() };
            launch(plan, CommandKind::Playbook, book, Some(&args.preflight), cli, world)
        }
        Command::Play(args) => book(Asked::play(args), Some(&args.preflight)),
        Command::Hosts(args) => Ok(hosts::hosts(args, options, world)?),
        Command::Runs(args) => Ok(runs::runs(args, options, world)?),
        // It needs the words of the command line, so it was done before.
        Command::Config(_) => Ok(ExitStatus::Success),
        Command::Completions(args) => Ok(completions::completions(args.shell)?),
        Command::Man(args) => Ok(man::man(args)?),
    }
}

fn launch(
    plan: Plan,
    kind: CommandKind,
    book: Book,
    preflight: Option<&Preflight>,
    cli: &Cli,
    world: &World,
) -> anyhow::Result<ExitStatus> {
    let selected = selection::select(&cli.options.hosts, &cli.options.ssh, world)?;
    launch_on(selected, plan, kind, book, preflight, cli, world)
}

fn launch_on(
    selected: Selected,
    plan: Plan,
    kind: CommandKind,
    book: Book,
    preflight: Option<&Preflight>,
    cli: &Cli,
    world: &World,
) -> anyhow::Result<ExitStatus> {
    let options = &cli.options;
    let sudo = match &cli.command {
        Command::Exec(args) => Some(&args.privilege.password),
        Command::Script(args) => Some(&args.privilege.password),
        Command::Play(args) => Some(&args.sudo_password),
        _ => None,
    };
    let allow = preflight.map_or(Allow::Count(0), books::allowance);
    let force = preflight.is_some_and(|preflight| preflight.force);
    let canary = canary(&plan, options)?;
    let judged = matches!(&cli.command, Command::Status(args) if args.exit_code);
    Launch { plan, selected, book, kind, allow, force, judged, sudo, canary, options, world }.go()
}

/// The hosts that go first, and who is asked before the others follow.
fn canary(plan: &Plan, options: &Options) -> Result<Option<Canary>, Fault> {
    let Some(first) = options.run.canary else { return Ok(None) };
    if plan.steps.len() > 1 {
        return Err(Fault::usage(format!("`--canary` is for commands of one step; `{}` has more", plan.name))
            .hint("--serial does each step in batches, and --max-fail 0 ends it at the first failure"));
    }
    if !options.run.yes && !options.run.dry_run && !question::somebody_there() {
        return Err(Fault::usage("`--canary` asks before the other hosts follow, and there is no terminal to ask on")
            .hint("--yes goes on by itself once the canaries are fine"));
    }
    let ask = (!options.run.yes).then(|| Gate::new(question::ask));
    Ok(Some(Canary { first: usize::try_from(first).unwrap_or(usize::MAX), ask }))
}

/// `rm`: on many hosts, and with somebody at the terminal, only if it is meant. The hosts that are removed on are those of
/// the question, whatever the hosts file has become meanwhile.
fn rm(args: &Rm, cli: &Cli, world: &World) -> anyhow::Result<ExitStatus> {
    let options = &cli.options;
    let selected = selection::select(&options.hosts, &options.ssh, world)?;
    let silent = options.run.yes || options.run.dry_run || !world.stdin_tty || !world.stderr_tty;
    if !silent && selected.hosts.len() > args.confirm_above && !confirmed(args, &selected) {
        return Ok(ExitStatus::Interrupted);
    }
    let plan = adhoc::rm(&args.path, options.run.timeout);
    launch_on(selected, plan, CommandKind::Changes, Book::default(), None, cli, world)
}

fn confirmed(args: &Rm, selected: &Selected) -> bool {
    let names: Vec<&str> = selected.hosts.iter().map(|host| host.name.as_str()).collect();
    let set = crate::inventory::hostset::fold(&names);
    let paths = args.path.join(" ");
    let question = format!("remove {paths} on {} hosts, {set}?", names.len());
    question::ask(&crate::reporter::sanitize::line(question.as_bytes()))
}

/// `play --list`.
fn list() -> Result<ExitStatus, Fault> {
    let mut table = crate::reporter::Table::new(["PLAYBOOK", "SUMMARY"]);
    for (name, summary) in builtin::list() {
        table.row([name, summary]);
    }
    hosts::finish(table.write(&mut std::io::stdout().lock(), &Styles::default(), None, "~"))
}

/// `play --schema`.
fn schema() -> Result<ExitStatus, Fault> {
    let text = format!("{:#}\n", crate::playbook::schema());
    hosts::finish(std::io::stdout().lock().write_all(text.as_bytes()))
}

/// `play --show NAME`.
fn show(name: &str) -> Result<ExitStatus, Fault> {
    let Some(text) = builtin::source(name) else {
        let names: Vec<&str> = builtin::names().collect();
        return Err(Fault::usage(format!("there is no built-in playbook `{name}`"))
            .hint(format!("built-in playbooks: {}", names.join(", "))));
    };
    hosts::finish(std::io::stdout().lock().write_all(text.as_bytes()))
}
