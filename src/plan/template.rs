//! Text with `{variables}` in it.
//!
//! Must not know where values come from, and has no expressions: a variable is put in, nothing else. Shell and awk text
//! stays what it is (`${HOME}`, `awk '{print $1}'`); `{{name}}` is how to write a literal `{name}`.

use std::fmt;

use super::quote::quote;
use super::vars::Vars;
use crate::outcome::Facts;

/// Text with `{variables}` in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// `{{name}}` in the source, `{name}` when rendered.
    Escaped(String),
    Variable {
        name: String,
        offset: usize,
    },
}

/// What is wrong with the text of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Byte offset of the fault in the text.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Template {
    /// Reads a text with `{name}` variables.
    ///
    /// # Errors
    ///
    /// A word in braces that is meant as a variable but can't be one (`{Gauss-Home}`), or `{{name` that isn't closed.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let offset = text.len() - rest.len() + open;
            literal.push_str(&rest[..open]);
            rest = &rest[open..];
            let shell = literal.ends_with('$');
            let doubled = rest.starts_with("{{");
            let inner = &rest[if doubled { 2 } else { 1 }..];
            let word = &inner[..inner.find(|c: char| !is_word(c)).unwrap_or(inner.len())];
            let after = &inner[word.len()..];
            if shell || word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
                literal.push('{');
                rest = &rest[1..];
            } else if doubled && is_name(word) {
                let Some(tail) = after.strip_prefix("}}") else {
                    if !after.starts_with('}') {
                        literal.push_str("{{");
                        rest = inner;
                        continue;
                    }
                    return Err(TemplateError {
                        offset,
                        message: format!("`{{{{{word}` is closed by one brace"),
                        hint: Some(format!(
                            "write `{{{word}}}` for the variable, `{{{{{word}}}}}` for the text itself"
                        )),
                    });
                };
                flush(&mut parts, &mut literal);
                parts.push(Part::Escaped(word.to_owned()));
                rest = tail;
            } else if let Some(tail) = after.strip_prefix('}').filter(|_| !doubled) {
                if !is_name(word) {
                    return Err(TemplateError {
                        offset,
                        message: format!(
                            "`{{{word}}}` is not a variable: names are lower case letters, digits and `_`"
                        ),
                        hint: None,
                    });
                }
                flush(&mut parts, &mut literal);
                parts.push(Part::Variable { name: word.to_owned(), offset });
                rest = tail;
            } else {
                literal.push('{');
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        flush(&mut parts, &mut literal);
        Ok(Self { parts })
    }

    /// A template without variables, whatever the text looks like.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { parts: if text.is_empty() { Vec::new() } else { vec![Part::Literal(text)] } }
    }

    /// This template with another one after it.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// This template as one word for the shell: its own text quoted, as the values of its variables are.
    #[must_use]
    pub fn into_word(self) -> Self {
        let quoted = |part| match part {
            Part::Literal(text) => Part::Literal(quote(&text)),
            Part::Escaped(name) => Part::Literal(quote(&format!("{{{name}}}"))),
            variable @ Part::Variable { .. } => variable,
        };
        Self { parts: self.parts.into_iter().map(quoted).collect() }
    }

    /// Names of the variables, in order, as often as they stand there.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables_at().map(|(name, _)| name)
    }

    /// Names of the variables and the byte offsets where they stand in the text.
    pub fn variables_at(&self) -> impl Iterator<Item = (&str, usize)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable { name, offset } => Some((name.as_str(), *offset)),
            Part::Literal(_) | Part::Escaped(_) => None,
        })
    }

    /// Whether there is no variable in it.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.variables().next().is_none()
    }

    /// The text with values put in as they are.
    #[must_use]
    pub fn render_plain(&self, vars: &Vars) -> String {
        self.render(vars, str::to_owned)
    }

    /// The text for a person: what is no variable is a fact of the host, and one that is not known is nothing.
    #[must_use]
    pub fn render_words(&self, vars: &Vars, facts: &Facts) -> String {
        let value = |name: &str| vars.get(name).or_else(|| facts.get(name).map(String::as_str)).unwrap_or_default();
        self.parts.iter().fold(String::new(), |mut out, part| {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Escaped(name) => out.extend(["{", name, "}"]),
                Part::Variable { name, .. } => out.push_str(value(name)),
            }
            out
        })
    }

    /// The text with each value quoted for the shell.
    #[must_use]
    pub fn render_shell(&self, vars: &Vars) -> String {
        self.render(vars, quote)
    }

    /// A variable that stands between quotes of the shell, where the quotes that [`Self::render_shell`] puts round its
    /// value would end them.
    #[must_use]
    pub fn variable_in_quotes(&self) -> Option<(&str, usize)> {
        let mut state = ShellText::Bare { word_start: true };
        for part in &self.parts {
            match part {
                Part::Literal(text) => state = text.chars().fold(state, ShellText::after),
                Part::Escaped(_) => state = state.after('{'),
                Part::Variable { name, offset } => match state {
                    ShellText::Single | ShellText::Double | ShellText::Escape { double: true } => {
                        return Some((name, *offset));
                    }
                    ShellText::Bare { .. } | ShellText::Escape { double: false } => {
                        state = ShellText::Bare { word_start: false };
                    }
                    ShellText::Comment => {}
                },
            }
        }
        None
    }

    fn render(&self, vars: &Vars, show: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Escaped(name) => out.extend(["{", name, "}"]),
                // A plan is checked before it is run, so this is there. If not, the name is safer than nothing:
                // `rm -f {gausshome}/bin/x` finds no file, `rm -f /bin/x` might.
                Part::Variable { name, .. } => match vars.get(name) {
                    Some(value) => out.push_str(&show(value)),
                    None => out.push_str(&show(&format!("{{{name}}}"))),
                },
            }
        }
        out
    }
}

/// The text as it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(text),
            Part::Escaped(name) => write!(f, "{{{{{name}}}}}"),
            Part::Variable { name, .. } => write!(f, "{{{name}}}"),
        })
    }
}

/// Where in shell text one is, as far as quotes go.
#[derive(Clone, Copy)]
enum ShellText {
    Bare { word_start: bool },
    Single,
    Double,
    Escape { double: bool },
    Comment,
}

impl ShellText {
    fn after(self, c: char) -> Self {
        match (self, c) {
            (Self::Bare { .. }, '\'') => Self::Single,
            (Self::Bare { .. }, '"') | (Self::Escape { double: true }, _) => Self::Double,
            (Self::Bare { .. }, '\\') => Self::Escape { double: false },
            (Self::Bare { word_start: true }, '#') => Self::Comment,
            (Self::Bare { .. }, c) => Self::Bare { word_start: c.is_whitespace() || ";&|(".contains(c) },
            (Self::Single, '\'') | (Self::Double, '"') | (Self::Escape { double: false }, _) => {
                Self::Bare { word_start: false }
            }
            (Self::Double, '\\') => Self::Escape { double: true },
            (Self::Comment, '\n') => Self::Bare { word_start: true },
            (same, _) => same,
        }
    }
}

fn flush(parts: &mut Vec<Part>, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Whether this can be the name of a variable.
pub(crate) fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> Vars {
        [("home", "/opt/a b"), ("n", "3")].into_iter().collect()
    }

    #[test]
    fn rendered() {
        for (text, plain, shell) in [
            ("", "", ""),
            ("no variable", "no variable", "no variable"),
            ("{home}/bin", "/opt/a b/bin", "'/opt/a b'/bin"),
            ("{n}{n}", "33", "33"),
            ("${HOME} ${home} $x", "${HOME} ${home} $x", "${HOME} ${home} $x"),
            ("awk '{print $1}'", "awk '{print $1}'", "awk '{print $1}'"),
            ("${a:-${b}} {{ x }} }}", "${a:-${b}} {{ x }} }}", "${a:-${b}} {{ x }} }}"),
            ("{{n}} is {n}", "{n} is 3", "{n} is 3"),
            (
                "find . -exec ls {} + ; grep -E 'a{2,3}' {1..3} {a,b}",
                "find . -exec ls {} + ; grep -E 'a{2,3}' {1..3} {a,b}",
                "find . -exec ls {} + ; grep -E 'a{2,3}' {1..3} {a,b}",
            ),
            ("{ {n}; }", "{ 3; }", "{ 3; }"),
            ("{", "{", "{"),
            ("{n", "{n", "{n"),
            ("{{n", "{{n", "{{n"),
            ("{unknown}", "{unknown}", "'{unknown}'"),
            ("ä{n}ö", "ä3ö", "ä3ö"),
        ] {
            let template = Template::parse(text).expect(text);
            assert_eq!(template.render_plain(&vars()), plain, "{text}");
            assert_eq!(template.render_shell(&vars()), shell, "{text}");
            assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn words_have_facts_too() {
        let template = Template::parse("{n}: see {log}{advice} {{n}}").expect("parses");
        let facts = [("log", "/x.trc"), ("n", "not this")];
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(template.render_words(&vars(), &facts), "3: see /x.trc {n}");
    }

    #[test]
    fn refused() {
        for (text, offset) in [("{Home}", 0), ("x {gauss-home}", 2), ("{{n}", 0)] {
            assert_eq!(Template::parse(text).expect_err(text).offset, offset, "{text}");
        }
    }

    #[test]
    fn variables_in_order() {
        let template = Template::parse("{b}/{a} {{c}} ${d} {b}").expect("parses");
        assert_eq!(template.variables_at().collect::<Vec<_>>(), [("b", 0), ("a", 4), ("b", 19)]);
        assert!(!template.is_literal());
        assert!(Template::literal("{b}").is_literal());
        assert_eq!(Template::literal("{b}").render_plain(&Vars::default()), "{b}");
    }

    #[test]
    fn quotes_round_a_variable() {
        for (text, want) in [
            ("ls {n}", None),
            ("ls 'a' {n} \"b\"", None),
            ("ls '{n}'", Some("n")),
            ("ls \"x {n}\"", Some("n")),
            (r#"ls \" {n}"#, None),
            (r#"ls "\" {n}""#, Some("n")),
            ("# don't\nls {n}", None),
            ("a#'b {n}'", Some("n")),
        ] {
            let template = Template::parse(text).expect(text);
            assert_eq!(template.variable_in_quotes().map(|(name, _)| name), want, "{text}");
        }
    }
}
