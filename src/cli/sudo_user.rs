//! `--sudo USER` with a blank: the user would be the command, run as root.

use std::ffi::OsString;

use clap::error::ErrorKind;

/// Refuses a single word between `--sudo` and `--`: it is a user, most likely, and would be the command.
///
/// # Errors
/// Where there is one.
pub(super) fn check(words: &[OsString]) -> Result<(), clap::Error> {
    let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word == text);
    // What follows the first `--` is the command's.
    let Some(end) = words.iter().position(|word| word == "--") else { return Ok(()) };
    for at in 0..end {
        let Some(user) = words.get(at + 1).filter(|_| is(at, "--sudo") && at + 2 == end) else { continue };
        let user = user.to_string_lossy();
        if !user.starts_with('-') && !user.contains(char::is_whitespace) {
            return Err(clap::Error::raw(
                ErrorKind::InvalidValue,
                format!(
                    "`--sudo {user} --`: `{user}` would be the command, and run as root\n\
                     hint: the user is written without a blank: `--sudo={user} --`\n"
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    fn parsed(line: &str) -> Result<super::super::Cli, String> {
        let words: Vec<std::ffi::OsString> = line.split(' ').map(Into::into).collect();
        super::super::parse(&words, &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_user_behind_a_blank_is_refused() {
        for line in ["gsctl exec --sudo postgres -- psql -c x", "gsctl script --sudo postgres -- f.sh"] {
            let said = parsed(line).unwrap_err();
            assert!(
                said.contains("`postgres` would be the command") && said.contains("`--sudo=postgres --`"),
                "{said}"
            );
        }
        for line in [
            "gsctl exec --sudo -- psql -c x",
            "gsctl exec --sudo systemctl restart x",
            "gsctl exec --sudo id",
            "gsctl exec --sudo=postgres -- psql",
            "gsctl exec --sudo --pty -- psql",
            "gsctl exec -- echo --sudo postgres -- x",
        ] {
            assert!(parsed(line).is_ok(), "{line}");
        }
    }
}
