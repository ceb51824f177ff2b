//! A stand-in for `inventory::hostset::fold`: `node01`, `node02`, `node04` become `node[01-02,04]`.
//!
//! Knows one number at the end of a name, no more; to be replaced by the real one.

/// Names as one folded host set.
#[must_use]
pub(crate) fn fold<S: AsRef<str>>(names: &[S]) -> String {
    let mut sets: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in names {
        let name = name.as_ref();
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = &name[stem.len()..];
        match sets.iter_mut().find(|(s, n)| *s == stem && !number.is_empty() && !n[0].is_empty()) {
            Some((_, numbers)) => numbers.push(number),
            None => sets.push((stem, vec![number])),
        }
    }
    let folded: Vec<String> = sets.iter().map(|(stem, numbers)| fold_one(stem, numbers)).collect();
    folded.join(",")
}

fn fold_one(stem: &str, numbers: &[&str]) -> String {
    let mut ranges: Vec<(&str, &str)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if follows(last, number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    if numbers.len() == 1 {
        return format!("{stem}{}", numbers[0]);
    }
    let ranges: Vec<String> =
        ranges.iter().map(|(a, b)| if a == b { (*a).to_owned() } else { format!("{a}-{b}") }).collect();
    format!("{stem}[{}]", ranges.join(","))
}

fn follows(a: &str, b: &str) -> bool {
    let same_form = a.len() == b.len() || (!a.starts_with('0') && !b.starts_with('0'));
    same_form && matches!((a.parse::<u64>(), b.parse::<u64>()), (Ok(a), Ok(b)) if b == a + 1)
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn folds() {
        assert_eq!(fold(&["node01", "node02", "node04"]), "node[01-02,04]");
        assert_eq!(fold(&["node9", "node10"]), "node[9-10]");
        assert_eq!(fold(&["a", "b1"]), "a,b1");
        assert_eq!(fold::<&str>(&[]), "");
    }
}
