//! The fault tolerance service: what the coordinator finds out about its segments, and what it does about it.

use crate::catalog::{self, Row};
use crate::data::Data;
use crate::segd;

/// One scan. A mirror that is gone is marked down, a primary that is gone is replaced by its mirror, a mirror that streams again
/// is marked up. Content -1 never changes.
pub(crate) fn scan(data: &Data) {
    let before = catalog::rows(data);
    let mut rows = before.clone();
    let contents: Vec<i32> =
        before.iter().filter(|row| row.content >= 0 && row.is_primary()).map(|row| row.content).collect();
    for content in contents {
        let at = |primary: bool| before.iter().position(|row| row.content == content && row.is_primary() == primary);
        let (Some(primary), Some(mirror)) = (at(true), at(false)) else { continue };
        let lives = before[primary].ask("alive");
        let follows = before[mirror].ask("follows");
        if lives {
            let (mode, status) = if follows { ("s", "u") } else { ("n", "d") };
            mode.clone_into(&mut rows[primary].mode);
            mode.clone_into(&mut rows[mirror].mode);
            status.clone_into(&mut rows[mirror].status);
        } else if follows && before[mirror].status == "u" && before[mirror].mode == "s" {
            let _ = segd::ask(&before[mirror].host, &format!("promote {}", before[mirror].data));
            fail_over(&mut rows, primary, mirror);
        }
    }
    if rows != before {
        catalog::write(data, &rows);
    }
}

fn fail_over(rows: &mut [Row], primary: usize, mirror: usize) {
    for (at, role, status) in [(primary, "m", "d"), (mirror, "p", "u")] {
        role.clone_into(&mut rows[at].role);
        "n".clone_into(&mut rows[at].mode);
        status.clone_into(&mut rows[at].status);
    }
}

/// Whether every content has a primary that runs.
pub(crate) fn all_served(data: &Data) -> bool {
    catalog::segments(data).iter().filter(|row| row.is_primary()).all(|row| row.ask("alive"))
}
