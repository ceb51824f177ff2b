//! Helpers for text that several parts need: the nearest word, wildcards, hidden characters, causes of I/O errors, plurals.

use std::io;

/// Characters of a word that are compared: what comes from a file may be of any length.
const LONGEST: usize = 64;

/// The candidate nearest to `word`, if one is near enough to be what was meant. Only for suggestions.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = word.chars().count().div_ceil(4).min(3);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        // A candidate of which no letter is left was not meant.
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean ...?`, where one of the words is near.
#[must_use]
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// Letters to add, drop, change or swap with their neighbour; upper and lower case are the same.
#[must_use]
pub fn distance(one: &str, other: &str) -> usize {
    let letters = |text: &str| text.chars().take(LONGEST).flat_map(char::to_lowercase).collect::<String>();
    strsim::osa_distance(&letters(one), &letters(other))
}

/// Whether a pattern of `*` (any text) and `?` (one character) fits the whole text.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    wildcard_by(&pattern, &text, |part| *part == '*', |part, c| *part == '?' || part == c)
}

/// The same for patterns of any kind: `is_any` says which part stands for any text, `fits` whether another part stands for
/// this element. Never takes longer than the pattern's length times the text's.
pub fn wildcard_by<P, C>(
    pattern: &[P],
    text: &[C],
    is_any: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &C) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and where the text after it was last tried.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(part) if is_any(part) => {
                star = Some((p, t));
                p += 1;
            }
            Some(part) if fits(part, &text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, tried)) = star else { return false };
                star = Some((at, tried + 1));
                p = at + 1;
                t = tried + 1;
            }
        }
    }
    pattern[p..].iter().all(is_any)
}

/// True for characters that are not seen, or change how their neighbours are seen, besides the ASCII control characters.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}'         // C1 controls: a terminal may take one for an escape sequence
        | '\u{ad}'                  // soft hyphen
        | '\u{61c}'                 // Arabic letter mark
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'   // zero width, and directional marks
        | '\u{2028}'..='\u{202e}'   // line separators; bidirectional embedding and override
        | '\u{2060}'..='\u{206f}'   // invisible operators, isolates
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}' | '\u{ffff}'   // no characters at all, which XML cannot hold
        | '\u{e0000}'..='\u{e007f}' // tags
    )
}

/// What the system says of an error, without its number.
#[must_use]
pub fn io_cause(error: &io::Error) -> String {
    let said = error.to_string();
    said.split(" (os error").next().unwrap_or(&said).to_owned()
}

/// Whether there is no such file: also where the way there goes through what is no directory, such as a home of `/dev/null`.
#[must_use]
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A sentence as a part of another one: its first letter small.
#[must_use]
pub fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// A hint, and one more thing that may be done.
#[must_use]
pub fn joined_hints(hint: Option<&str>, more: &str) -> String {
    match hint {
        None => more.to_owned(),
        Some(hint) if hint.ends_with('?') => format!("{hint} {more}"),
        Some(hint) => format!("{hint}; {more}"),
    }
}

/// `1 key`, `3 keys`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_words() {
        #[track_caller]
        fn case(word: &str, want: Option<&str>) {
            assert_eq!(nearest(word, ["primary", "standby", "cm_server"]), want, "{word}");
        }
        case("primary", Some("primary"));
        case("primray", Some("primary"));
        case("Primary", Some("primary"));
        case("stanby", Some("standby"));
        case("cmserver", Some("cm_server"));
        case("p", None);
        case("cascade", None);
        case("", None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(distance(&"a".repeat(100_000), &"a".repeat(70)), 0);
    }

    #[test]
    fn wildcards() {
        #[track_caller]
        fn case(pattern: &str, name: &str, want: bool) {
            assert_eq!(wildcard(pattern, name), want, "{pattern} {name}");
        }
        case("*", "", true);
        case("a*c", "abbc", true);
        case("a*c", "abbd", false);
        case("*a*b", "xaxb", true);
        case("?", "ä", true);
        case("a?", "a", false);
        case("**", "x", true);
        case("*ab", "aab", true);
        case("node1", "node10", false);
        // Exponential where every star is tried at every place.
        case(&"*a".repeat(40), &"a".repeat(2000).replace("aaaaa", "b"), false);
    }

    #[test]
    fn causes_have_no_number() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(io_cause(&error), "No such file or directory");
        assert_eq!(uncapitalized(&io_cause(&error)), "no such file or directory");
    }
}
