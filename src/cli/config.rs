//! The arguments of `config`, and what a config file may set: every option that the environment may set, too.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, Args, Command, FromArgMatches as _, Parser as _, ValueHint};

use super::{Cli, command};

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct Config {
    /// Print the path of the config file, be it there or not.
    #[arg(long, conflicts_with = "example")]
    pub path: bool,
    /// Print a config file with every setting, commented out.
    #[arg(long)]
    pub example: bool,
}

/// An option that has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its long name, which is its name in the config file.
    pub name: String,
    /// Its environment variable.
    pub variable: String,
    /// Its help.
    pub help: String,
    /// The default, in words.
    pub default: Option<String>,
    /// What its value is called: `FILE`, `DUR`.
    pub value_name: String,
    /// It names a file or directory.
    pub is_path: bool,
    /// It takes several values.
    pub is_many: bool,
}

/// What stands in for the defaults of options: long names, and values.
pub type Defaults = [(String, Vec<String>)];

/// Who said what an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The command line.
    CommandLine,
    /// The environment.
    Environment,
    /// Neither of them.
    Nobody,
}

/// Every setting, in the order of the help.
#[must_use]
pub fn settings() -> Vec<Setting> {
    command().get_arguments().filter_map(setting).collect()
}

fn setting(arg: &Arg) -> Option<Setting> {
    let variable = arg.get_env().filter(|_| arg.is_global_set())?.to_str()?.to_owned();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (words, told) = match help.rsplit_once(" [default: ") {
        Some((words, told)) => (words.to_owned(), Some(told.trim_end_matches(['.', ']']).to_owned())),
        None => (help.clone(), None),
    };
    let own: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    Some(Setting {
        name: arg.get_long()?.to_owned(),
        variable,
        help: words,
        default: if own.is_empty() { told } else { Some(own.join(", ")) },
        value_name: arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default(),
        is_path: matches!(arg.get_value_hint(), ValueHint::FilePath | ValueHint::DirPath),
        is_many: matches!(arg.get_action(), ArgAction::Append),
    })
}

/// Whether it is an option at all, though none that may have a default of one's own.
#[must_use]
pub fn is_option(name: &str) -> bool {
    command().get_arguments().any(|arg| arg.get_long() == Some(name))
}

/// Refuses a value that the option would not take.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(name: &str, value: &str) -> Result<(), String> {
    let option = format!("--{name}={value}");
    let Err(error) = Cli::try_parse_from(["gsctl", &option, "ping"]) else { return Ok(()) };
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let cause = first.split_once(">': ").map_or("it is not what the option takes", |(_, cause)| cause);
    let possible = text.split_once("[possible values: ").and_then(|(_, rest)| rest.split_once(']'));
    Err(possible.map_or_else(|| cause.to_owned(), |(values, _)| format!("expected one of {values}")))
}

/// The command line with other defaults.
pub(super) fn with(defaults: &Defaults) -> Command {
    let mut all = command();
    for (name, values) in defaults {
        let Some(id) = all.get_arguments().find(|arg| arg.get_long() == Some(name)).map(|arg| arg.get_id().clone())
        else {
            continue;
        };
        let set = |arg: Arg| arg.default_values(values.clone());
        // `check` and `wait` have an option of their own in the place of `--port`.
        let own: Vec<String> = all
            .get_subcommands()
            .filter(|sub| sub.get_arguments().any(|arg| *arg.get_id() == id))
            .map(|sub| sub.get_name().to_owned())
            .collect();
        for sub in own {
            all = all.mut_subcommand(sub, |sub| sub.mut_arg(&id, set));
        }
        all = all.mut_arg(&id, set);
    }
    all
}

/// The same command line, but with none of its commands except the one that a word names; `None` where none does.
///
/// clap gives each command a copy of every option, which costs more than all else that it does. Whatever this takes, the whole takes
/// in the same way; what this does not take, the whole may.
pub(super) fn narrowed(whole: &Command, words: &[OsString]) -> Option<Command> {
    let named = words.iter().skip(1).find_map(|word| whole.find_subcommand(word))?;
    let narrow = Command::new(whole.get_name().to_owned())
        .args(whole.get_arguments())
        .groups(whole.get_groups())
        .subcommand(named)
        .subcommand_required(true)
        .disable_help_subcommand(true);
    Some(narrow)
}

/// Reads the command line by a `command` that has these defaults.
///
/// # Errors
/// When it is not understood, or asks for help.
pub(super) fn parse(words: &[OsString], defaults: &Defaults, command: &mut Command) -> Result<Cli, clap::Error> {
    let matches = command.try_get_matches_from_mut(words)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(command))?;
    let of_environment = |id: &str| matches.value_source(id) == Some(ValueSource::EnvVariable);
    let ids = matches.ids().map(clap::Id::as_str).filter(|id| of_environment(id)).map(str::to_owned);
    cli.options.from_environment = ids.collect();
    let own = |id: &str| matches.value_source(id) == Some(ValueSource::DefaultValue);
    let ids = defaults.iter().map(|(name, _)| name.replace('-', "_"));
    cli.options.from_config = ids.filter(|id| own(id)).collect();
    Ok(cli)
}

/// Every setting with its value, where one was given, and where.
///
/// # Errors
/// When the command line is not understood.
pub fn said(words: &[OsString], defaults: &Defaults) -> Result<Vec<(Setting, Vec<String>, Said)>, clap::Error> {
    let command = with(defaults);
    let matches = command.clone().try_get_matches_from(words)?;
    let said = |arg: &Arg| {
        let setting = setting(arg)?;
        let id = arg.get_id().as_str();
        let values = matches.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy().into_owned());
        let said = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Said::CommandLine,
            Some(ValueSource::EnvVariable) => Said::Environment,
            _ => Said::Nobody,
        };
        Some((setting, values.collect(), said))
    };
    Ok(command.get_arguments().filter_map(said).collect())
}

/// The first of these options that stands on the command line.
#[must_use]
pub fn typed<'a>(words: &[OsString], names: &[&'a str]) -> Option<&'a str> {
    let said = said(words, &[]).ok()?;
    let is_typed =
        |name: &str| said.iter().any(|(setting, _, said)| setting.name == name && *said == Said::CommandLine);
    names.iter().copied().find(|name| is_typed(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_may_set_a_file_may_set() {
        let settings = settings();
        let names: Vec<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();
        for name in ["fanout", "connect-timeout", "user", "hosts-file", "host-key-policy", "color", "progress"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(!names.contains(&"yes") && is_option("yes") && is_option("dry-run") && !is_option("fan-out"));
        let of = |name: &str| settings.iter().find(|setting| setting.name == name).unwrap();
        assert_eq!(of("fanout").default.as_deref(), Some("128"));
        assert_eq!(of("connect-timeout").default.as_deref(), Some("5s"));
        assert!(of("identity").is_many && of("identity").is_path && !of("user").is_many);
    }

    #[test]
    fn values() {
        assert_eq!(check("fanout", "64"), Ok(()));
        assert_eq!(check("fanout", "0"), Err("0 is not in 1..=4294967295".to_owned()));
        assert_eq!(check("color", "blue"), Err("expected one of auto, always, never".to_owned()));
        assert!(check("timeout", "5x").unwrap_err().contains("`5x` is not a duration"));
    }

    #[test]
    fn defaults_are_weaker_than_what_is_typed() {
        let words = |text: &str| -> Vec<OsString> { text.split(' ').map(OsString::from).collect() };
        let defaults = [("fanout".to_owned(), vec!["7".to_owned()]), ("port".to_owned(), vec!["2222".to_owned()])];
        for (typed, fanout, port) in [
            ("gsctl ping", 7, 2222),
            ("gsctl --fanout 9 ping", 9, 2222),
            ("gsctl ping --fanout 9 -p 1", 9, 1),
            ("gsctl check --port 5", 7, 2222),
            ("gsctl -p 1 wait --port 5", 7, 1),
            ("gsctl wait -p 1 --port 5", 7, 1),
        ] {
            let options = parse(&words(typed), &defaults, &mut with(&defaults)).unwrap().options;
            assert_eq!((options.run.fanout, options.ssh.port), (fanout, Some(port)), "{typed}");
        }
        let said = said(&words("gsctl config --fanout 9"), &defaults).unwrap();
        let of = |name: &str| {
            said.iter().find(|(setting, ..)| setting.name == name).map(|(_, values, said)| (values.clone(), *said))
        };
        assert_eq!(of("fanout"), Some((vec!["9".to_owned()], Said::CommandLine)));
        assert_eq!(of("port"), Some((vec!["2222".to_owned()], Said::Nobody)));
    }
}
