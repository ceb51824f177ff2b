//! Jump hosts as people write them: `a`, `omm@a:2222,b`, `ssh://a`, `none`.

use super::spec::{Spec, SpecError, parse_spec};

/// Reads what `-J`, `jump=` and `ProxyJump` take: the hosts to go through, in the order in which they are passed. None, where
/// that is `none`.
///
/// # Errors
///
/// Says which part is wrong.
pub fn parse_jump(text: &str) -> Result<Vec<Spec>, SpecError> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|hop| {
            let hop = hop.trim();
            parse_spec(hop).map_err(|error| SpecError { message: format!("jump: {}", error.message), ..error })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let names = |text| {
            let hops = parse_jump(text).unwrap();
            hops.iter()
                .map(|hop| format!("{}|{}", hop.user.as_deref().unwrap_or(""), hop.with_port()))
                .collect::<Vec<_>>()
        };
        assert_eq!(names("bastion"), ["|bastion"]);
        assert_eq!(names("omm@a:2222,ssh://b:22/, c"), ["omm|a:2222", "|b:22", "|c"]);
        assert_eq!(names("[::1]:22"), ["|[::1]:22"]);
        assert!(names("NONE").is_empty());
        assert_eq!(parse_jump("a,,b").unwrap_err().message, "jump: the host name is missing");
        assert_eq!(parse_jump("").unwrap_err().message, "jump: the host name is missing");
        assert_eq!(parse_jump("a:x").unwrap_err().message, "jump: port `x` is not a number");
    }
}
