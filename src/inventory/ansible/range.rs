//! Ansible's ranges: `node[01:20]`, `db-[a:f]`, `n[1:9:2]`.

use super::super::hostset::MOST_HOSTS;
use super::super::problem::quoted;
use super::super::spec::{SpecError, is_address};

/// Every name that the pattern stands for.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, SpecError> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((head, inside, tail)) = next(rest)? {
        let items = if is_address(inside) && head.is_empty() && names.len() == 1 && names[0].is_empty() {
            vec![format!("[{inside}]")]
        } else {
            items(inside, pattern)?
        };
        if names.len() * items.len() > MOST_HOSTS {
            return Err(SpecError::new(format!("{} is more than 1,000,000 hosts", quoted(pattern))));
        }
        names = names.iter().flat_map(|name| items.iter().map(move |item| format!("{name}{head}{item}"))).collect();
        rest = tail;
    }
    Ok(names.into_iter().map(|name| name + rest).collect())
}

/// The first `[...]`: what stands before it, in it and after it.
fn next(text: &str) -> Result<Option<(&str, &str, &str)>, SpecError> {
    let Some((head, after)) = text.split_once('[') else { return Ok(None) };
    let Some((inside, tail)) = after.split_once(']') else {
        return Err(SpecError::new(format!("{} has a `[` that is not closed", quoted(text))));
    };
    Ok(Some((head, inside, tail)))
}

fn items(inside: &str, pattern: &str) -> Result<Vec<String>, SpecError> {
    let wrong = || {
        let fault = SpecError::new(format!("{} is not a range", quoted(&format!("[{inside}]"))));
        fault.hint("Ansible's ranges are `[1:20]`, `[01:20]`, `[a:f]` and, with a step, `[1:9:2]`")
    };
    let bounds: Vec<&str> = inside.split(':').collect();
    let (first, last, step) = match bounds[..] {
        [first, last] => (first, last, "1"),
        [first, last, step] => (first, last, step),
        _ => return Err(wrong()),
    };
    let step: usize = step.parse().ok().filter(|step| *step > 0).ok_or_else(wrong)?;
    let empty = || SpecError::new(format!("{} is an empty range: {}", quoted(inside), quoted(pattern)));
    if let ([first], [last]) = (first.as_bytes(), last.as_bytes())
        && let (Some(first), Some(last)) = (letter(*first), letter(*last))
    {
        let items: Vec<String> = (first..=last).step_by(step).map(|at| char::from(LETTERS[at]).to_string()).collect();
        return if items.is_empty() { Err(empty()) } else { Ok(items) };
    }
    let first = if first.is_empty() { "0" } else { first };
    let width = if first.starts_with('0') && first.len() > 1 { first.len() } else { 0 };
    if width > 0 && width != last.len() {
        return Err(SpecError::new(format!("{} has ends of different length", quoted(inside)))
            .hint("with leading zeros both have as many digits: `[01:20]`"));
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<usize>().ok().filter(|_| digits).ok_or_else(wrong)
    };
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err(empty());
    }
    if (last - first) / step >= MOST_HOSTS {
        return Err(SpecError::new(format!("{} is more than 1,000,000 hosts", quoted(pattern))));
    }
    Ok((first..=last).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// The order in which Ansible counts letters.
const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(byte: u8) -> Option<usize> {
    LETTERS.iter().position(|letter| *letter == byte)
}

/// Whether the word has a range that only Ansible writes so.
pub(super) fn is_in(word: &str) -> bool {
    word.split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'))
        .any(|(inside, _)| !is_address(inside) && inside.contains(':') && items(inside, inside).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(pattern: &str, want: &str) {
        assert_eq!(expand(pattern).unwrap().join(" "), want, "{pattern}");
    }

    #[track_caller]
    fn bad(pattern: &str, want: &str) {
        assert_eq!(expand(pattern).unwrap_err().message, want, "{pattern}");
    }

    #[test]
    fn ranges() {
        case("node1", "node1");
        case("node[1:3]", "node1 node2 node3");
        case("node[08:11]:2222", "node08:2222 node09:2222 node10:2222 node11:2222");
        case("db-[a:c].x", "db-a.x db-b.x db-c.x");
        case("n[y:B]", "ny nz nA nB");
        case("n[1:9:4]", "n1 n5 n9");
        case("n[:2]", "n0 n1 n2");
        case("r[1:2]n[a:b]", "r1na r1nb r2na r2nb");
        case("[2001:db8::7]:22", "[2001:db8::7]:22");
        case("[::1]", "[::1]");
        bad("n[3:1]", "`3:1` is an empty range: `n[3:1]`");
        bad("n[b:a]", "`b:a` is an empty range: `n[b:a]`");
        bad("n[01:3]", "`01:3` has ends of different length");
        bad("n[1-3]", "`[1-3]` is not a range");
        bad("n[1:x]", "`[1:x]` is not a range");
        bad("n[1:3:0]", "`[1:3:0]` is not a range");
        bad("n[1:3", "`n[1:3` has a `[` that is not closed");
        bad("n[0:9999999]", "`n[0:9999999]` is more than 1,000,000 hosts");
        bad("n[0:9999][0:9999]", "`n[0:9999][0:9999]` is more than 1,000,000 hosts");
    }

    #[test]
    fn what_only_ansible_writes() {
        assert!(is_in("node[01:20].x") && is_in("n[a:f]"));
        assert!(!is_in("node[01-20]") && !is_in("[::1]:22") && !is_in("[2001:db8::7]") && !is_in("n1:22"));
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_makes_it_panic(pattern in "[a-c0-9:\\[\\]]{0,12}") {
            let _ = (expand(&pattern), is_in(&pattern));
        }
    }
}
