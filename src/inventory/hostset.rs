//! Host sets: `node[01-12,20],db7` to names, and back.
//!
//! Works on text alone: what a name means, and whether anybody knows it, is for `spec` and `select`.

use std::fmt;

use indexmap::IndexSet;

pub use super::fold::fold;
use super::problem::{PieceError, harmless, quoted};
use super::spec::is_address;

/// The most hosts that a set may have. More is a slip of the finger (`node[1-10000000]`), not a cluster.
pub const MOST_HOSTS: usize = 1_000_000;

/// The most text that a set may become, in bytes, so that a slip cannot eat the memory either.
const MOST_BYTES: usize = 256 << 20;

/// What is wrong with a host set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetError {
    /// The set as it was written.
    pub set: String,
    /// Column in the set, from 1.
    pub column: usize,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// The way out, where there is one.
    pub hint: Option<String>,
}

impl SetError {
    pub(super) fn new(set: &str, fault: PieceError) -> Self {
        Self { set: set.to_owned(), column: fault.column, message: fault.message, hint: fault.hint }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host set `{}`, column {}: {}", harmless(&self.set, 80), self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SetError {}

/// All names of a set, in the order in which it names them, each once.
///
/// Names are parted by commas or blanks. A name may have any number of `[...]`, each a list of numbers and ranges, a
/// range with a step if wanted (`[0-10/2]`). Leading zeros are kept. `[2001:db8::7]` is an address, not a range.
///
/// # Errors
///
/// Says which part is not a set, or that it is too big.
pub fn expand(set: &str) -> Result<Vec<String>, SetError> {
    let names: IndexSet<String> = expand_elements(set)?.into_iter().flat_map(|element| element.names).collect();
    Ok(names.into_iter().collect())
}

/// One element of a set: what stands between two commas.
pub(super) struct Element<'a> {
    /// As it is written.
    pub(super) text: &'a str,
    /// The names that it stands for.
    pub(super) names: Vec<String>,
}

/// The elements of a set, each with its names.
pub(super) fn expand_elements(set: &str) -> Result<Vec<Element<'_>>, SetError> {
    let mut count = 0;
    let mut expanded = Vec::new();
    for (column, text) in elements(set).map_err(|fault| SetError::new(set, fault))? {
        let names = expand_element(text)
            .map_err(|fault| SetError::new(set, PieceError { column: column + fault.column - 1, ..fault }))?;
        count += names.len();
        if count > MOST_HOSTS {
            return Err(SetError::new(set, PieceError::new(column, "the set has more than 1,000,000 hosts")));
        }
        expanded.push(Element { text, names });
    }
    Ok(expanded)
}

/// The elements of a set with the column of each: parted by commas and blanks outside brackets, empty ones left out.
fn elements(set: &str) -> Result<Vec<(usize, &str)>, PieceError> {
    let mut elements = Vec::new();
    let mut start = None;
    let mut open = None;
    for (column, (at, c)) in (1..).zip(set.char_indices()) {
        let separator = open.is_none() && (c == ',' || c.is_whitespace());
        match (separator, start) {
            (true, Some((column, from))) => {
                elements.push((column, &set[from..at]));
                start = None;
            }
            (false, None) => start = Some((column, at)),
            _ => {}
        }
        match c {
            '[' if open.is_none() => open = Some(column),
            ']' => open = None,
            _ => {}
        }
    }
    if let Some(column) = open {
        return Err(PieceError::new(column, format!("{} has a `[` that is not closed", quoted(set))));
    }
    if let Some((column, from)) = start {
        elements.push((column, &set[from..]));
    }
    Ok(elements)
}

/// A piece of an element.
enum ElementPiece<'a> {
    Text(&'a str),
    Runs(Vec<NumberRange>),
}

/// Numbers from `first` to `last`, each `step` after the one before, filled up with zeros to `width` digits.
#[derive(Debug, Clone, Copy)]
struct NumberRange {
    first: u64,
    last: u64,
    step: u64,
    width: usize,
}

impl NumberRange {
    fn len(self) -> usize {
        usize::try_from((self.last - self.first) / self.step).map_or(usize::MAX, |n| n.saturating_add(1))
    }

    fn numbers(self) -> impl Iterator<Item = String> {
        let Self { first, step, width, .. } = self;
        (0..self.len() as u64).map(move |n| format!("{:0width$}", first + n * step))
    }
}

/// The names of one element. A comma outside brackets is a character like any other here.
pub(super) fn expand_element(element: &str) -> Result<Vec<String>, PieceError> {
    let pieces = pieces(element)?;
    let mut count = 1_usize;
    for piece in &pieces {
        if let ElementPiece::Runs(runs) = piece {
            let numbers = runs.iter().fold(0_usize, |sum, run| sum.saturating_add(run.len()));
            count = count.saturating_mul(numbers);
        }
    }
    let limit = if count > MOST_HOSTS { "1,000,000 hosts" } else { "256 MiB of names" };
    if count > MOST_HOSTS || count.saturating_mul(element.len()) > MOST_BYTES {
        return Err(PieceError::new(1, format!("{} is more than {limit}", quoted(element))));
    }
    let mut names = vec![String::new()];
    for piece in pieces {
        match piece {
            ElementPiece::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
            ElementPiece::Runs(runs) => {
                let numbers: Vec<String> = runs.into_iter().flat_map(NumberRange::numbers).collect();
                names =
                    names.iter().flat_map(|name| numbers.iter().map(move |number| format!("{name}{number}"))).collect();
            }
        }
    }
    Ok(names)
}

fn pieces(element: &str) -> Result<Vec<ElementPiece<'_>>, PieceError> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(at) = element[from..].find(['[', ']']).map(|at| from + at) {
        let column = element[..at].chars().count() + 1;
        if element[at..].starts_with(']') {
            return Err(PieceError::new(column, format!("{} has a `]` without a `[`", quoted(element))));
        }
        let Some(end) = element[at + 1..].find(['[', ']']).map(|end| at + 1 + end) else {
            return Err(PieceError::new(column, format!("{} has a `[` that is not closed", quoted(element)))
                .hint("a range has no blanks: `node[1-3,7]`"));
        };
        if element[end..].starts_with('[') {
            return Err(PieceError::new(column, format!("{} has a `[` inside a `[`", quoted(element))));
        }
        if is_address(&element[at + 1..end]) {
            pieces.push(ElementPiece::Text(&element[from..=end]));
        } else {
            pieces.push(ElementPiece::Text(&element[from..at]));
            pieces.push(ElementPiece::Runs(runs(element, at, end).map_err(|fault| PieceError { column, ..fault })?));
        }
        from = end + 1;
    }
    pieces.push(ElementPiece::Text(&element[from..]));
    Ok(pieces)
}

/// The runs between the brackets at `open` and `close`.
fn runs(element: &str, open: usize, close: usize) -> Result<Vec<NumberRange>, PieceError> {
    let mut at = open + 1;
    let mut runs = Vec::new();
    for item in element[at..close].split(',') {
        // The whole element with this item written otherwise, for hints.
        let instead = |text: &str| quoted(&format!("{}{text}{}", &element[..at], &element[at + item.len()..]));
        runs.push(run(element, item.trim(), instead)?);
        at += item.len() + 1;
    }
    Ok(runs)
}

fn run(element: &str, item: &str, instead: impl Fn(&str) -> String) -> Result<NumberRange, PieceError> {
    let (ends, step) = item.split_once('/').unwrap_or((item, "1"));
    let (first, last) = ends.split_once('-').unwrap_or((ends, ends));
    let [first, last, step] = [first, last, step].map(str::trim);
    if ![first, last, step].iter().all(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())) {
        if item.is_empty() {
            return Err(PieceError::new(1, format!("{} has nothing where a number is expected", quoted(element))));
        }
        let fault = PieceError::new(1, format!("{} is not a range of numbers", quoted(item)));
        return Err(match item.split_once(':') {
            Some((first, last)) if !last.is_empty() => {
                fault.hint(format!("write {}", instead(&format!("{first}-{last}"))))
            }
            _ => fault.hint("ranges look like `node[1-3,7]`, `node[01-12]` or `node[0-10/2]`"),
        });
    }
    let number = |text: &str| match text.parse::<u64>() {
        Ok(number) if text.len() <= 18 => Ok(number),
        _ => Err(PieceError::new(1, format!("{} is too big a number for a range", quoted(text)))),
    };
    let run = NumberRange { first: number(first)?, last: number(last)?, step: number(step)?, width: padding(first) };
    if run.step == 0 {
        return Err(PieceError::new(1, format!("{} has a step of 0", quoted(element)))
            .hint("a step is at least 1: `node[0-10/2]`"));
    }
    if run.last < run.first {
        return Err(PieceError::new(1, format!("{} is an empty range", quoted(element))).hint(format!(
            "write the smaller number first: {}",
            instead(&item.replacen(ends, &format!("{last}-{first}"), 1))
        )));
    }
    if (run.width > 0 && last.len() < first.len()) || (padding(last) > 0 && last.len() != first.len()) {
        let width = first.len().max(last.len());
        return Err(PieceError::new(1, format!("the ends of {} have different widths", quoted(item)))
            .hint(format!("write {}", instead(&format!("{:0width$}-{:0width$}", run.first, run.last)))));
    }
    Ok(run)
}

/// Digits that numbers are filled up to, if this one shows that they are.
fn padding(number: &str) -> usize {
    if number.len() > 1 && number.starts_with('0') { number.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn case(set: &str, want: &str) {
        assert_eq!(expand(set).map(|names| names.join(",")), Ok(want.to_owned()), "{set}");
    }

    #[track_caller]
    fn count(set: &str, want: usize, last: &str) {
        let names = expand(set).unwrap();
        assert_eq!((names.len(), names.last().map(String::as_str)), (want, Some(last)), "{set}");
    }

    #[track_caller]
    fn bad(set: &str, column: usize, want: &str) {
        let error = expand(set).unwrap_err();
        let text = error.hint.iter().fold(error.message, |text, hint| format!("{text}; {hint}"));
        assert_eq!((error.column, text.as_str()), (column, want), "{set}");
    }

    /// Cases of pdsh tests/t0003-wcoll.sh.
    #[test]
    fn as_pdsh() {
        case("foo[0-3]", "foo0,foo1,foo2,foo3");
        case("foo[00-02]", "foo00,foo01,foo02");
        case("foo[9-11]", "foo9,foo10,foo11");
        case("foo[0-2,4]", "foo0,foo1,foo2,foo4");
        case("foo[1-2]-[0-3]", "foo1-0,foo1-1,foo1-2,foo1-3,foo2-0,foo2-1,foo2-2,foo2-3");
        case("fooi,fooj,foo[0-5]", "fooi,fooj,foo0,foo1,foo2,foo3,foo4,foo5");
    }

    /// Cases of `ClusterShell`, tests/NodeSetTest.py (sets that need no algebra).
    #[test]
    fn as_clustershell() {
        case("cws-machin", "cws-machin");
        case("supercluster0", "supercluster0");
        case("0cluster", "0cluster");
        case("[0]cluster", "0cluster");
        case(" tigrou2 , tigrou7 , tigrou[5,9-11] ", "tigrou2,tigrou7,tigrou5,tigrou9,tigrou10,tigrou11");
        case("tigrou[ 9   - 11 ]    ", "tigrou9,tigrou10,tigrou11");
        case("clu-0-3", "clu-0-3");
        count("clu-0-[3-23]", 21, "clu-0-23");
        case("cluster008", "cluster008");
        count("cluster[0-10]", 11, "cluster10");
        case("cluster[115]", "cluster115");
        count("cluster[1-100]", 100, "cluster100");
        count("cluster[0001-0100]", 100, "cluster0100");
        count("cluster[0034-8127]", 8094, "cluster8127");
        count("cluster[50-99]-ipmi", 50, "cluster99-ipmi");
        case(
            "cluster[0001,0002,1555-1559]",
            "cluster0001,cluster0002,cluster1555,cluster1556,cluster1557,cluster1558,cluster1559",
        );
        count("bigcluster[1-1000000]", 1_000_000, "bigcluster1000000");
        case("node01[0-1]", "node010,node011");
        case(
            "prod-10[01,05,09-15/2,40-41]",
            "prod-1001,prod-1005,prod-1009,prod-1011,prod-1013,prod-1015,prod-1040,prod-1041",
        );
        count("x01[0-1]y01[0-1]z01[0-1]", 8, "x011y011z011");
        case("n[0-10/2]", "n0,n2,n4,n6,n8,n10");
        case("n[0-9/4]", "n0,n4,n8");
    }

    #[test]
    fn our_own() {
        case("", "");
        case(" , ,", "");
        case("a b\tc", "a,b,c");
        case("a,b,a", "a,b");
        case("rack[1-2]n[1-3]", "rack1n1,rack1n2,rack1n3,rack2n1,rack2n2,rack2n3");
        case("node[01-03,1]", "node01,node02,node03,node1");
        case("node[08-11]", "node08,node09,node10,node11");
        case("node[99-101]", "node99,node100,node101");
        case("n[098-101]", "n098,n099,n100,n101");
        case("n[00-00]", "n00");
        case("omm@node[01-02]:2222,10.0.0.[1-2]", "omm@node01:2222,omm@node02:2222,10.0.0.1,10.0.0.2");
        case("[2001:db8::7]:22,node1", "[2001:db8::7]:22,node1");
        case("[fe80::1%eth0],[10.0.0.1]:22", "[fe80::1%eth0],[10.0.0.1]:22");
        case("2001:db8::[7-8]", "2001:db8::7,2001:db8::8");
        case("127.0.0.1:[2201-2203]", "127.0.0.1:2201,127.0.0.1:2202,127.0.0.1:2203");
        case("@primary", "@primary");
    }

    #[test]
    fn what_is_not_a_set() {
        bad("node[3-1]", 5, "`node[3-1]` is an empty range; write the smaller number first: `node[1-3]`");
        bad("db7,node[1,3-2]x", 9, "`node[1,3-2]x` is an empty range; write the smaller number first: `node[1,2-3]x`");
        bad("n[10-0/2]", 2, "`n[10-0/2]` is an empty range; write the smaller number first: `n[0-10/2]`");
        bad("node[1-3", 5, "`node[1-3` has a `[` that is not closed");
        bad("node1-3]", 8, "`node1-3]` has a `]` without a `[`");
        bad("n[1-[2]]", 2, "`n[1-[2]]` has a `[` inside a `[`");
        bad("node[]", 5, "`node[]` has nothing where a number is expected");
        bad("node[1,]", 5, "`node[1,]` has nothing where a number is expected");
        bad("node[01:10]", 5, "`01:10` is not a range of numbers; write `node[01-10]`");
        bad(
            "n[a-c]",
            2,
            "`a-c` is not a range of numbers; ranges look like `node[1-3,7]`, `node[01-12]` or `node[0-10/2]`",
        );
        bad(
            "n[1-2-3]",
            2,
            "`1-2-3` is not a range of numbers; ranges look like `node[1-3,7]`, `node[01-12]` or `node[0-10/2]`",
        );
        bad(
            "n[-3]",
            2,
            "`-3` is not a range of numbers; ranges look like `node[1-3,7]`, `node[01-12]` or `node[0-10/2]`",
        );
        bad("n[0-10/0]", 2, "`n[0-10/0]` has a step of 0; a step is at least 1: `node[0-10/2]`");
        bad("n[001-10]", 2, "the ends of `001-10` have different widths; write `n[001-010]`");
        bad("n[9-011]", 2, "the ends of `9-011` have different widths; write `n[009-011]`");
        bad("n[1-1000001]", 1, "`n[1-1000001]` is more than 1,000,000 hosts");
        bad("a[1-1000]b[1-1000]c[1-1000]", 1, "`a[1-1000]b[1-1000]c[1-1000]` is more than 1,000,000 hosts");
        bad("n[0-999999999999999999]", 1, "`n[0-999999999999999999]` is more than 1,000,000 hosts");
        bad("n[99999999999999999999]", 2, "`99999999999999999999` is too big a number for a range");
    }

    #[test]
    fn the_error_names_the_set() {
        assert_eq!(
            expand("a,node[3-1]").unwrap_err().to_string(),
            "host set `a,node[3-1]`, column 7: `node[3-1]` is an empty range\nhint: write the smaller number first: `node[1-3]`"
        );
    }

    proptest! {
        #[test]
        fn never_panics(set in "\\PC*") {
            let _ = expand(&set);
        }

        #[test]
        fn never_panics_near_the_grammar(set in r"[a-b0-9\[\],/: -]{0,24}") {
            let _ = expand(&set);
        }
    }
}
