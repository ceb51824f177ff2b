//! The execution options of a step: what may stand beside `run`.
//!
//! Must not know what the command is.

use std::sync::Arc;

use super::node::{Fields, Node, NodeKind, Text};
use super::problem::Complaint;
use super::scope::Scope;
use crate::plan::exec_options::{is_variable, surroundings, validate_user};
use crate::plan::{ExecOptions, Template};

/// The keys. `sudo` may stand beside files as well.
pub(super) const KEYS: [&str; 6] = ["sudo", "env", "chdir", "shell", "stdin", "pty"];
/// The actions that `sudo` may stand beside.
pub(super) const WITH_SUDO: [&str; 5] = ["run", "remove", "touch", "push", "pull"];

/// Reads the keys that stand beside `run`.
pub(super) fn exec_options(scope: &Scope<'_>, fields: &Fields<'_>) -> Result<ExecOptions, Complaint> {
    let sudo = sudo(scope, fields)?;
    let env = fields.get("env").map(|node| env(scope, node)).transpose()?.unwrap_or_default();
    let directory = fields.text("chdir")?.map(|text| directory(scope, &text)).transpose()?;
    let shell = fields.text("shell")?.map(|text| shell(&text)).transpose()?;
    let pty = fields.flag("pty")?.unwrap_or(false);
    let stdin = match fields.entry("stdin") {
        Some((key, _)) if pty => {
            return Err(Complaint::new(key.at, "`stdin` beside `pty: true`: what a terminal reads is keys")
                .hint("leave one of them out"));
        }
        Some((_, node)) => Some(Arc::from((scope.read_input)(&node.text("`stdin`")?)?)),
        None => None,
    };
    Ok(ExecOptions { stdin, before: surroundings(env, directory), shell, sudo, pty, ..ExecOptions::default() })
}

/// The user that sudo makes of the login user for a step.
pub(super) fn sudo(scope: &Scope<'_>, fields: &Fields<'_>) -> Result<Option<Template>, Complaint> {
    Ok(fields.get("sudo").map(|node| user(scope, node)).transpose()?.flatten())
}

/// `true` is root.
fn user(scope: &Scope<'_>, node: &Node) -> Result<Option<Template>, Complaint> {
    let text = match &node.kind {
        NodeKind::Scalar(text) if text == "true" => return Ok(Some(Template::literal("root"))),
        NodeKind::Scalar(text) if text == "false" => return Ok(None),
        NodeKind::Scalar(text) if !["yes", "no", "on", "off"].contains(&text.as_str()) => node.text("`sudo`")?,
        NodeKind::Nothing | NodeKind::Scalar(_) | NodeKind::List(_) | NodeKind::Map(_) => {
            return Err(node.wrong("`sudo`", "`true`, `false` or a user"));
        }
    };
    let user = scope.template(&text)?;
    if user.is_literal() {
        validate_user(&text.value).map_err(|said| Complaint::new(text.at, said).hint("`sudo: true` means root"))?;
    }
    Ok(Some(user))
}

fn env(scope: &Scope<'_>, node: &Node) -> Result<Vec<(String, Template)>, Complaint> {
    let variable = |(name, node): &(Text, Node)| {
        if !is_variable(&name.value) {
            return Err(Complaint::new(name.at, format!("`{}` is no name of an environment variable", name.value))
                .hint("letters, digits and `_`, no digit in front"));
        }
        Ok((name.value.clone(), scope.template(&node.text(&format!("`{}`", name.value))?)?))
    };
    node.pairs("`env`")?.iter().map(variable).collect()
}

fn directory(scope: &Scope<'_>, text: &Text) -> Result<Template, Complaint> {
    if !text.value.starts_with(['/', '{']) {
        return Err(Complaint::new(text.at, format!("`chdir: {}` does not begin with `/` or a variable", text.value)));
    }
    scope.template(text)
}

fn shell(text: &Text) -> Result<String, Complaint> {
    if text.value.is_empty() || text.value.contains(char::is_whitespace) {
        return Err(Complaint::new(text.at, format!("`{}` is no shell", text.value))
            .hint("name a program of the nodes, as in `shell: bash`"));
    }
    Ok(text.value.clone())
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::super::{Loader, Sources};
    use crate::plan::push::{Content, PushFile};
    use crate::plan::{Action, Plan};

    /// The playbook, and a file `input` beside it.
    struct Files(String);

    impl Sources for Files {
        fn playbook(&self, _: &str) -> std::io::Result<String> {
            Ok(self.0.clone())
        }

        fn script(&self, _: &str) -> std::io::Result<String> {
            Ok("echo a=1\n".to_owned())
        }

        fn input(&self, relative: &str) -> std::io::Result<Vec<u8>> {
            if relative == "books/input" { Ok(vec![0, 255]) } else { Err(std::io::ErrorKind::NotFound.into()) }
        }

        fn copies(&self, relative: &str) -> Result<Vec<PushFile>, String> {
            let content = Content::File { size: 0, sha256: String::new(), tag: String::new() };
            Ok(vec![PushFile { local: relative.into(), name: "input".to_owned(), content, mode: 0o600, modified: 0 }])
        }
    }

    fn load(step: &str) -> Result<Plan, String> {
        let files = Files(format!("vars: {{ v: x }}\nsteps:\n  - {{ name: a, {step} }}\n"));
        let loader = Loader { sources: &files, given: &IndexMap::new(), env: &|_| None, step_timeout: None };
        loader.load("books/my.yaml").map_err(|problem| {
            let hint = problem.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
            format!("{}: {}{hint}", problem.column, problem.message)
        })
    }

    #[test]
    fn what_stands_beside_a_command() {
        let all = "sudo: \"{v}\", env: { A: 1, b_2: \"it's {v}\" }, chdir: \"/a b\", shell: bash, stdin: input";
        for run in ["run: echo", "run: { script: own.sh }"] {
            let plan = load(&format!("{run}, {all}")).expect("loads");
            let (Action::Run { exec_options, .. } | Action::Script { exec_options, .. }) = &plan.steps[0].action else {
                panic!("a command")
            };
            assert_eq!(exec_options.sudo.as_ref().map(ToString::to_string).as_deref(), Some("{v}"));
            assert_eq!(exec_options.before.to_string(), "export A=1 b_2='it'\\''s '{v}&&CDPATH= cd -- '/a b'");
            assert_eq!(
                (exec_options.shell.as_deref(), exec_options.stdin.as_deref()),
                (Some("bash"), Some(&[0, 255][..]))
            );
        }
        for (key, user) in [("sudo: true", Some("root")), ("sudo: false", None), ("sudo: '#12'", Some("#12"))] {
            let plan = load(&format!("run: echo, {key}")).expect("loads");
            assert_eq!(plan.steps[0].action.sudo().map(ToString::to_string).as_deref(), user);
        }
    }

    #[test]
    fn files_go_through_sudo_as_commands_do() {
        for step in ["remove: /x", "touch: /x", "push: { from: input, to: /x }", "pull: { from: /x, to: here }"] {
            let plan = load(&format!("{step}, sudo: \"{{v}}\"")).expect(step);
            assert_eq!(plan.steps[0].action.sudo().map(ToString::to_string).as_deref(), Some("{v}"), "{step}");
            let plan = load(step).expect(step);
            assert!(plan.steps[0].action.sudo().is_none(), "{step}");
        }
        let plan = load("push: { from: input, to: /x, owner: \"{v}:dba\", mode: \"0640\" }").expect("loads");
        let Action::Push(push) = &plan.steps[0].action else { panic!("a push") };
        assert_eq!(push.owner.as_deref(), Some("x:dba"));
        assert!(push.copies.iter().all(|copy| copy.mode == 0o640));
    }

    #[test]
    fn mistakes() {
        let mut wrong = Vec::new();
        for (step, want) in [
            ("run: x, sudo: yes", "30: `sudo` must be `true`, `false` or a user, found `yes`"),
            ("run: x, sudo: [a]", "30: `sudo` must be `true`, `false` or a user, found a list"),
            ("run: x, sudo: a b", "30: `a b` is no name of a user | `sudo: true` means root"),
            (
                "run: x, sudo: \"{w}\"",
                "31: undefined variable `w` | define `w` under `vars`, or write `{{w}}` if the braces are meant as they are",
            ),
            ("run: x, env: A=1", "29: `env` must be a mapping, found `A=1`"),
            (
                "run: x, env: { 1A: 2 }",
                "31: `1A` is no name of an environment variable | letters, digits and `_`, no digit in front",
            ),
            ("run: x, env: { A: [1] }", "34: `A` must be text, found a list"),
            ("run: x, chdir: tmp", "31: `chdir: tmp` does not begin with `/` or a variable"),
            ("run: x, shell: sh -e", "31: `sh -e` is no shell | name a program of the nodes, as in `shell: bash`"),
            ("run: x, stdin: none", "31: input `books/none` can't be read: entity not found"),
            (
                "run: x, stdin: input, pty: true",
                "24: `stdin` beside `pty: true`: what a terminal reads is keys | leave one of them out",
            ),
            ("run: x, pty: 1", "29: `pty` must be `true` or `false`, found `1`"),
            (
                "write: { path: /x, content: y }, sudo: true",
                "49: `sudo` beside `write`, expected it beside one of `run`, `remove`, `touch`, `push`, `pull`",
            ),
            ("touch: /x, env: { A: 1 }", "27: `env` beside `touch`, expected it beside `run`"),
            (
                "touch: /x, sudo: true, cleanup: remove",
                "48: `cleanup` beside `sudo`: the end of the run removes as the login user | remove it in a step of its own",
            ),
            ("push: { from: input, to: /x, owner: a b }", "52: `a b` is no owner: write USER or USER:GROUP"),
            (
                "push: { from: input, to: /x, mode: 9 }",
                "51: `9` is no file mode | write it in octal, as in `mode: \"0600\"`",
            ),
        ] {
            let got = load(step).map_or_else(|said| said, |_| "it loads".to_owned());
            if got != want {
                wrong.push(format!("{step}\nwant {want}\ngot  {got}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
