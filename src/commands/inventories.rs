//! What stands behind `--hosts-file`: a file of any kind that gsctl reads, standard input, a program, `ssh_config`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::cli::SshOptions;
use crate::inventory::Inventory;
use crate::inventory::file;
use crate::inventory::file_format;
use crate::inventory::file_format::{BY_ANSIBLE, FileFormat, FormatHint};
use crate::plan::quote::quote;

use super::clustershell;
use super::environment::Environment;
use super::program;
use super::routes::load_config;
use crate::diagnostic::Diagnostic;

/// Before the name of a file: it is an inventory of Ansible, whatever it looks like.
const ANSIBLE: &str = "ansible:";
/// Before the name of a file: it is one of genders.
const GENDERS: &str = "genders:";
/// The file of genders where none is named.
const GENDERS_FILE: &str = "/etc/genders";
/// Before the name of a directory, or alone: the groups of `ClusterShell`.
const CLUSTERSHELL: &str = "clustershell:";
/// Instead of a file: the hosts that `ssh_config` names.
const SSH_CONFIG: &str = "ssh_config:";

/// Whether programs are run. A shell that completes a word runs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Programs {
    /// Each once.
    Run,
    /// None: nobody has named the file, which only lies where gsctl looks for hosts.
    Refuse,
    /// None: they know no hosts.
    Leave,
}

/// Reads one of the hosts files.
///
/// # Errors
/// When it cannot be read, or is wrong.
pub(super) fn read(
    path: &Path,
    ssh: &SshOptions,
    programs: Programs,
    environment: &Environment,
) -> Result<Inventory, Diagnostic> {
    let name = path.display().to_string();
    if let Some(rest) = name.strip_prefix(SSH_CONFIG) {
        return ssh_config(rest, ssh, environment);
    }
    if let Some(rest) = name.strip_prefix(CLUSTERSHELL) {
        return clustershell::read(&name, rest, programs, environment);
    }
    let known = match &name {
        name if name.starts_with(ANSIBLE) => FormatHint::Ansible,
        name if name.starts_with(GENDERS) => FormatHint::Genders,
        _ => FormatHint::No,
    };
    let path = path_of(path);
    let name = path.display().to_string();
    if known == FormatHint::Genders {
        let bytes = bytes(&path, &name)?;
        let parsed = file_format::parse(&bytes, &name, known);
        return parsed.map(|(inventory, _)| inventory).map_err(|problem| Diagnostic::usage(problem.to_string()));
    }
    let bytes = bytes(&path, &name)?;
    if is_program(&path, &bytes, &name)? {
        return match programs {
            Programs::Run => printed(&path, &name),
            Programs::Refuse => {
                Err(Diagnostic::usage(format!("hosts file `{name}` is a program, and nobody has named it"))
                    .hint(format!("look at what it does; name it where it is to be run: -f {}", quote(&name))))
            }
            Programs::Leave => Ok(Inventory::default()),
        };
    }
    let (mut inventory, form) =
        file_format::parse(&bytes, &name, known).map_err(|problem| Diagnostic::usage(problem.to_string()))?;
    if matches!(form, FileFormat::Ini | FileFormat::Yaml)
        && let Some(source) = inventory.sources.first_mut()
    {
        source.warnings.extend(beside(&path, &name));
    }
    Ok(inventory)
}

/// The file behind what `-f` says.
pub(super) fn path_of(path: &Path) -> PathBuf {
    let rest = path.to_str().and_then(|name| name.strip_prefix(ANSIBLE).or_else(|| name.strip_prefix(GENDERS)));
    match rest {
        Some("") if path == Path::new(GENDERS) => PathBuf::from(GENDERS_FILE),
        Some(rest) => PathBuf::from(rest),
        None => path.to_owned(),
    }
}

fn bytes(path: &Path, name: &str) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map_err(|error| Diagnostic::usage(format!("hosts file `-`: {error}")))?;
        return Ok(bytes);
    }
    if path.is_dir() {
        return Err(Diagnostic::usage(format!("hosts file `{name}` is a directory")).hint("name the file in it"));
    }
    let diagnostic = |error: io::Error| {
        let said = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        let diagnostic = Diagnostic::usage(format!("hosts file `{name}`: {said}"));
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            return diagnostic.hint(format!("--fanout {name} says how many hosts are worked on at once"));
        }
        diagnostic
    };
    std::fs::File::open(path).map_err(diagnostic)?.read_to_end(&mut bytes).map_err(diagnostic)?;
    Ok(bytes)
}

/// Whether the file is a program that prints an inventory: it may be run, and says how or is a binary. A file system
/// without modes calls every file executable, so the mode alone makes no program.
fn is_program(path: &Path, bytes: &[u8], name: &str) -> Result<bool, Diagnostic> {
    if path == Path::new("-") {
        return Ok(false);
    }
    let script = bytes.strip_prefix(b"#!").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"/"));
    if !script && !bytes.starts_with(b"\x7fELF") {
        return Ok(false);
    }
    if access(path, Access::EXEC_OK).is_err() {
        let first = if script { "begins with `#!`" } else { "is a program" };
        return Err(Diagnostic::usage(format!("hosts file `{name}` {first}, and you may not execute it")).hint(format!(
            "a program that prints hosts as JSON has to be executable: chmod +x {name}; a hosts file begins otherwise"
        )));
    }
    Ok(true)
}

/// What a program prints.
fn printed(path: &Path, name: &str) -> Result<Inventory, Diagnostic> {
    let bytes = program::output(path, name)?;
    let call = format!("{name} --list");
    let parsed = file_format::parse(&bytes, &call, FormatHint::Program);
    let (inventory, _) = parsed.map_err(|problem| Diagnostic::usage(problem.to_string()))?;
    Ok(inventory)
}

/// The hosts that `ssh_config` names. Where they are, and who to be there, it says itself when they are connected to.
fn ssh_config(rest: &str, ssh: &SshOptions, environment: &Environment) -> Result<Inventory, Diagnostic> {
    if !rest.is_empty() {
        return Err(Diagnostic::usage(format!("hosts file `{SSH_CONFIG}{rest}`: nothing can follow the colon"))
            .hint(format!("the file is named with -F, and used for the connections then: -F {rest} -f {SSH_CONFIG}")));
    }
    let config = load_config(ssh, environment)?;
    let mut text = String::new();
    let mut odd = Vec::new();
    for host in config.hosts() {
        match crate::inventory::spec::parse_spec(host) {
            Ok(_) => text = text + host + "\n",
            Err(error) => odd.push(format!("ssh config: `Host {host}` is left out: {}", error.message)),
        }
    }
    let mut inventory =
        file::parse(text.as_bytes(), SSH_CONFIG).map_err(|problem| Diagnostic::usage(problem.to_string()))?;
    if let Some(source) = inventory.sources.first_mut() {
        source.warnings = odd;
    }
    Ok(inventory)
}

/// Files of variables that Ansible would read too.
fn beside(path: &Path, name: &str) -> Option<String> {
    let folder = path.parent()?;
    let found = ["group_vars", "host_vars"].into_iter().find(|folder_of| folder.join(folder_of).is_dir())?;
    let what = format!("hosts file `{name}`: the variables in `{found}` beside it are not read");
    Some(format!("{what}; {BY_ANSIBLE}"))
}
