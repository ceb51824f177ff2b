//! Operators in host sets: `@primary&@az1`, `node[1-20]!node7`, `a^b`.
//!
//! Cuts a set into operands; what hosts these are, and the sums, are the selection's.

use crate::inventory::hostset::SetError;
use crate::inventory::problem::PieceError;

/// How an operand is joined to what stands before it. All bind alike, from left to right, as in `ClusterShell`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inventory) enum Join {
    /// `,`: these too.
    With,
    /// `!`: without these.
    Without,
    /// `&`: only these.
    Within,
    /// `^`: those that are in one of both.
    Either,
}

impl Join {
    fn of(c: char) -> Option<Self> {
        match c {
            ',' => Some(Self::With),
            '!' => Some(Self::Without),
            '&' => Some(Self::Within),
            '^' => Some(Self::Either),
            _ => None,
        }
    }
}

/// True where a set is more than a list.
pub(in crate::inventory) fn is_algebra(set: &str) -> bool {
    set.contains(['!', '&', '^'])
}

/// The operands of a set, in order. Lists that nothing cuts stay together.
///
/// # Errors
/// An operator without anything before or after it.
pub(in crate::inventory) fn operands(set: &str) -> Result<Vec<(Join, &str)>, SetError> {
    let mut operands: Vec<(Join, &str)> = Vec::new();
    let (mut join, mut from, mut depth) = (Join::With, 0, 0_usize);
    let mut last = 1;
    for (column, (at, c)) in (1..).zip(set.char_indices()) {
        depth = match c {
            '[' => depth + 1,
            ']' => depth.saturating_sub(1),
            _ => depth,
        };
        let Some(next) = Join::of(c).filter(|_| depth == 0) else { continue };
        // A comma ends the operand of an operator; between names of a list it is part of the list.
        if next == Join::With && join == Join::With {
            continue;
        }
        let text = set[from..at].trim_matches(|c: char| c == ',' || c.is_whitespace());
        if text.is_empty() {
            return Err(nothing(set, if operands.is_empty() { column } else { last }));
        }
        operands.push((join, text));
        (join, from, last) = (next, at + c.len_utf8(), column);
    }
    let text = set[from..].trim_matches(|c: char| c == ',' || c.is_whitespace());
    if !text.is_empty() {
        operands.push((join, text));
    } else if join != Join::With {
        return Err(nothing(set, last));
    }
    Ok(operands)
}

fn nothing(set: &str, column: usize) -> SetError {
    let fault = PieceError::new(column, "an operator needs hosts on both sides")
        .hint("`a,b` is both, `a!b` a without b, `a&b` what is in both, `a^b` what is in one of them");
    SetError::new(set, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(set: &str, want: &[(Join, &str)]) {
        assert_eq!(operands(set).unwrap(), want, "{set}");
    }

    #[test]
    fn cutting() {
        use Join::{Either, With, Within, Without};
        case("a,b c", &[(With, "a,b c")]);
        case("a!b", &[(With, "a"), (Without, "b")]);
        case(
            "node[1-9,11]!node[3,5],x&@g ^ y",
            &[(With, "node[1-9,11]"), (Without, "node[3,5]"), (With, "x"), (Within, "@g"), (Either, "y")],
        );
    }

    #[test]
    fn an_operator_alone_is_a_mistake() {
        for (set, column) in [("!a", 1), ("a!", 2), ("a&&b", 2), ("a!,b", 2)] {
            assert_eq!(operands(set).unwrap_err().column, column, "{set}");
        }
    }
}
