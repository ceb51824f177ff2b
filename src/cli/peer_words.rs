//! The words of pssh, pdsh, clush, ansible and ssh: where one stands that gsctl does not have, its own word is said in
//! place of a guess.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What other tools, or habit, call a command, and what to say.
const COMMANDS: [(&str, &str); 16] = [
    ("bash", "to run a command: `exec COMMAND`; a local script: `script FILE`"),
    ("cmd", "to run a command: `exec COMMAND`"),
    ("command", "to run a command: `exec COMMAND`"),
    ("copy", "`push SRC... DEST` copies to the hosts, `pull SRC DEST` from them"),
    ("cp", "`push SRC... DEST` copies to the hosts, `pull SRC DEST` from them"),
    ("fetch", "`pull SRC DEST` copies from the hosts"),
    ("get", "`pull SRC DEST` copies from the hosts"),
    ("list", "`hosts` shows the hosts, `play --list` the playbooks, `runs` past runs"),
    ("put", "`push SRC... DEST` copies to the hosts"),
    ("rcopy", "`pull SRC DEST` copies from the hosts"),
    (
        "run",
        "to run a command: `exec COMMAND`; a local script: `script FILE`; a playbook: `play PLAYBOOK`; past runs: `runs`",
    ),
    ("scp", "`push SRC... DEST` copies to the hosts, `pull SRC DEST` from them"),
    ("sh", "to run a command: `exec COMMAND`; a local script: `script FILE`"),
    ("ssh", "to run a command: `exec COMMAND`"),
    ("sync", "`push SRC... DEST` copies to the hosts; `prsync` is there as well, see `gsctl pssh --help`"),
    ("upload", "`push SRC... DEST` copies to the hosts"),
];

/// Options of other tools, and what to say.
const OPTIONS: [(&str, &str); 42] = [
    ("-a", "all hosts of the hosts file are selected where neither -w nor -g says which"),
    ("--all", "all hosts of the hosts file are selected where neither -w nor -g says which"),
    ("-A", "`--ask-password` asks for a password"),
    ("--ask-become-pass", "`--ask-sudo-password` asks for sudo's password"),
    ("--ask-pass", "`--ask-password` asks for a password"),
    ("--askpass", "`--ask-password` asks for a password"),
    ("-b", "`--gather` shows identical output once; `--sudo` runs the command as root"),
    ("-B", "`--gather` shows identical output once"),
    ("--become", "`--sudo` runs the command as root, `--sudo=USER` as another user"),
    ("--become-user", "`--sudo=USER` runs the command as that user"),
    ("--check", "`--dry-run` says what would be done, and contacts nobody"),
    ("-c", "`push SRC... DEST` copies to the hosts"),
    ("-C", "`--dry-run` says what would be done, and contacts nobody; `push --check` what it would change"),
    ("--copy", "`push SRC... DEST` copies to the hosts"),
    ("--rcopy", "`pull SRC DEST` copies from the hosts"),
    ("-e", "`--output-dir DIR` keeps what each host printed, both streams; `play --var K=V` sets a variable"),
    ("--errdir", "`--output-dir DIR` keeps what each host printed, both streams"),
    ("--outdir", "`--output-dir DIR` keeps what each host printed"),
    ("--extra-vars", "`--var K=V` sets a variable of a playbook"),
    ("--forks", "`--fanout N` says how many hosts are worked on at once"),
    ("--par", "`--fanout N` says how many hosts are worked on at once"),
    ("-H", "`-w HOSTS` names hosts"),
    ("--host", "`-w HOSTS` names hosts"),
    ("--hostfile", "`-f FILE` names a hosts file"),
    ("--inventory", "`-f FILE` names an inventory"),
    ("--inline", "`--gather` shows output once a host is done"),
    ("-k", "`--ask-password` asks for a password"),
    ("-K", "`--ask-sudo-password` asks for sudo's password"),
    ("-L", "`--stream` shows lines as they come, with the host in front; `hosts` lists the hosts"),
    ("--limit", "`-w HOSTS`, `-g GROUP` and `-x HOSTS` narrow the selection"),
    ("--list-tasks", "`play PLAYBOOK --dry-run` shows the steps, `--list-hosts` the hosts"),
    ("-m", "`exec COMMAND` runs a command, `push` copies, `play` runs a playbook"),
    ("-O", "`-o KEY=VALUE` is an option of ssh"),
    ("--option", "`-o KEY=VALUE` is an option of ssh"),
    ("-P", "`--stream` shows lines as they come"),
    ("--print", "`--stream` shows lines as they come"),
    ("--private-key", "`-i FILE` names a private key"),
    ("--start-at-task", "`play PLAYBOOK --from STEP` begins at a step"),
    ("--tags", "`play PLAYBOOK --from STEP` begins at a step; there are no tags"),
    ("-u", "`-l USER` is the login name; `-t DUR` the time for each command"),
    ("-X", "`-x @GROUP` leaves out a group"),
    ("-r", "`push` and `pull` copy directories as they are"),
];

/// Says it in gsctl's words, where another tool's word was not understood.
pub(super) fn explain(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(_) | None => None,
    };
    let hint = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            text(ContextKind::InvalidSubcommand).and_then(|word| command_hint(&word, &error, words))
        }
        ErrorKind::UnknownArgument => text(ContextKind::InvalidArg).and_then(|word| option_hint(&word)),
        _ => None,
    };
    let Some((what, hint)) = hint else {
        if error.kind() == ErrorKind::UnknownArgument {
            drop_value_tip(&mut error);
        }
        return error;
    };
    clap::Error::raw(error.kind(), format!("{what}\nhint: {hint}\n\nFor more information, try '--help'.\n"))
}

/// Drops clap's tip to write `-- -b`: that would run `-b` on the hosts.
fn drop_value_tip(error: &mut clap::Error) {
    let Some(ContextValue::StyledStrs(tips)) = error.remove(ContextKind::Suggested) else { return };
    let tips: Vec<_> = tips.into_iter().filter(|tip| !tip.to_string().contains("as a value")).collect();
    if !tips.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
}

fn command_hint(word: &str, error: &clap::Error, words: &[OsString]) -> Option<(String, String)> {
    let what = format!("there is no command `{word}`");
    if let Some((_, hint)) = COMMANDS.iter().find(|(name, _)| *name == word) {
        return Some((what, (*hint).to_owned()));
    }
    let similar = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(names)) => names.first().cloned(),
        Some(ContextValue::String(name)) => Some(name.clone()),
        Some(_) | None => None,
    };
    let selects = words.iter().any(|word| {
        let word = word.to_string_lossy();
        ["-w", "-g", "-f", "--hosts", "--group", "--hosts-file"].iter().any(|option| word.starts_with(option))
    });
    let exec = format!("to run it on the hosts: `exec {word}`");
    match similar {
        // A slip of the finger, and nothing that speaks for a command of the hosts.
        Some(_) if !selects => None,
        Some(name) => Some((what, format!("{exec}; or did you mean `{name}`?"))),
        None => Some((what, exec)),
    }
}

fn option_hint(word: &str) -> Option<(String, String)> {
    let name = word.split('=').next().unwrap_or(word);
    let (_, hint) = OPTIONS.iter().find(|(option, _)| *option == name)?;
    Some((format!("there is no option `{name}` here"), (*hint).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> String {
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        super::super::parse(&words, &[]).expect_err("it is not understood").to_string()
    }

    #[test]
    fn words_of_other_tools_are_answered_in_our_own() {
        for (line, want) in [
            ("gsctl -w db1 uptime", "`exec uptime`"),
            ("gsctl -w db1 hostname -f", "`exec hostname`"),
            ("gsctl run uptime", "`exec COMMAND`"),
            ("gsctl ssh uptime", "`exec COMMAND`"),
            ("gsctl cp a /tmp", "`push SRC... DEST`"),
            ("gsctl -w db1 stats", "did you mean `start`"),
            ("gsctl exec -b uptime", "`--gather`"),
            ("gsctl exec -P uptime", "`--stream`"),
            ("gsctl -a ping", "all hosts of the hosts file"),
            ("gsctl ping --limit db1", "`-w HOSTS`"),
            ("gsctl exec --become id", "`--sudo`"),
            ("gsctl exec -u 5 id", "`-t DUR`"),
            ("gsctl exec --forks=4 id", "`--fanout N`"),
            ("gsctl exec -O StrictHostKeyChecking=no id", "`-o KEY=VALUE`"),
            ("gsctl exec --ask-pass id", "`--ask-password`"),
            ("gsctl play x.yaml --start-at-task a", "`play PLAYBOOK --from STEP`"),
        ] {
            let said = said(line);
            assert!(said.starts_with("error: ") && said.contains("\nhint: ") && said.contains(want), "{line}\n{said}");
            assert!(!said.contains("tip:") && !said.contains("-- -"), "{line}\n{said}");
        }
    }

    #[test]
    fn what_is_only_mistyped_keeps_claps_guess() {
        assert!(said("gsctl pign").contains("ping"));
        assert!(said("gsctl ping --fanuot 3").contains("--fanout"));
        // But not to run the option on the hosts.
        for line in ["gsctl exec -Z uptime", "gsctl exec --fanuot=3 uptime", "gsctl play --zzz x"] {
            assert!(
                said(line).contains("unexpected argument") && !said(line).contains("-- -"),
                "{line}\n{}",
                said(line)
            );
        }
        assert!(said("gsctl exec --fanuot=3 uptime").contains("--fanout"));
    }

    #[test]
    fn no_word_of_the_table_is_our_own() {
        let command = super::super::command();
        for (word, _) in COMMANDS {
            assert!(command.get_subcommands().all(|own| own.get_name() != word), "{word}");
        }
        for (option, _) in OPTIONS {
            let is_own = |arg: &clap::Arg| match option.strip_prefix("--") {
                Some(long) => arg.get_long() == Some(long),
                None => arg.get_short().map(|short| format!("-{short}")).as_deref() == Some(option),
            };
            assert!(!command.get_arguments().any(is_own), "{option}");
        }
    }
}
