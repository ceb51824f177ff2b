//! From the command line to a run, or to an answer that needs none.

mod adhoc;
mod books;
pub mod completions;
mod descriptors;
mod fault;
mod hosts;
mod launch;
mod logbook;
mod man;
mod past;
mod resume;
mod runs;
mod selection;
mod targets;
mod world;

use std::io::Write;

use crate::cli::{Cli, Command, Options, Play, Preflight};
use crate::exit::ExitStatus;
use crate::plan::Plan;
use crate::playbook::builtin;
use crate::reporter::CommandKind;
use crate::reporter::style::Styles;
use crate::runner::Allow;

use books::Asked;
pub use fault::Fault;
use launch::Launch;
use logbook::Book;
pub use world::World;

/// Does what the command line says.
///
/// # Errors
/// A [`Fault`] when something is wrong before anything was contacted; any other error is gsctl's own.
pub fn run(cli: &Cli, world: &World) -> anyhow::Result<ExitStatus> {
    let options = &cli.options;
    // Zero on the command line is "no limit", and stronger than anything that sets one.
    let timeout = options.run.timeout;
    let simple = |plan: Plan, kind| launch(plan, kind, Book::default(), None, options, world);
    let book = |asked: Asked, preflight| {
        let (plan, digest) = asked.load(timeout, world)?;
        let book = Book { file: asked.file(), digest, given: asked.given, ..Book::default() };
        launch(plan, CommandKind::Playbook, book, preflight, options, world)
    };
    match &cli.command {
        Command::Exec(args) => simple(adhoc::exec(args, &options.hosts, world, timeout)?, CommandKind::Output),
        Command::Script(args) => simple(adhoc::script(args, timeout)?, CommandKind::Output),
        Command::Ping => simple(adhoc::ping(), CommandKind::Ping),
        Command::Check(args) => simple(adhoc::check(args, timeout)?, CommandKind::Check),
        Command::Touch(args) => simple(adhoc::touch(&args.path, timeout), CommandKind::Changes),
        Command::Rm(args) => simple(adhoc::rm(&args.path, timeout), CommandKind::Changes),
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
            launch(plan, CommandKind::Playbook, book, Some(&args.preflight), options, world)
        }
        Command::Play(args) => book(Asked::play(args), Some(&args.preflight)),
        Command::Hosts(args) => Ok(hosts::hosts(args, options, world)?),
        Command::Runs(args) => Ok(runs::runs(args, options, world)?),
        Command::Completions(args) => Ok(completions::completions(args.shell)?),
        Command::Man(args) => Ok(man::man(args)?),
    }
}

fn launch(
    plan: Plan,
    kind: CommandKind,
    book: Book,
    preflight: Option<&Preflight>,
    options: &Options,
    world: &World,
) -> anyhow::Result<ExitStatus> {
    let selected = selection::select(&options.hosts, world)?;
    let allow = preflight.map_or(Allow::Count(0), books::allowance);
    let force = preflight.is_some_and(|preflight| preflight.force);
    Launch { plan, selected, book, kind, allow, force, options, world }.go()
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
