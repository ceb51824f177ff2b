//! `gsctl man`: manual pages, made from the help texts.

use std::io::{self, Write};
use std::path::Path;

use clap_mangen::Man;

use crate::cli::{self, Man as ManArgs};
use crate::exit::ExitStatus;

use super::hosts::finish;
use crate::diagnostic::Diagnostic;

/// Prints a page, or writes all.
///
/// # Errors
/// When there is no such command, or a page cannot be written.
pub(super) fn man(args: &ManArgs) -> Result<ExitStatus, Diagnostic> {
    if let Some(dir) = &args.dir {
        return write_all(dir);
    }
    let pages = pages();
    let wanted = args.command.as_deref().map_or("gsctl".to_owned(), |name| format!("gsctl-{name}"));
    let Some((_, page)) = pages.iter().find(|(name, _)| *name == wanted) else {
        let names: Vec<&str> = pages.iter().filter_map(|(name, _)| name.strip_prefix("gsctl-")).collect();
        return Err(Diagnostic::usage(format!(
            "there is no command `{}`",
            args.command.as_deref().unwrap_or_default()
        ))
        .hint(format!("commands: {}", names.join(", "))));
    };
    let mut text = Vec::new();
    finish(page.render(&mut text).and_then(|()| io::stdout().lock().write_all(&text)))
}

fn write_all(dir: &Path) -> Result<ExitStatus, Diagnostic> {
    let diagnostic = |path: &Path, error: &io::Error| Diagnostic::usage(format!("`{}`: {error}", path.display()));
    std::fs::create_dir_all(dir).map_err(|error| diagnostic(dir, &error))?;
    for (name, page) in pages() {
        let path = dir.join(format!("{name}.1"));
        let mut text = Vec::new();
        let written = page.render(&mut text).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| diagnostic(&path, &error))?;
    }
    Ok(ExitStatus::Success)
}

/// Every page by its name: `gsctl`, `gsctl-exec`, ...
fn pages() -> Vec<(String, Man)> {
    let mut top = cli::command();
    top.build();
    let mut pages: Vec<(String, Man)> = Vec::new();
    for command in top.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("gsctl-{}", command.get_name());
        pages.push((name.clone(), Man::new(command.clone().name(name))));
    }
    pages.insert(0, ("gsctl".to_owned(), Man::new(top)));
    pages
}
