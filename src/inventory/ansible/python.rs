//! What a value is to Ansible: a piece of Python in INI, YAML 1.1 in YAML; as text, in the form that Ansible gives it.

use super::vars::Value;

/// A value of an INI inventory: as Python's `literal_eval` has it, and as it is written where it is no Python.
pub(super) fn literal(text: &str) -> Value {
    let text = text.trim();
    if text.starts_with(['"', '\'']) {
        return Value::text(strings(text).unwrap_or_else(|| text.to_owned()));
    }
    let template = text.starts_with("{{");
    if !template
        && [('[', ']'), ('{', '}'), ('(', ')')]
            .iter()
            .any(|(open, close)| text.starts_with(*open) && text.ends_with(*close))
    {
        return Value::Other;
    }
    let word = text.split('#').next().unwrap_or_default().trim_end();
    match word {
        "None" => Value::Nothing,
        "True" | "False" => Value::text(word),
        _ => number(word, Notation::Python).map_or_else(|| Value::text(text), Value::Text),
    }
}

/// A plain scalar of YAML, as `PyYAML` reads it: YAML 1.1.
pub(super) fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Nothing,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::text("True"),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Value::text("False"),
        _ => {}
    }
    number(text, Notation::Yaml).map_or_else(|| Value::text(text), Value::Text)
}

/// Strings of Python that stand side by side, joined, with what a comment may follow.
fn strings(text: &str) -> Option<String> {
    let mut joined = String::new();
    let mut rest = text;
    while let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let mut chars = rest[1..].char_indices();
        let end = loop {
            let (at, c) = chars.next()?;
            match c {
                '\\' => match chars.next()?.1 {
                    'n' => joined.push('\n'),
                    't' => joined.push('\t'),
                    same @ ('\\' | '\'' | '"') => joined.push(same),
                    other => joined.extend(['\\', other]),
                },
                c if c == quote => break at + 2,
                c => joined.push(c),
            }
        };
        rest = rest[end..].trim_start();
    }
    (rest.is_empty() || rest.starts_with('#')).then_some(joined)
}

/// Whose numbers they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    Python,
    Yaml,
}

/// A number as Ansible prints it, if it is one.
fn number(text: &str, notation: Notation) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let yaml = notation == Notation::Yaml;
    // Python takes `_` between digits, YAML 1.1 anywhere behind the first.
    if !yaml && (digits.ends_with('_') || digits.contains("__")) {
        return None;
    }
    let digits = digits.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let radix = |prefix: &str, radix| lower.strip_prefix(prefix).map(|rest| i128::from_str_radix(rest, radix).ok());
    let whole = if let Some(value) = radix("0x", 16).or_else(|| radix("0b", 2)) {
        value?
    } else if let Some(value) = radix("0o", 8) {
        value.filter(|_| !yaml)?
    } else if digits.contains(':') {
        return if yaml { sexagesimal(&digits).map(|value| format!("{sign}{value}")) } else { None };
    } else if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        match (digits.len() > 1 && digits.starts_with('0'), notation) {
            (true, Notation::Yaml) => i128::from_str_radix(&digits, 8).ok()?,
            (true, Notation::Python) if digits.bytes().any(|byte| byte != b'0') => return None,
            _ => digits.parse().ok()?,
        }
    } else {
        return fraction(&digits, yaml).map(|value| format!("{sign}{value}"));
    };
    Some(if whole == 0 { "0".to_owned() } else { format!("{sign}{whole}") })
}

/// `12:30:45` is a number of YAML 1.1, to the base of 60.
fn sexagesimal(digits: &str) -> Option<u64> {
    let mut parts = digits.split(':');
    let first = parts.next().filter(|first| !first.starts_with('0'))?;
    let mut value: u64 = first.parse().ok()?;
    for part in parts {
        let part = part.parse().ok().filter(|value: &u64| *value < 60 && part.len() <= 2)?;
        value = value.checked_mul(60)?.checked_add(part)?;
    }
    Some(value)
}

/// A number with a fraction or an exponent, as Python prints it.
fn fraction(digits: &str, yaml: bool) -> Option<String> {
    let is_number =
        digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    // YAML 1.1 wants a point, and a sign in the exponent.
    let exponent = digits.split_once(['e', 'E']).map(|(_, exponent)| exponent);
    if !is_number || (yaml && (!digits.contains('.') || exponent.is_some_and(|text| !text.starts_with(['+', '-'])))) {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    // Beyond this Python writes an exponent, and nobody's variable is such a number.
    let plain = value == 0.0 || (1e-4..1e16).contains(&value);
    Some(if plain { format!("{value:?}") } else { digits.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn python(text: &str, want: Option<&str>) {
        let other = if text == "None" { Value::Nothing } else { Value::Other };
        assert_eq!(literal(text), want.map_or(other, |want| Value::Text(want.to_owned())), "{text}");
    }

    #[track_caller]
    fn yaml(text: &str, want: Option<&str>) {
        let want = want.map_or(Value::Nothing, |want| Value::Text(want.to_owned()));
        assert_eq!(plain_scalar(text), want, "{text}");
    }

    #[test]
    fn as_python() {
        for (text, want) in [
            ("omm", Some("omm")),
            ("'omm'", Some("omm")),
            ("'it''s'", Some("its")),
            ("'a' \"b\"", Some("ab")),
            ("\"a b\" # c", Some("a b")),
            ("'a\\tb\\d'", Some("a\tb\\d")),
            ("2222 # c", Some("2222")),
            ("omm # c", Some("omm # c")),
            ("'a' b", Some("'a' b")),
            ("[1, 2]", None),
            ("{'a': 1}", None),
            ("(1, 2)", None),
            ("None", None),
            ("True", Some("True")),
            ("true", Some("true")),
            ("{{ x }}", Some("{{ x }}")),
            ("", Some("")),
            ("007", Some("007")),
            ("00", Some("0")),
            ("0x16", Some("22")),
            ("0o26", Some("22")),
            ("1_000", Some("1000")),
            ("-5", Some("-5")),
            ("+5", Some("5")),
            ("1.50", Some("1.5")),
            ("1e3", Some("1000.0")),
            ("12:30:45", Some("12:30:45")),
            ("10.0.0.1", Some("10.0.0.1")),
        ] {
            python(text, want);
        }
    }

    #[test]
    fn as_yaml_1_1() {
        for (text, want) in [
            ("omm", Some("omm")),
            ("007", Some("7")),
            ("0022", Some("18")),
            ("089", Some("089")),
            ("0x16", Some("22")),
            ("0o26", Some("0o26")),
            ("12:30:45", Some("45045")),
            ("-1:30", Some("-90")),
            ("1:75", Some("1:75")),
            ("::1", Some("::1")),
            ("yes", Some("True")),
            ("off", Some("False")),
            ("~", None),
            ("1.50", Some("1.5")),
            ("1e3", Some("1e3")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("5432", Some("5432")),
        ] {
            yaml(text, want);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_value_makes_it_panic(text: String) {
            let _ = (literal(&text), plain_scalar(&text));
        }
    }
}
