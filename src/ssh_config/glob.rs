//! The files that a path of `Include` stands for, as glob(7) has it.

use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, glob_with};

/// What a path stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// These files, in order; a folder that cannot be read holds none, as for ssh.
    Files(Vec<PathBuf>),
    /// Nobody can tell: it is no pattern that gsctl understands.
    NotUnderstood,
}

/// The files that a path with `*`, `?` and `[...]` stands for.
pub(super) fn glob(pattern: &str) -> Found {
    // Classes of characters, such as `[[:digit:]]`.
    if ["[:", "[=", "[."].iter().any(|class| pattern.contains(class)) {
        return Found::NotUnderstood;
    }
    let options =
        MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };
    let Ok(paths) = glob_with(&translated(pattern), options) else { return Found::NotUnderstood };
    // The library's own rule for hidden files finds none, also where the pattern names them.
    let open = |path: &PathBuf| {
        let names = path.components().zip(Path::new(pattern).components());
        names.into_iter().all(|(name, wanted)| is_hidden(wanted) || !is_hidden(name))
    };
    Found::Files(paths.filter_map(Result::ok).filter(|path| path.is_file() && open(path)).collect())
}

fn is_hidden(name: Component<'_>) -> bool {
    matches!(name, Component::Normal(name) if name.as_encoded_bytes().starts_with(b"."))
}

/// The pattern as the library writes it: no backslashes, `!` for the other set, and no `**`, which is a tree to it.
fn translated(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push_str(&glob::Pattern::escape(&chars.next().unwrap_or('\\').to_string())),
            '*' => {
                while chars.next_if_eq(&'*').is_some() {}
                text.push('*');
            }
            '[' => {
                text.push('[');
                if chars.next_if(|c| "!^".contains(*c)).is_some() {
                    text.push('!');
                }
            }
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_manual_page_has_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1.conf", "2.conf", "10.conf", "a.conf", "b]c", ".hidden", "x*y", "sub"] {
            if name == "sub" {
                std::fs::create_dir(folder.path().join(name)).unwrap();
                std::fs::write(folder.path().join("sub/1.conf"), "").unwrap();
            } else {
                std::fs::write(folder.path().join(name), "").unwrap();
            }
        }
        for (pattern, want) in [
            ("[12]*", &["1.conf", "10.conf", "2.conf"][..]),
            ("[!1]*.conf", &["2.conf", "a.conf"]),
            ("[^1]*.conf", &["2.conf", "a.conf"]),
            ("[0-9]?.conf", &["10.conf"]),
            ("**.conf", &["1.conf", "10.conf", "2.conf", "a.conf"]),
            ("*/1.conf", &["sub/1.conf"]),
            ("s[t-v]b/[1]*", &["sub/1.conf"]),
            ("x\\*y", &["x*y"]),
            ("b[]]c", &["b]c"]),
            (".h*", &[".hidden"]),
            ("*idden", &[]),
            ("sub", &[]),
            ("none", &[]),
        ] {
            let Found::Files(files) = glob(&format!("{}/{pattern}", folder.path().display())) else {
                panic!("{pattern}")
            };
            let names: Vec<_> =
                files.iter().map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string()).collect();
            assert_eq!(names, want, "{pattern}");
        }
        for pattern in ["/x/[[:digit:]]*", "/x/[", "/x/[a"] {
            assert_eq!(glob(pattern), Found::NotUnderstood, "{pattern}");
        }
    }
}
