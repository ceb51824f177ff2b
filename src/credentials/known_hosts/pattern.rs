//! The patterns of ssh's files: `*`, `?`, and lists with `!`.
//!
//! Letters are compared as they are: whoever asks has put both sides in lower case.

/// As ssh matches a list: a negated pattern that matches rules the name out, whatever else does.
pub(crate) fn matches_list(patterns: &[String], target: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        if let Some(negated) = pattern.strip_prefix('!') {
            if matches_pattern(negated.as_bytes(), target.as_bytes()) {
                return false;
            }
        } else {
            found = found || matches_pattern(pattern.as_bytes(), target.as_bytes());
        }
    }
    found
}

/// `*` is any run of bytes, `?` any one. Linear in practice and never worse than pattern times text.
pub(crate) fn matches_pattern(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}
