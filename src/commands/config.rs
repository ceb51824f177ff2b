//! The config file: defaults for options, weaker than the command line and the environment. And `gsctl config`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::cli::config::{self as known, Said, Setting};
use crate::cli::{self, Cli, Config as Arguments, HostSetting};
use crate::exit::ExitStatus;
use crate::reporter::Table;
use crate::reporter::style::Styles;
use crate::text::{is_absent, nearest};

use super::environment::Environment;
use super::hosts::finish;
use crate::diagnostic::Diagnostic;

/// Options that a hosts file may say of its hosts: there, what the config file says is weaker than the hosts file.
const OF_HOSTS: [&str; 4] = ["user", "port", "jump", "connect-timeout"];

/// What a config file says.
#[derive(Debug, Default)]
struct Config {
    file: PathBuf,
    values: Vec<(String, Vec<String>)>,
    lines: Vec<usize>,
}

/// The command line, with the config file's values as the weakest defaults.
///
/// # Errors
/// When the config file is wrong.
pub(super) fn defaults(cli: Cli, words: &[OsString], environment: &Environment) -> Result<Cli, Diagnostic> {
    if cli.options.run.no_config { Ok(cli) } else { Config::load(environment)?.applied(cli, words) }
}

/// Where the config file is: `GSCTL_CONFIG`, else the configuration directory.
pub(super) fn path(environment: &Environment) -> PathBuf {
    environment
        .var("GSCTL_CONFIG")
        .map_or_else(|| environment.config_dir().join("config.toml"), |path| environment.path(path))
}

impl Config {
    /// Reads the config file, if there is one.
    ///
    /// # Errors
    /// When it is named and not there, cannot be read, may be written by others, or is wrong.
    fn load(environment: &Environment) -> Result<Self, Diagnostic> {
        let file = path(environment);
        let diagnostic = |said: String| Diagnostic::usage(format!("config file `{}`: {said}", file.display()));
        let text = match std::fs::read(&file) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| diagnostic("it is not UTF-8 text".to_owned()))?,
            Err(error) if is_absent(&error) && environment.var("GSCTL_CONFIG").is_none() => {
                return Ok(Self::default());
            }
            Err(error) => {
                let said = match error.kind() {
                    io::ErrorKind::NotFound => "there is no such file".to_owned(),
                    io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                    io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
                    _ => error.to_string(),
                };
                return Err(diagnostic(said).hint("GSCTL_CONFIG names it; --no-config leaves it out"));
            }
        };
        // Write access to it is the choice of jump hosts and commands (`ssh-config`) for its owner.
        let metadata = std::fs::metadata(&file).map_err(|error| diagnostic(error.to_string()))?;
        let ours = metadata.uid() == 0 || metadata.uid() == rustix::process::getuid().as_raw();
        if !ours || metadata.mode() & 0o022 != 0 {
            return Err(diagnostic("others could write it".to_owned()).hint(format!("chmod 600 {}", file.display())));
        }
        let (values, lines) = read(&text, environment).map_err(|wrong| wrong.at(&file, &text))?;
        Ok(Self { file, values, lines })
    }

    /// The command line, with the file's values as the weakest defaults.
    ///
    /// # Errors
    /// Never but for a command line that is not understood either way.
    fn applied(&self, cli: Cli, words: &[OsString]) -> Result<Cli, Diagnostic> {
        if self.values.is_empty() {
            return Ok(cli);
        }
        let values: Vec<_> =
            self.values.iter().filter(|(name, _)| !OF_HOSTS.contains(&name.as_str())).cloned().collect();
        let mut cli = cli::parse(words, &values).map_err(|error| Diagnostic::usage(error.to_string()))?;
        let of_hosts = self.values.iter().zip(&self.lines).filter(|((name, _), _)| OF_HOSTS.contains(&name.as_str()));
        cli.options.hosts.settings = of_hosts
            .map(|((name, values), line)| HostSetting {
                name: name.replace('-', "_"),
                value: values.concat(),
                file: self.file.display().to_string(),
                line: *line,
            })
            .collect();
        if cli.options.ssh.ask_password {
            cli.options.ssh.password_file = None;
        }
        Ok(cli)
    }

    fn line_of(&self, name: &str) -> Option<usize> {
        self.values.iter().position(|(key, _)| key == name).map(|at| self.lines[at])
    }
}

/// What is wrong, and where in the text.
struct ConfigError {
    offset: usize,
    message: String,
    hint: Option<String>,
}

impl ConfigError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn at(self, file: &Path, text: &str) -> Diagnostic {
        let before = text.get(..self.offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = format!("config file `{}`, line {line}, column {column}", file.display());
        Diagnostic::usage(format!("{place}: {}", self.message)).maybe_hint(self.hint)
    }
}

type Values = (Vec<(String, Vec<String>)>, Vec<usize>);

/// The settings of a text, and the line of each.
fn read(text: &str, environment: &Environment) -> Result<Values, ConfigError> {
    // The mark of the byte order is not TOML; what follows keeps its place.
    let blank = text.strip_prefix('\u{feff}').map(|rest| format!("   {rest}"));
    let table = DeTable::parse(blank.as_deref().unwrap_or(text))
        .map_err(|error| ConfigError::new(error.span().map_or(0, |span| span.start), one_line(error.message())))?;
    let settings = known::settings();
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let (mut values, mut lines) = Values::default();
    for (key, value) in entries {
        let name = key.get_ref().as_ref();
        let Some(setting) = settings.iter().find(|setting| setting.name == name) else {
            return Err(unknown(name, key.span().start, &settings));
        };
        let one = |value: &toml::Spanned<DeValue<'_>>| {
            let at = value.span().start;
            let text = match value.get_ref() {
                DeValue::String(text) => text.as_ref().to_owned(),
                DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
                _ => {
                    return Err(
                        ConfigError::new(at, format!("`{name}` must be text or a number")).hint(sample_line(setting))
                    );
                }
            };
            taken(setting, &text, environment).map_err(|(message, hint)| ConfigError { offset: at, message, hint })
        };
        let list = match value.get_ref() {
            DeValue::Array(items) if setting.is_many => items.iter().map(one).collect::<Result<Vec<_>, _>>()?,
            DeValue::Array(_) => {
                return Err(ConfigError::new(value.span().start, format!("`{name}` takes one value, not a list")));
            }
            _ => vec![one(value)?],
        };
        values.push((name.to_owned(), list));
        lines.push(text[..key.span().start.min(text.len())].matches('\n').count() + 1);
    }
    Ok((values, lines))
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

fn unknown(name: &str, at: usize, settings: &[Setting]) -> ConfigError {
    if known::is_option(name) {
        return ConfigError::new(at, format!("`{name}` cannot have a default: it is for the command line"))
            .hint(format!("write `--{name}` where it is meant"));
    }
    let wrong = ConfigError::new(at, format!("there is no setting `{name}`"));
    // Names are those of options, so words are parted by `-`.
    let name = name.replace('_', "-");
    match nearest(&name, settings.iter().map(|setting| setting.name.as_str())) {
        Some(near) => wrong.hint(format!("did you mean `{near}`?")),
        None => wrong.hint("settings are the long names of options; `gsctl config --example` prints them all"),
    }
}

/// A value as the option takes it.
fn taken(setting: &Setting, text: &str, environment: &Environment) -> Result<String, (String, Option<String>)> {
    let name = &setting.name;
    if name == "host-key-policy" && text == "off" {
        return Err((
            "`host-key-policy` cannot be `off` by default: no host would ever be known again".to_owned(),
            Some("write `--host-key-policy off` where it is meant, or `StrictHostKeyChecking no` for a host in ssh_config".to_owned()),
        ));
    }
    let mut value = text.to_owned();
    if setting.is_path {
        let (kind, rest) = text.strip_prefix("ansible:").map_or(("", text), |rest| ("ansible:", rest));
        let path = environment.path(rest);
        if path.is_relative() && !matches!(text, "-" | "none" | "ssh_config:") {
            let message = format!("`{name}`: `{text}` would be another file in every directory");
            return Err((message, Some("write it from `/` or `~/`".to_owned())));
        }
        value = format!("{kind}{}", path.display());
    }
    known::check(name, &value).map_err(|cause| (format!("`{name}` cannot be `{text}`: {cause}"), None))?;
    Ok(value)
}

/// `gsctl config`: every setting, its value and who said it.
///
/// # Errors
/// When the config file is wrong.
pub(super) fn config(
    args: &Arguments,
    cli: &Cli,
    words: &[OsString],
    environment: &Environment,
) -> Result<ExitStatus, Diagnostic> {
    if args.path {
        return finish(writeln!(io::stdout().lock(), "{}", path(environment).display()));
    }
    if args.example {
        return finish(io::stdout().lock().write_all(example().as_bytes()));
    }
    let config = if cli.options.run.no_config { Config::default() } else { Config::load(environment)? };
    let said = known::said(words, &config.values).map_err(|error| Diagnostic::usage(error.to_string()))?;
    let mut table = Table::new(["SETTING", "VALUE", "FROM"]);
    for (setting, values, said) in said {
        let from = match (said, config.line_of(&setting.name)) {
            (Said::CommandLine, _) => "command line".to_owned(),
            (Said::Environment, _) => setting.variable.clone(),
            (Said::Nobody, Some(line)) => format!("{}:{line}", config.file.display()),
            (Said::Nobody, None) => "default".to_owned(),
        };
        let value = if values.is_empty() { setting.default.unwrap_or_default() } else { values.join(", ") };
        table.row([setting.name, value, from]);
    }
    finish(table.write(&mut io::stdout().lock(), &Styles::default(), None, "~"))
}

/// A config file with everything in it, commented out.
fn example() -> String {
    let mut text = String::from(
        "# Defaults of gsctl: ~/.config/gsctl/config.toml, or what GSCTL_CONFIG names. Stronger are the environment and the\n\
         # command line. Names are those of the long options. A path begins with `/` or `~/`.\n",
    );
    for setting in known::settings() {
        let default = setting.default.as_ref().map(|default| format!(" [default: {default}]")).unwrap_or_default();
        let help = format!("{}{default}", setting.help.trim_end_matches('.'));
        let options = textwrap::Options::new(100).initial_indent("# ").subsequent_indent("# ");
        text = format!("{text}\n{}\n# {}\n", textwrap::fill(&help, options), sample_line(&setting));
    }
    text
}

/// A line of a config file that says something for the setting.
fn sample_line(setting: &Setting) -> String {
    let sample = match (setting.name.as_str(), setting.value_name.as_str()) {
        ("keepalive", _) => "15sx3",
        ("host-key-policy", _) => "accept-new",
        ("partition", _) => "1/4",
        (_, "DUR") => "30s",
        (_, "N" | "N|P%") => "5",
        (_, "PORT") => "22",
        (_, "USER") => "omm",
        (_, "WHEN") => "auto",
        (_, "SET") => "node[1-3]",
        (_, "SPEC") => "bastion",
        (_, "FILE" | "DIR") => "~/gsctl/NAME",
        _ => "NAME",
    };
    let default =
        setting.default.as_deref().filter(|default| !setting.is_path && known::check(&setting.name, default).is_ok());
    let value = default.unwrap_or(sample);
    let value = if value.bytes().all(|b| b.is_ascii_digit()) { value.to_owned() } else { format!("\"{value}\"") };
    if setting.is_many { format!("{} = [{value}]", setting.name) } else { format!("{} = {value}", setting.name) }
}
