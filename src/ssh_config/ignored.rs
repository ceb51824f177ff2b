//! Values of keywords that make no difference to gsctl: those that ssh refuses are refused here too, so that a file is wrong
//! for both or for none.

/// The values that a keyword takes.
enum Values {
    /// `yes` or `no`, and these.
    FlagOr(&'static [&'static str]),
    /// These.
    Words(&'static [&'static str]),
    /// A number.
    Number,
}

const LEVELS: &[&str] = &["quiet", "fatal", "error", "info", "verbose", "debug", "debug1", "debug2", "debug3"];
const FACILITIES: &[&str] = &[
    "daemon", "user", "auth", "authpriv", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// Keywords whose values ssh looks at, as far as they are the same in all its versions.
const KEYWORDS: &[(&str, Values)] = &[
    ("ClearAllForwardings", Values::FlagOr(&[])),
    ("ControlMaster", Values::FlagOr(&["ask", "auto", "autoask"])),
    ("EnableEscapeCommandline", Values::FlagOr(&[])),
    ("EnableSSHKeysign", Values::FlagOr(&[])),
    ("ExitOnForwardFailure", Values::FlagOr(&[])),
    ("ForkAfterAuthentication", Values::FlagOr(&[])),
    ("ForwardX11", Values::FlagOr(&[])),
    ("ForwardX11Trusted", Values::FlagOr(&[])),
    ("GatewayPorts", Values::FlagOr(&[])),
    ("GSSAPIAuthentication", Values::FlagOr(&[])),
    ("GSSAPIDelegateCredentials", Values::FlagOr(&[])),
    ("LogLevel", Values::Words(LEVELS)),
    ("NumberOfPasswordPrompts", Values::Number),
    ("RequestTTY", Values::FlagOr(&["force", "auto"])),
    ("RequiredRSASize", Values::Number),
    ("StdinNull", Values::FlagOr(&[])),
    ("StreamLocalBindUnlink", Values::FlagOr(&[])),
    ("SyslogFacility", Values::Words(FACILITIES)),
    ("TCPKeepAlive", Values::FlagOr(&[])),
    ("UpdateHostKeys", Values::FlagOr(&["ask"])),
    ("VisualHostKey", Values::FlagOr(&[])),
];

/// Refuses what ssh refuses. `name` is as the manual spells it.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    let Some((_, values)) = KEYWORDS.iter().find(|(keyword, _)| *keyword == name) else { return Ok(()) };
    let is_in = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    let (fits, wanted) = match values {
        Values::FlagOr(words) => {
            let all = ["yes", "no"].iter().chain(*words).map(|word| format!("`{word}`")).collect::<Vec<_>>();
            (is_in(&["yes", "no", "true", "false"]) || is_in(words), all.join(", "))
        }
        Values::Words(words) => (is_in(words), format!("one of {}", words.join(", "))),
        Values::Number => (value.parse::<u32>().is_ok(), "a number".to_owned()),
    };
    if fits { Ok(()) } else { Err(format!("`{name}` wants {wanted}, not `{value}`")) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use super::*;

    /// Whether the installed ssh takes a line; `None` where it does not know the keyword.
    fn ssh_takes(keyword: &str, value: &str) -> Option<bool> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{keyword} {value}").unwrap();
        let output = Command::new("ssh").args(["-G", "-F"]).arg(file.path()).args(["host", "true"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (!said.contains("Bad configuration option")).then_some(output.status.success())
    }

    #[test]
    fn ssh_refuses_the_same() {
        for (keyword, _) in KEYWORDS {
            for value in [
                "yes", "no", "TRUE", "ask", "auto", "force", "autoask", "1", "-1", "quiet", "DEBUG2", "LOUD", "user",
                "x",
            ] {
                if let Some(taken) = ssh_takes(keyword, value) {
                    assert_eq!(check(keyword, value).is_ok(), taken, "{keyword} {value}");
                }
            }
        }
        assert_eq!(check("LogLevel", "LOUD").unwrap_err().split(',').next(), Some("`LogLevel` wants one of quiet"));
        assert!(check("SendEnv", "LOUD").is_ok());
    }
}
