//! `ansible_ssh_common_args` and its kind: the jump host that they name, where they name nothing else.

use super::super::jump::parse_jump;
use super::words::words;

/// The jump hosts, as `jump=` takes them. `None` where the arguments say more, or something else.
pub(super) fn jump(arguments: &str) -> Option<String> {
    let mut jump = None;
    let mut words = words(arguments).ok()?.into_iter().map(|word| word.text);
    while let Some(word) = words.next() {
        let found = if let Some(glued) = word.strip_prefix("-J") {
            if glued.is_empty() { words.next()? } else { glued.to_owned() }
        } else {
            let glued = word.strip_prefix("-o")?;
            let option = if glued.is_empty() { words.next()? } else { glued.to_owned() };
            let (key, value) = option.trim().split_once(|c: char| c == '=' || c.is_whitespace())?;
            let value = value.trim_start_matches(|c: char| c == '=' || c.is_whitespace()).trim_matches('"');
            match key.to_ascii_lowercase().as_str() {
                "proxyjump" => value.to_owned(),
                "proxycommand" => of_command(value)?,
                _ => return None,
            }
        };
        // Two of them: ssh takes the first, so the second would be ignored without a word.
        if parse_jump(&found).is_err() || jump.replace(found).is_some() {
            return None;
        }
    }
    jump
}

/// `ssh -W %h:%p [-q] [-p PORT] [-l USER] [USER@]HOST`: what people wrote before there was `ProxyJump`.
fn of_command(command: &str) -> Option<String> {
    let words = words(command).ok()?;
    let mut words = words.iter().map(|word| word.text.as_str());
    if words.next()? != "ssh" {
        return None;
    }
    let (mut forwards, mut port, mut user, mut host) = (false, None, None, None);
    while let Some(word) = words.next() {
        match word {
            "-W" => forwards = words.next()? == "%h:%p",
            "-q" | "-T" => {}
            "-p" => port = Some(words.next()?),
            "-l" => user = Some(words.next()?),
            _ if word.starts_with('-') || host.is_some() => return None,
            _ => host = Some(word),
        }
    }
    let host = host.filter(|_| forwards)?;
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{user}{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_jump_host_and_nothing_else() {
        for (arguments, want) in [
            ("-o ProxyJump=bastion", Some("bastion")),
            ("-oProxyJump=omm@b1:2222,b2", Some("omm@b1:2222,b2")),
            ("-o 'ProxyJump bastion'", Some("bastion")),
            ("-J bastion", Some("bastion")),
            ("-Jbastion", Some("bastion")),
            ("-o proxyjump = bastion", None),
            (r#"-o ProxyCommand="ssh -W %h:%p -q omm@bastion""#, Some("omm@bastion")),
            ("-o ProxyCommand='ssh -q -p 2222 -l omm bastion -W %h:%p'", Some("omm@bastion:2222")),
            ("-o ProxyCommand='ssh -i key -W %h:%p bastion'", None),
            ("-o ProxyCommand='nc -X 5 %h %p'", None),
            ("-o ProxyCommand='ssh bastion nc %h %p'", None),
            ("-o StrictHostKeyChecking=no", None),
            ("-o StrictHostKeyChecking=no -J bastion", None),
            ("-J a -J b", None),
            ("-J a:b:c", None),
            ("-J", None),
            ("", None),
        ] {
            assert_eq!(jump(arguments).as_deref(), want, "{arguments}");
        }
    }
}
