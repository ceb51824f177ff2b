//! What kind of inventory a text is, and the way from it to hosts.
//!
//! A text is read as Ansible's only where a hosts file of gsctl cannot look like that: no hosts file ever means something
//! else because of a guess. Every message about such a text says what it was read as, and why.

use super::decode::decode;
use super::problem::{PieceError, Problem, Text};
use super::{Inventory, ansible, file, genders, other_formats, resolve};

/// What to do with an inventory that only Ansible can read.
pub const BY_ANSIBLE: &str = "`ansible-inventory -i FILE --list | gsctl -f - ...` takes what Ansible makes of it";

/// A kind of inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// gsctl's own hosts file.
    Hosts,
    /// Ansible's INI.
    Ini,
    /// Ansible's YAML.
    Yaml,
    /// JSON: Ansible's, or that of `gsctl hosts --json`.
    Json,
    /// pdsh's genders.
    Genders,
}

impl FileFormat {
    const fn article(self) -> &'static str {
        if matches!(self, Self::Hosts | Self::Genders) { "a" } else { "an" }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Hosts => "hosts file",
            Self::Ini => "Ansible inventory (INI)",
            Self::Yaml => "Ansible inventory (YAML)",
            Self::Json => "inventory in JSON",
            Self::Genders => "file of genders",
        }
    }
}

/// Where it is known from that a text is not gsctl's own hosts file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatHint {
    /// No hint: the text decides.
    No,
    /// The user, with `ansible:` before the file's name.
    Ansible,
    /// The user, with `genders:` before the file's name.
    Genders,
    /// It is what a program has printed.
    Program,
}

/// Reads a text, whatever kind it is. `name` is the file's name for messages, or the program's.
///
/// # Errors
///
/// The first thing that is wrong, with its place, and how the text was read.
pub fn parse(bytes: &[u8], name: &str, known: FormatHint) -> Result<(Inventory, FileFormat), Problem> {
    let text = decode(bytes, name)?;
    let (form, why) = recognise(text, name, known);
    let source = match form {
        FileFormat::Hosts => return Ok((file::parse(bytes, name)?, form)),
        FileFormat::Ini => ansible::ini(text, name),
        FileFormat::Yaml => ansible::tree(text, name, "YAML"),
        FileFormat::Json => ansible::tree(text, name, "JSON"),
        FileFormat::Genders => genders::read(text, name),
    };
    let source = source.map_err(|(line, fault)| {
        let excerpt = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
        let kind = if known == FormatHint::Program { Text::Output } else { Text::HostsFile };
        let message = format!("{}\nread as {} {}: {why}", fault.message, form.article(), form.name());
        Problem::new(kind, name, line, excerpt, PieceError { message, ..fault })
    })?;
    Ok((resolve::resolve(vec![source]), form))
}

/// What kind it is, and why.
fn recognise(text: &str, name: &str, known: FormatHint) -> (FileFormat, String) {
    let lines = || (1..).zip(text.split('\n').map(|line| line.trim_end_matches('\r')));
    let first = lines().find(|(_, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    if known == FormatHint::Program {
        return (FileFormat::Json, "programs print that".to_owned());
    }
    if known == FormatHint::Genders {
        return (FileFormat::Genders, "`genders:` stands before its name".to_owned());
    }
    for (end, form) in [(".json", FileFormat::Json), (".yaml", FileFormat::Yaml), (".yml", FileFormat::Yaml)] {
        if name.to_ascii_lowercase().ends_with(end) {
            return (form, format!("its name ends in `{end}`"));
        }
    }
    if let Some((number, line)) = first {
        match other_formats::whole_file(line) {
            Some(("JSON", _)) if line.trim_start().starts_with('{') => {
                return (FileFormat::Json, format!("line {number} begins with `{{`"));
            }
            Some(("YAML", _)) if !line.trim_start().starts_with("- ") => {
                return (
                    FileFormat::Yaml,
                    format!("line {number} is `{}`", super::problem::harmless(line.trim_end(), 40)),
                );
            }
            _ => {}
        }
    }
    if known == FormatHint::Ansible {
        return (FileFormat::Ini, "`ansible:` stands before its name".to_owned());
    }
    match ansible::mark(text) {
        Some((number, what)) => (FileFormat::Ini, format!("line {number} has {what}")),
        None => (FileFormat::Hosts, String::new()),
    }
}
