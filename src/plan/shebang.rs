//! A local script as a command for a node: which interpreter its first line names, and how that gets to read it.

use super::quote::quote;

/// A script that is read from elsewhere than the node's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The interpreter's path.
    pub program: String,
    /// All that follows it in the first line, which Linux hands over as one word.
    pub option: Option<String>,
}

impl Interpreter {
    /// The interpreter that the first line names; `/bin/sh` where there is none.
    ///
    /// # Errors
    /// What is wrong with the script, and the way out.
    pub fn of(script: &[u8]) -> Result<Self, (String, String)> {
        let wrong = |cause: &str, hint: &str| Err((cause.to_owned(), hint.to_owned()));
        if script.is_empty() {
            return wrong("is empty", "there is nothing to run");
        }
        if script.contains(&0) {
            return wrong("holds a NUL, so it is no script", "a program must be copied to the nodes and run there");
        }
        let Some(rest) = script.strip_prefix(b"#!") else {
            return Ok(Self { program: "/bin/sh".to_owned(), option: None });
        };
        let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
        if line.ends_with(b"\r") {
            return wrong(
                "line 1 ends with a carriage return, which would become part of the interpreter's name",
                "give the script the line ends of Unix, as dos2unix does",
            );
        }
        let Ok(line) = std::str::from_utf8(line) else {
            return wrong("line 1 names an interpreter that is no text", "write `#!/bin/sh` or the like");
        };
        let line = line.trim_matches([' ', '\t']);
        let (program, option) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        if !program.starts_with('/') {
            return wrong(
                "line 1 begins with `#!`, and no absolute path of an interpreter follows",
                "write `#!/bin/sh` or `#!/usr/bin/env NAME`",
            );
        }
        let option = option.trim_matches([' ', '\t']);
        Ok(Self { program: program.to_owned(), option: (!option.is_empty()).then(|| option.to_owned()) })
    }

    /// POSIX shell text that runs the script of so many bytes on standard input with these arguments.
    ///
    /// Nothing of it is run before all of it has come. It is handed over on a descriptor of its own: were it the interpreter's
    /// standard input, a `cat` or `ssh` in it would eat the rest of it. Who hands it over says when that is done (or the interpreter has
    /// ended): where it was killed, half a script looks like a whole one to the interpreter.
    #[must_use]
    pub fn command(&self, arguments: &[String], bytes: usize) -> String {
        let program = quote(&self.program);
        let words: Vec<String> = self
            .option
            .iter()
            .map(|option| quote(option))
            .chain(["/dev/fd/3".to_owned()])
            .chain(arguments.iter().map(|argument| quote(argument)))
            .collect();
        let missing = quote(&format!("gsctl: this node has no interpreter {}", self.program));
        format!(
            "gs_take {bytes} || {{ echo 'gsctl: the script did not arrive whole: nothing of it was run' >&2; exit 141; }}\n\
             PATH=$gs_path\n\
             if ! command -v {program} >/dev/null 2>&1; then echo {missing} >&2; exit 127; fi\n\
             {{ gs_fed=$({{ {{ trap '' PIPE; printf %s \"$gs_in\" 2>/dev/null; echo fed >&5; }} |\
             {{ exec 3<&0 </dev/null >&6 5>&- 6>&-; exec {program} {}; }}; }} 5>&1; echo \"=$?\"); }} 6>&1\n\
             case $gs_fed in\n\
             fed*) exit \"${{gs_fed##*=}}\" ;;\n\
             *) echo 'gsctl: what handed the script to its interpreter was killed: the script was not read to its end' >&2; exit 141 ;;\n\
             esac",
            words.join(" ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        for (script, program, option) in [
            ("echo hi\n", "/bin/sh", None),
            ("#!/bin/bash -e\n", "/bin/bash", Some("-e")),
            ("#! /usr/bin/env python3", "/usr/bin/env", Some("python3")),
            ("#!/usr/bin/env -S perl -w\t\nx", "/usr/bin/env", Some("-S perl -w")),
        ] {
            let want = Interpreter { program: program.to_owned(), option: option.map(ToOwned::to_owned) };
            assert_eq!(Interpreter::of(script.as_bytes()), Ok(want), "{script}");
        }
        for (script, said) in [
            (&b""[..], "is empty"),
            (b"\x7fELF\0", "NUL"),
            (b"#!/bin/sh\r\necho", "carriage return"),
            (b"#!\n", "no absolute path"),
            (b"#!python3\n", "no absolute path"),
            (b"#!/\xff\n", "no text"),
        ] {
            let (cause, _) = Interpreter::of(script).expect_err(said);
            assert!(cause.contains(said), "`{cause}` does not say `{said}`");
        }
    }
}
