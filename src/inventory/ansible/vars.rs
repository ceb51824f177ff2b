//! What Ansible's variables are to gsctl: a setting of its own, a variable for playbooks, or nothing.
//!
//! What would change how a host is reached, and cannot be taken over, is said once a file; what is secret is refused.

use std::collections::HashSet;

use super::super::host::KNOWN_SETTINGS;
use super::super::problem::quoted;
use super::super::settings::{self, SSH_ARGUMENTS};
use super::super::source::NO_VALUE;
use super::super::spec::SpecError;
use super::args;
use crate::inventory::file_format::BY_ANSIBLE;

/// A variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Text, a number, true or false.
    Text(String),
    /// Encrypted.
    Vault,
    /// Python's `None`, YAML's `null`.
    Nothing,
    /// A list or a mapping.
    Other,
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.trim_start().starts_with("$ANSIBLE_VAULT;") { Self::Vault } else { Self::Text(text) }
    }
}

/// Secrets, and how gsctl wants them.
const SECRETS: [(&str, &str); 8] = [
    ("ansible_password", LOGIN),
    ("ansible_ssh_pass", LOGIN),
    ("ansible_ssh_password", LOGIN),
    (
        "ansible_ssh_private_key",
        "write it to a file that only you can read, and name that: `ansible_ssh_private_key_file`",
    ),
    ("ansible_become_pass", SUDO),
    ("ansible_become_password", SUDO),
    ("ansible_sudo_pass", SUDO),
    ("ansible_su_pass", SUDO),
];

const LOGIN: &str = "take it out of the file: gsctl asks for it (`--ask-password`), or reads it from a file that only you \
    can read (`--password-file`)";
const SUDO: &str = "take it out of the file: `gsctl exec --sudo --ask-sudo-password` asks for it";

/// Words of Ansible that have no meaning without Ansible: nothing is lost.
const ANSIBLES_OWN: [&str; 15] = [
    "ansible_become_flags",
    "ansible_become_method",
    "ansible_group_priority",
    "ansible_network_os",
    "ansible_pipelining",
    "ansible_remote_tmp",
    "ansible_scp_extra_args",
    "ansible_scp_if_ssh",
    "ansible_sftp_batch_mode",
    "ansible_sftp_extra_args",
    "ansible_shell_executable",
    "ansible_shell_type",
    "ansible_ssh_executable",
    "ansible_ssh_pipelining",
    "ansible_ssh_transfer_method",
];

/// Takes variables over, and keeps what is worth saying about them.
#[derive(Debug)]
pub(super) struct Vars {
    file: String,
    told: HashSet<String>,
    pub(super) warnings: Vec<String>,
}

impl Vars {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), told: HashSet::new(), warnings: Vec::new() }
    }

    /// What a variable is to gsctl: a setting or variable with its value, or nothing.
    pub(super) fn take(&mut self, key: &str, value: Value, line: usize) -> Result<Option<(String, String)>, SpecError> {
        if let Some((_, hint)) = SECRETS.iter().find(|(secret, _)| *secret == key) {
            return Err(
                SpecError::new(format!("`{key}` is a secret, and gsctl takes none from an inventory")).hint(*hint)
            );
        }
        if let Some((_, ours)) = settings::ANSIBLE.iter().find(|(theirs, _)| *theirs == key) {
            let value = plain(key, value)?;
            if value.is_empty() {
                return Ok(Some(((*ours).to_owned(), NO_VALUE.to_owned())));
            }
            settings::check(ours, &value, &format!("{ours}={value}"))
                .map_err(|error| SpecError { message: format!("`{key}`: {}", error.message), ..error })?;
            return Ok(Some(((*ours).to_owned(), value)));
        }
        if SSH_ARGUMENTS.contains(&key) {
            let value = plain(key, value)?;
            let jump = args::jump(&value);
            if jump.is_none() && !value.trim().is_empty() {
                self.tell(
                    key,
                    line,
                    &format!(
                        "`{key}` is not taken over: gsctl understands `-J` and `-o ProxyJump` there; \
                    what else ssh takes is for -o or ssh_config to say"
                    ),
                );
            }
            return Ok(Some((key.to_owned(), jump.unwrap_or_else(|| NO_VALUE.to_owned()))));
        }
        if key.starts_with("ansible_") {
            self.ansibles(key, &value, line);
            return Ok(None);
        }
        if KNOWN_SETTINGS.contains(&key) {
            let (theirs, _) = settings::ANSIBLE.iter().find(|(_, ours)| *ours == key).unwrap_or(&("", ""));
            let instead =
                if theirs.is_empty() { String::new() } else { format!("; gsctl's `{key}` is `{theirs}` there") };
            self.tell(
                key,
                line,
                &format!(
                    "`{key}` is a variable like any other in an Ansible inventory, and is left \
                out{instead}"
                ),
            );
            return Ok(None);
        }
        if settings::check(key, "x", key).is_err() {
            return Ok(None);
        }
        Ok(Some(match value {
            Value::Text(text) if is_for_playbooks(key, &text) => (key.to_owned(), text),
            // What a weaker place says is not the value of this host.
            _ => (key.to_owned(), NO_VALUE.to_owned()),
        }))
    }

    /// A variable that only Ansible knows: worth a word, where it says how a host is reached.
    fn ansibles(&mut self, key: &str, value: &Value, line: usize) {
        let value = match value {
            Value::Text(text) => text.as_str(),
            Value::Vault | Value::Nothing | Value::Other => "",
        };
        let own = ANSIBLES_OWN.contains(&key) || key.ends_with("_interpreter");
        let ssh = matches!(value, "ssh" | "smart" | "paramiko" | "paramiko_ssh");
        let off = matches!(value.to_ascii_lowercase().as_str(), "false" | "no" | "0" | "off");
        match key {
            _ if own => {}
            "ansible_connection" if ssh => {}
            "ansible_connection" => {
                let value = quoted(value);
                self.tell(key, line, &format!("`{key}` is {value}, and gsctl reaches the host over SSH all the same"));
            }
            "ansible_become" if off => {}
            "ansible_become" | "ansible_become_user" => {
                self.tell(key, line, &format!("`{key}` is not taken over; `gsctl exec --sudo` runs as another user"));
            }
            _ => self.tell(key, line, &format!("{} is not taken over", quoted(key))),
        }
    }

    /// Says something once for each key.
    fn tell(&mut self, key: &str, line: usize, message: &str) {
        if self.told.insert(key.to_owned()) {
            self.warnings.push(format!("hosts file `{}`, line {line}: {message}", self.file));
        }
    }
}

/// The text of a variable that says how a host is reached.
fn plain(key: &str, value: Value) -> Result<String, SpecError> {
    match value {
        Value::Text(text) if text.contains("{{") || text.contains("{%") => {
            Err(SpecError::new(format!("`{key}` is a template, and only Ansible can work it out")).hint(BY_ANSIBLE))
        }
        Value::Text(text) => Ok(text),
        Value::Vault => Err(SpecError::new(format!("`{key}` is encrypted, and gsctl has no vault password")).hint(
            "write it in the open, or leave it out and say it with an option of gsctl; secrets go with --password-file",
        )),
        Value::Nothing => Ok(String::new()),
        Value::Other => Err(SpecError::new(format!("`{key}` is not text"))),
    }
}

/// Whether a playbook of gsctl may have it. What sounds like a secret stays where it is: `gsctl hosts` shows variables.
fn is_for_playbooks(key: &str, value: &str) -> bool {
    let name = key.to_ascii_lowercase();
    let secret =
        ["pass", "secret", "token", "vault", "credential", "private_key"].iter().any(|word| name.contains(word));
    let template = value.contains("{{") || value.contains("{%");
    !secret && !template && settings::check(key, value, key).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(key: &str, value: &str) -> Result<Option<(String, String)>, String> {
        Vars::new("inv").take(key, Value::text(value), 3).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn is(key: &str, value: &str, want: Option<(&str, &str)>) {
        let want = want.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(take(key, value), Ok(want), "{key}={value}");
    }

    #[track_caller]
    fn warns(key: &str, value: &str, want: &[&str]) {
        let mut vars = Vars::new("inv");
        vars.take(key, Value::text(value), 3).unwrap();
        vars.take(key, Value::text(value), 4).unwrap();
        assert_eq!(vars.warnings, want, "{key}={value}");
    }

    #[test]
    fn settings_and_variables() {
        is("ansible_host", "10.0.0.1", Some(("address", "10.0.0.1")));
        is("ansible_ssh_user", "omm", Some(("user", "omm")));
        is("ansible_port", "2222", Some(("port", "2222")));
        is("ansible_ssh_private_key_file", "~/.ssh/id", Some(("identity", "~/.ssh/id")));
        is("ansible_ssh_common_args", "-o ProxyJump=b", Some(("ansible_ssh_common_args", "b")));
        is("ansible_ssh_common_args", "", Some(("ansible_ssh_common_args", NO_VALUE)));
        is("ansible_user", "", Some(("user", NO_VALUE)));
        is("gausshome", "/opt/x", Some(("gausshome", "/opt/x")));
        is("gausshome", "", Some(("gausshome", "")));
        is("db_password", "hunter2", Some(("db_password", NO_VALUE)));
        is("motd", "{{ x }}", Some(("motd", NO_VALUE)));
        is("blob", "$ANSIBLE_VAULT;1.1;AES256\n3161", Some(("blob", NO_VALUE)));
        is("two words", "x", None);
        is("lines", "a\nb", Some(("lines", NO_VALUE)));
    }

    #[test]
    fn what_is_refused() {
        for (key, value, want) in [
            ("ansible_port", "x", "`ansible_port`: port `x` is not a number"),
            ("ansible_host", "{{ ip }}", "`ansible_host` is a template"),
            ("ansible_user", "$ANSIBLE_VAULT;1.1;AES256", "`ansible_user` is encrypted"),
            ("ansible_password", "hunter2", "`ansible_password` is a secret"),
            ("ansible_become_pass", "hunter2", "`ansible_become_pass` is a secret"),
        ] {
            let error = take(key, value).unwrap_err();
            assert!(error.starts_with(want) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_said_once() {
        warns("gausshome", "x", &[]);
        warns("ansible_python_interpreter", "/usr/bin/python3", &[]);
        warns("ansible_connection", "ssh", &[]);
        warns("ansible_become", "false", &[]);
        warns(
            "ansible_connection",
            "local",
            &[
                "hosts file `inv`, line 3: `ansible_connection` is `local`, and gsctl reaches the host over SSH all the same",
            ],
        );
        warns("ansible_timeout", "9", &["hosts file `inv`, line 3: `ansible_timeout` is not taken over"]);
        warns(
            "port",
            "5432",
            &[
                "hosts file `inv`, line 3: `port` is a variable like any other in an Ansible inventory, and is left out; \
                gsctl's `port` is `ansible_port` there",
            ],
        );
        warns(
            "ansible_ssh_common_args",
            "-C",
            &["hosts file `inv`, line 3: `ansible_ssh_common_args` is not taken over: gsctl understands `-J` and \
                `-o ProxyJump` there; what else ssh takes is for -o or ssh_config to say"],
        );
    }
}
