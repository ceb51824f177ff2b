//! Names to a host set: `node01,node02,db7` to `db7,node[01-02]`, as dshbak and clush do.
//!
//! The inverse of `hostset::expand`: what is folded here must expand to the same names, whatever they look like.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

/// The most digits that count as a number; longer runs of digits are text.
const MOST_DIGITS: usize = 18;

/// The shortest host set that stands for these names, sorted as people sort: `n2` before `n10`.
pub fn fold<S: AsRef<str>>(names: &[S]) -> String {
    // Names of one shape differ in their numbers only: `rack1n2` and `rack2n1` are both `rack`, number, `n`, number.
    let mut shapes: IndexMap<Vec<&str>, Vec<DigitRow<'_>>> = IndexMap::new();
    for name in names {
        let (texts, numbers) = split(name.as_ref());
        shapes.entry(texts).or_default().push(numbers.into_iter().map(|number| vec![number]).collect());
    }
    let mut sets: Vec<(String, String)> = Vec::new();
    for (texts, rows) in shapes {
        sets.extend(merge(rows).into_iter().map(|row| (first(&texts, &row), write(&texts, row))));
    }
    sets.sort_by(|(a, _), (b, _)| natural(a, b));
    let sets: Vec<String> = sets.into_iter().map(|(_, set)| set).collect();
    sets.join(",")
}

/// For every number of a shape, the digits that may stand there.
type DigitRow<'a> = Vec<Vec<&'a str>>;

/// Text and numbers of a name, in turn: always one text more than numbers.
fn split(name: &str) -> (Vec<&str>, Vec<&str>) {
    // Such a name cannot stand beside a range without changing its meaning.
    if name.contains(|c: char| matches!(c, '[' | ']' | ',') || c.is_whitespace()) {
        return (vec![name], Vec::new());
    }
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    let mut text = 0;
    let mut at = 0;
    while let Some(start) = name[at..].find(|c: char| c.is_ascii_digit()).map(|start| at + start) {
        let end = name[start..].find(|c: char| !c.is_ascii_digit()).map_or(name.len(), |end| start + end);
        if end - start <= MOST_DIGITS {
            texts.push(&name[text..start]);
            numbers.push(&name[start..end]);
            text = end;
        }
        at = end;
    }
    texts.push(&name[text..]);
    (texts, numbers)
}

/// Joins rows that differ in one number only, last number first: `a1b1 a1b2 a2b1 a2b2` to `a[1-2]b[1-2]`.
fn merge(mut rows: Vec<DigitRow<'_>>) -> Vec<DigitRow<'_>> {
    let dimensions = rows.first().map_or(0, Vec::len);
    if dimensions == 0 {
        rows.truncate(1);
        return rows;
    }
    for dimension in (0..dimensions).rev() {
        let mut joined: IndexMap<DigitRow<'_>, Vec<&str>> = IndexMap::new();
        for mut row in rows {
            let numbers = std::mem::take(&mut row[dimension]);
            joined.entry(row).or_default().extend(numbers);
        }
        rows = joined
            .into_iter()
            .map(|(mut row, mut numbers)| {
                numbers.sort_unstable_by(|a, b| by_value(a, b));
                numbers.dedup();
                row[dimension] = numbers;
                row
            })
            .collect();
    }
    rows
}

fn first(texts: &[&str], row: &DigitRow<'_>) -> String {
    interleave(texts, row.iter().map(|numbers| numbers[0].to_owned()))
}

fn write(texts: &[&str], row: DigitRow<'_>) -> String {
    let parts = row.into_iter().map(|numbers| match numbers[..] {
        [number] => number.to_owned(),
        _ => format!("[{}]", runs(&numbers)),
    });
    interleave(texts, parts)
}

fn interleave(texts: &[&str], mut parts: impl Iterator<Item = String>) -> String {
    let mut out = String::new();
    for text in texts {
        out.push_str(text);
        out.push_str(&parts.next().unwrap_or_default());
    }
    out
}

/// `8 9 10 12` to `8-10,12`; `09 10` to `09-10`. Numbers of different padding never share a range.
fn runs(numbers: &[&str]) -> String {
    let mut bare = BTreeSet::new();
    let mut padded: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for digits in numbers {
        let value: u64 = digits.parse().unwrap_or_default();
        if digits.len() > 1 && digits.starts_with('0') {
            padded.entry(digits.len()).or_default().push(value);
        } else {
            bare.insert(value);
        }
    }
    let mut runs: Vec<(u64, usize, u64)> = Vec::new();
    for (width, values) in padded {
        let from = runs.len();
        for value in values {
            extend(&mut runs, from, value, width);
        }
        // `10` has no zero in front, but belongs to `09` where it follows it.
        let mut next = 10_u64.pow(u32::try_from(width - 1).unwrap_or(0));
        while runs.last().is_some_and(|run| run.2 + 1 == next) && next.to_string().len() == width && bare.remove(&next)
        {
            extend(&mut runs, from, next, width);
            next += 1;
        }
    }
    let from = runs.len();
    for value in bare {
        extend(&mut runs, from, value, 0);
    }
    runs.sort_unstable();
    let texts: Vec<String> = runs
        .into_iter()
        .map(|(first, width, last)| {
            let first_text = format!("{first:0width$}");
            if first == last { first_text } else { format!("{first_text}-{last:0width$}") }
        })
        .collect();
    texts.join(",")
}

/// Adds a value to the last run, or begins a new one. Runs before `from` have another padding.
fn extend(runs: &mut Vec<(u64, usize, u64)>, from: usize, value: u64, width: usize) {
    match runs[from..].last_mut() {
        Some(run) if run.2 + 1 == value => run.2 = value,
        _ => runs.push((value, width, value)),
    }
}

fn by_value(a: &str, b: &str) -> Ordering {
    let value = |digits: &str| digits.parse::<u64>().unwrap_or_default();
    value(a).cmp(&value(b)).then(a.len().cmp(&b.len()))
}

/// Compares names as people do: numbers by value, the rest letter by letter.
fn natural(a: &str, b: &str) -> Ordering {
    let ((texts_a, numbers_a), (texts_b, numbers_b)) = (split(a), split(b));
    for at in 0..texts_a.len().min(texts_b.len()) {
        let order = texts_a[at].cmp(texts_b[at]).then_with(|| match (numbers_a.get(at), numbers_b.get(at)) {
            (Some(a), Some(b)) => by_value(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        if order.is_ne() {
            return order;
        }
    }
    a.cmp(b)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::hostset::expand;
    use super::*;

    #[track_caller]
    fn case(names: &str, want: &str) {
        let names: Vec<&str> = names.split_whitespace().collect();
        assert_eq!(fold(&names), want);
        let back: BTreeSet<String> = expand(want).unwrap().into_iter().collect();
        assert_eq!(back, names.into_iter().map(str::to_owned).collect());
    }

    /// Cases of pdsh tests/t5000-dshbak.sh, the one it expects to fail too.
    #[test]
    fn as_dshbak() {
        case("foo8 foo9 foo10 foo11", "foo[8-11]");
        case("foo1x8 foo1x9 foo1x10 foo1x11", "foo1x[8-11]");
        case("foo01 foo03 foo02 foo00", "foo[00-03]");
        case("foo0 foo03 foo01 foo2", "foo[0,01,2,03]");
        case("foo1 foo01 foo02 foo3 foo5 foo00", "foo[00-02,1,3,5]");
        case("foo1s foo01s foo02s foo3s foo5s foo00s", "foo[00-02,1,3,5]s");
        case("foo1s0 foo01s0 foo02s0 foo3s0 foo5s0 foo00s0", "foo[00-02,1,3,5]s0");
        case("foo1 foo2 foo5 bar0 bar1", "bar[0-1],foo[1-2,5]");
        case("foo09 foo10", "foo[09-10]");
        case("foo099 foo100", "foo[099-100]");
        case("0", "0");
    }

    /// Cases of `ClusterShell`, tests/NodeSetTest.py.
    #[test]
    fn as_clustershell() {
        case("cluster0 cluster1 cluster2 cluster5 cluster8 cluster4 cluster3", "cluster[0-5,8]");
        case("cluster0 cluster1 cluster wool cluster3", "cluster,cluster[0-1,3],wool");
        case("cluster115 cluster116 cluster117 cluster130 cluster166", "cluster[115-117,130,166]");
        case("cluster3 cluster5 tiger5", "cluster[3,5],tiger5");
        case("node010 node011", "node[010-011]");
        case("x010y010 x010y011 x011y010 x011y011", "x[010-011]y[010-011]");
    }

    #[test]
    fn our_own() {
        case("", "");
        case("db7 node01 node02 node20", "db7,node[01-02,20]");
        case("n1 n1 n1", "n1");
        case("db db", "db");
        case("rack1n1 rack1n2 rack2n1 rack2n2 rack3n1", "rack[1-2]n[1-2],rack3n1");
        case("10.0.0.1 10.0.0.2 10.0.1.1 10.0.1.2", "10.0.[0-1].[1-2]");
        case("10.0.0.9 10.0.0.10 10.0.0.7", "10.0.0.[7,9-10]");
        case("8 9 08 09 10", "[8-9,08-10]");
        case("n98 n99 n100", "n[98-100]");
        case("n08 n09 n10 n99 n100", "n[08-10,99-100]");
        case("127.0.0.1:2201 127.0.0.1:2202", "127.0.0.1:[2201-2202]");
        case("[::1]:2202 [::1]:2201", "[::1]:2201,[::1]:2202");
        case("2001:db8::7 2001:db8::8", "2001:db8::[7-8]");
        case("n1234567890123456789 n1234567890123456790", "n1234567890123456789,n1234567890123456790");
        case("n2 n10", "n[2,10]");
        case("b2x b10 a", "a,b2x,b10");
    }

    #[test]
    fn many_names_are_quick() {
        let names: Vec<String> =
            (0..100_000).map(|n| format!("10.{}.{}.{}", n / 65536, n / 256 % 256, n % 256)).collect();
        assert_eq!(fold(&names), "10.0.[0-255].[0-255],10.1.[0-133].[0-255],10.1.134.[0-159]");
    }

    proptest! {
        #[test]
        fn expand_is_the_inverse(names in prop::collection::vec("[ab-]{0,2}[0-9]{0,3}[.x]?[0-9]{0,2}", 0..40)) {
            let names: BTreeSet<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
            let list: Vec<&String> = names.iter().collect();
            let back: Vec<String> = expand(&fold(&list)).unwrap();
            prop_assert_eq!(back.len(), names.len());
            prop_assert_eq!(back.into_iter().collect::<BTreeSet<_>>(), names);
        }

        #[test]
        fn never_panics(names in prop::collection::vec("\\PC*", 0..8)) {
            let _ = fold(&names);
        }
    }
}
