//! Words for a login that was refused.

use super::LoginAttempts;
use super::password::PasswordResult;
use crate::credentials::keys::Certificate;
use crate::outcome::{Failure, Phase};
use crate::text::plural;
use crate::transport::target::{Method, Target};

/// The failure that tells most about what was tried.
pub(super) fn refused(target: &Target, tried: &LoginAttempts) -> Failure {
    if let Some(failure) = password(target, tried) {
        return failure;
    }
    let user = &target.user;
    let mut certificates = target.settings.keys.iter().filter_map(|key| key.certificate.as_ref());
    let bad_certificate = certificates.find_map(|certificate| not_good(certificate, user));
    if let Some(said) = &tried.gone {
        return gone(target, tried, said, bad_certificate);
    }
    let others = tried.methods.split(',').any(|name| !name.is_empty() && name != Method::PublicKey.name());
    if tried.key_taken && others {
        return second_factor(target, tried);
    }
    let keys = plural(tried.offered, "key");
    let takes = if tried.methods.is_empty() { String::new() } else { format!("; the server takes {}", tried.methods) };
    let cause = format!("permission denied for `{user}` ({keys} offered{takes})");
    let failure = Failure::new(Phase::Auth, cause.clone());
    if let Some((what, hint)) = bad_certificate {
        return Failure::new(Phase::Auth, format!("{cause}: {what}")).hint(hint);
    }
    let asks_password = [Method::KeyboardInteractive, Method::Password]
        .iter()
        .any(|method| tried.methods.split(',').any(|name| name == method.name()));
    if !tried.methods.is_empty() && !tried.methods.split(',').any(|name| name == Method::PublicKey.name()) {
        return failure.hint(if asks_password && target.settings.password.is_none() {
            "the server takes no keys, only a password: --ask-password or --password-file"
        } else {
            "the server takes no way to log in that gsctl knows and may use; ssh knows more: `--transport openssh`"
        });
    }
    if tried.offered == 0 {
        return failure.hint(
            "no key to offer: name one with -i, start an ssh-agent (a locked one looks empty), or use --ask-password",
        );
    }
    failure.hint(format!(
        "is the public key in ~{user}/.ssh/authorized_keys on the node, and `{user}` the right user, not locked, with a \
         login shell that exists? sshd tells only its log on the node which of these it is"
    ))
}

/// The server took a key, and wants something else as well.
fn second_factor(target: &Target, tried: &LoginAttempts) -> Failure {
    let (user, methods) = (&target.user, &tried.methods);
    let cause = format!("the server took a key of `{user}` and wants a second factor: {methods}");
    let asks_password = [Method::KeyboardInteractive, Method::Password]
        .iter()
        .any(|method| methods.split(',').any(|name| name == method.name()));
    Failure::new(Phase::Auth, cause).hint(if asks_password && target.settings.password.is_none() {
        "where that is the password: --ask-password or --password-file; a code that changes can be typed by nobody here"
    } else {
        "a run cannot answer that: let the server want a key alone (AuthenticationMethods), or log in through a host that does"
    })
}

/// What is wrong with a certificate as such; the server says nothing of it.
fn not_good(certificate: &Certificate, user: &str) -> Option<(String, String)> {
    let path = certificate.path.display();
    let now = jiff::Timestamp::now().as_second();
    let when = |second: u64| {
        let second = i64::try_from(second).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(second).map_or_else(|_| "never".to_owned(), |at| at.to_string())
    };
    let now = u64::try_from(now).unwrap_or(0);
    if now >= certificate.valid_before {
        let what = format!("certificate `{path}` expired at {}", when(certificate.valid_before));
        return Some((what, "have it signed again".to_owned()));
    }
    if now < certificate.valid_after {
        let what = format!("certificate `{path}` is not valid before {}", when(certificate.valid_after));
        return Some((what, "wait, or see whether the clock of this machine is right".to_owned()));
    }
    if !certificate.principals.is_empty() && !certificate.principals.iter().any(|name| name == user) {
        let what = format!("certificate `{path}` is not for `{user}`");
        return Some((
            what,
            format!("it is for {}: log in as one of these with -l", certificate.principals.join(", ")),
        ));
    }
    None
}

/// The server ended the connection. sshd does so at the `MaxAuthTries`-th refusal.
fn gone(target: &Target, tried: &LoginAttempts, said: &str, bad_certificate: Option<(String, String)>) -> Failure {
    let at = format!("{}@{}", target.user, target.address);
    if tried.offered < 2 {
        return Failure::new(Phase::Auth, format!("{at}: connection closed during login: {said}")).retryable();
    }
    let (offered, keys) = (tried.offered, tried.keys.max(tried.offered));
    let cause =
        format!("{at}: too many authentication failures: the server ended the login after {offered} of {keys} keys");
    match bad_certificate {
        Some((what, hint)) => Failure::new(Phase::Auth, format!("{cause}: {what}")).hint(hint),
        None => Failure::new(Phase::Auth, cause)
            .hint("name the right one: -i KEY -o IdentitiesOnly=yes (the server's MaxAuthTries)"),
    }
}

/// The password was sent, and that was not enough. Never tried again: accounts are locked after a few wrong ones.
fn password(target: &Target, tried: &LoginAttempts) -> Option<Failure> {
    let Target { user, address, .. } = target;
    let answer = tried.password.as_ref()?;
    if let (PasswordResult::Refused, Some(said)) = (answer, &tried.gone) {
        let cause = format!("{user}@{address}: connection closed after the password was sent: {said}");
        return Some(Failure::new(Phase::Auth, cause).hint("it is not sent again, lest the account be locked"));
    }
    let (cause, hint) = match answer {
        PasswordResult::Expired => (
            format!("the password of `{user}` has expired: the server wants a new one"),
            format!("log in once by hand and change it: ssh {user}@{address}"),
        ),
        PasswordResult::More(question) => (
            format!("the server asks `{user}` for more than the password: `{question}`"),
            "gsctl answers one question only; log in with a key".to_owned(),
        ),
        PasswordResult::Refused => (
            format!("permission denied for `{user}`: the server does not take the password"),
            format!(
                "it is not tried again, lest the account be locked; is it the password of `{user}` on this node, and may \
                 `{user}` log in?"
            ),
        ),
    };
    let keys =
        if tried.offered == 0 { String::new() } else { format!(" ({} offered before)", plural(tried.offered, "key")) };
    Some(Failure::new(Phase::Auth, format!("{cause}{keys}")).hint(hint))
}
