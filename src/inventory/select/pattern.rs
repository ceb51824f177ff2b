//! Patterns for names: `*` is any text, `?` is one character.
//!
//! Compares text; there are no classes (`[a-z]`), because brackets are ranges.

/// True if the name is a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// True if the pattern fits the whole name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and where the text after it was last tried.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, tried)) = star else { return false };
                star = Some((at, tried + 1));
                p = at + 1;
                n = tried + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(pattern: &str, name: &str, want: bool) {
        assert_eq!(fits(pattern, name), want, "{pattern} {name}");
    }

    #[test]
    fn what_fits() {
        case("*", "", true);
        case("a*c", "abbc", true);
        case("a*c", "abbd", false);
        case("*a*b", "xaxb", true);
        case("?", "ä", true);
        case("a?", "a", false);
        case("**", "x", true);
        case("*ab", "aab", true);
        case("node1", "node10", false);
    }
}
