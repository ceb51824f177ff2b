//! What may stand as `key=value`, on a host line or in a `:vars` section.
//!
//! Checks a value where gsctl knows the key; what a playbook's variable may be is the playbook's business.

use super::host::KNOWN_SETTINGS;
use super::jump::parse_jump;
use super::other_formats::GENDERS;
use super::problem::quoted;
use super::spec::{SpecError, check_host, check_user, is_address, parse_port, parse_spec};
use crate::duration;
use crate::text::distance;

/// Ansible's words for what gsctl has its own word for.
pub(super) const ANSIBLE: [(&str, &str); 9] = [
    ("ansible_host", "address"),
    ("ansible_ssh_host", "address"),
    ("ansible_user", "user"),
    ("ansible_ssh_user", "user"),
    ("ansible_port", "port"),
    ("ansible_ssh_port", "port"),
    ("ansible_ssh_private_key_file", "identity"),
    ("ansible_private_key_file", "identity"),
    ("ansible_ssh_timeout", "connect_timeout"),
];

/// Ansible's variables with arguments for ssh, in the order in which it joins them. Each is a variable of its own; the first
/// that names a jump host is `jump`, once it is settled what each of them is for a host.
pub(super) const SSH_ARGUMENTS: [&str; 3] = ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"];

/// Refuses a key or a value that cannot be right. `written` is the word as it stands in the file.
pub(super) fn check(key: &str, value: &str, written: &str) -> Result<(), SpecError> {
    check_key(key, written)?;
    if value.is_empty() && written.ends_with('=') {
        return Err(SpecError::new(format!("`{key}` has no value"))
            .hint(format!("write `{key}=VALUE` without blanks, or `{key}=\"\"` for an empty value")));
    }
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(SpecError::new(format!("the value of `{key}` holds a control character: {}", quoted(value))));
    }
    match key {
        "address" => check_address(value),
        "user" => check_user(value),
        "port" => parse_port(value).map(drop),
        "identity" if value.is_empty() => Err(SpecError::new("the path of `identity` is empty")),
        "jump" => parse_jump(value).map(drop),
        "timeout" | "connect_timeout" => {
            duration::parse(value).map(drop).map_err(|error| SpecError::new(format!("{key}: {error}")))
        }
        _ => Ok(()),
    }
}

fn check_key(key: &str, written: &str) -> Result<(), SpecError> {
    if let Some((_, ours)) = ANSIBLE.iter().find(|(theirs, _)| *theirs == key) {
        return Err(SpecError::new(format!("`{key}` is Ansible's word")).hint(format!("write `{ours}=`")));
    }
    if key.starts_with("ansible_") {
        let known = KNOWN_SETTINGS.join("`, `");
        return Err(SpecError::new(format!("{} is a setting of Ansible", quoted(key)))
            .hint(format!("gsctl's settings are `{known}`; remove the word")));
    }
    if key.is_empty() {
        return Err(SpecError::new(format!("{} has no key before the `=`", quoted(written)))
            .hint("write `key=value` without blanks around the `=`"));
    }
    let first = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !first || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        let error = SpecError::new(format!("{} is not a name for a setting", quoted(key)));
        return Err(if key.contains(',') {
            error.hint(GENDERS)
        } else {
            error.hint("names are letters, digits, `_`, `-` and `.`, and begin with a letter")
        });
    }
    Ok(())
}

fn check_address(value: &str) -> Result<(), SpecError> {
    if is_address(value) {
        return Ok(());
    }
    match parse_spec(value) {
        Ok(spec) if spec.user.is_some() || spec.port.is_some() => {
            Err(SpecError::new(format!("{} is more than an address", quoted(value)))
                .hint("user and port have settings of their own: `user=` and `port=`"))
        }
        _ => check_host(value),
    }
}

/// The known setting that an unknown key is a slip of, most likely.
pub(super) fn slip(key: &str) -> Option<&'static str> {
    if key.len() < 4 || KNOWN_SETTINGS.contains(&key) {
        return None;
    }
    KNOWN_SETTINGS.into_iter().find(|known| distance(key, known) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn good(key: &str, value: &str) {
        assert_eq!(check(key, value, &format!("{key}={value}")), Ok(()));
    }

    #[track_caller]
    fn bad(key: &str, value: &str, want: &str) {
        assert_eq!(check(key, value, &format!("{key}={value}")).unwrap_err().to_string(), want);
    }

    #[test]
    fn what_may_stand() {
        good("address", "10.0.0.7");
        good("address", "2001:db8::7");
        good("address", "fe80::1%eth0");
        good("address", "db7.example.com");
        good("user", "omm");
        good("port", "2222");
        good("identity", "~/.ssh/id_db");
        good("jump", "bastion");
        good("jump", "omm@bastion:2222,[2001:db8::7]:22");
        good("jump", "none");
        good("timeout", "0");
        good("connect_timeout", "1m30s");
        good("gausshome", "/opt/huawei/install/app");
        good("az.name-1", "=");
    }

    #[test]
    fn what_may_not() {
        bad("port", "99999", "port `99999` is out of range\nhint: ports go from 1 to 65535");
        bad(
            "port",
            "",
            "`port` has no value\nhint: write `port=VALUE` without blanks, or `port=\"\"` for an empty value",
        );
        bad("timeout", "5x", "timeout: `5x` is not a duration: write `60`, `90s`, `5m` or `1h30m`");
        bad(
            "address",
            "omm@10.0.0.7:22",
            "`omm@10.0.0.7:22` is more than an address\nhint: user and port have settings of their own: `user=` and `port=`",
        );
        bad(
            "jump",
            "a:b:c",
            "jump: `a:b:c` is neither `host:port` nor an IPv6 address\nhint: an IPv6 address with a port is written `[2001:db8::7]:22`",
        );
        bad("ansible_host", "10.0.0.1", "`ansible_host` is Ansible's word\nhint: write `address=`");
        bad("", "x", "`=x` has no key before the `=`\nhint: write `key=value` without blanks around the `=`");
        bad(
            "1st",
            "x",
            "`1st` is not a name for a setting\nhint: names are letters, digits, `_`, `-` and `.`, and begin with a letter",
        );
        bad("motd", "\u{1b}[2J", "the value of `motd` holds a control character: `\\u{1b}[2J`");
    }

    #[test]
    fn slips() {
        assert_eq!(slip("adress"), Some("address"));
        assert_eq!(slip("usre"), Some("user"));
        assert_eq!(slip("user"), None);
        assert_eq!(slip("az"), None);
        assert_eq!(slip("gausshome"), None);
    }
}
