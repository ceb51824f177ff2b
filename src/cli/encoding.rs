//! Arguments that are not UTF-8, such as those of a terminal that speaks GBK: which they are, and the way out.

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;

/// Names the arguments that are not UTF-8, where that is what is wrong.
#[must_use]
pub fn explain(error: clap::Error, words: &[OsString]) -> clap::Error {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return error;
    }
    let odd: Vec<String> = words.iter().filter(|word| word.to_str().is_none()).map(|word| shown(word)).collect();
    let (noun, verb) = if odd.len() == 1 { ("argument", "is") } else { ("arguments", "are") };
    let odd = odd.join(", ");
    clap::Error::raw(
        ErrorKind::InvalidUtf8,
        format!(
            "{noun} {odd} {verb} not UTF-8\n\
             hint: set the terminal and the locale to UTF-8, or convert what is written in another encoding: \
             \"$(printf %s ... | iconv -f GBK)\"; a file in any encoding goes as it is: `script FILE`, `push`\n"
        ),
    )
}

/// A word with its odd bytes in hexadecimal digits.
fn shown(word: &OsStr) -> String {
    let mut text = String::new();
    for chunk in word.as_encoded_bytes().utf8_chunks() {
        text.extend(chunk.valid().chars().flat_map(|c| {
            let plain = (!c.is_control()).then_some(c);
            plain.into_iter().chain(plain.is_none().then(|| c.escape_default()).into_iter().flatten())
        }));
        text.extend(chunk.invalid().iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).map(char::from));
    }
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn an_argument_in_gbk_is_named() {
        let words: Vec<OsString> =
            [b"gsctl".as_slice(), b"exec", b"echo \xd6\xd0\x07"].map(|word| OsStr::from_bytes(word).to_owned()).into();
        let error = super::super::parse(&words, &[]).expect_err("it is no text");
        let said = explain(error, &words).to_string();
        assert!(said.starts_with("error: argument `echo \\xd6\\xd0\\u{7}` is not UTF-8\nhint: "), "{said}");
    }
}
