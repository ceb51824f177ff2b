//! `--tail`, `--grep` and `--diff`: what is shown of remote output.

use std::sync::Arc;

use regex::bytes::Regex;

use crate::cli::OutputOptions;
use crate::reporter::{Keep, OutputFilter};

use crate::diagnostic::Diagnostic;

/// What the options ask for.
///
/// # Errors
/// When the regular expression is wrong, with the column.
pub(super) fn filter(options: &OutputOptions) -> Result<OutputFilter, Diagnostic> {
    let keep = options.grep.as_deref().map(keep).transpose()?;
    let tail = options.tail.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX));
    Ok(OutputFilter { tail, keep, diff: options.diff })
}

fn keep(text: &str) -> Result<Keep, Diagnostic> {
    let expression = Regex::new(text).map_err(|error| {
        let (column, said) = place(text).unwrap_or_else(|| (1, error.to_string()));
        Diagnostic::usage(format!("`--grep {text}`, column {column}: {said}"))
            .hint(format!("for the text itself, write --grep '{}'", regex_syntax::escape(text)))
    })?;
    Ok(Arc::new(move |line| expression.is_match(line)))
}

/// The column and the reason of what is wrong. `None`: what is too big has no place.
fn place(text: &str) -> Option<(usize, String)> {
    match regex_syntax::ParserBuilder::new().utf8(false).build().parse(text).err()? {
        regex_syntax::Error::Parse(error) => Some((error.span().start.column, error.kind().to_string())),
        regex_syntax::Error::Translate(error) => Some((error.span().start.column, error.kind().to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_expression_is_told_with_its_column() {
        let diagnostic = keep("ab(c").err().unwrap();
        assert!(diagnostic.message.contains("`--grep ab(c`, column 3: unclosed group"), "{diagnostic}");
        assert!(diagnostic.hint.unwrap().contains(r"ab\(c"));
    }

    #[test]
    fn bytes_that_are_no_text_are_looked_at_too() {
        let keep = keep("err$").unwrap();
        assert!(keep(b"\xff err") && !keep(b"\xff error"));
    }
}
