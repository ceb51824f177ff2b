//! What a push would change, without changing anything.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use similar::TextDiff;

use super::{CopyEnd, CopyLimits, refused};
use crate::outcome::change::{Change, ChangeKind};
use crate::plan::push::{Content, PushCheck, PushFile};
use crate::plan::script::push::{DEST, PushScripts, show};
use crate::transport::exec::command::CommandEnd;
use crate::transport::session::Session;

/// Bytes of a file whose differences are shown.
const MOST_COMPARED: usize = 256 * 1024;
/// Bytes of all differences of a host.
const MOST_SHOWN: usize = 1024 * 1024;
/// What takes longer to compare is compared more roughly.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lines around a difference that are shown.
const AROUND: usize = 3;
/// Said of a file that has the right content.
const LABELS: &str = "only mode, time or owner";

impl Session {
    /// Says what would become of each file. Gives the differences where they are wanted.
    pub(super) async fn check_push(
        &mut self,
        scripts: PushScripts<'_>,
        check: PushCheck,
        limits: CopyLimits<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<u8>, CopyEnd> {
        let mut answers = self.ask(scripts.check(), limits).await?;
        let places = scripts.push.places(scripts.dest, answers.remove(&DEST).is_some(), scripts.writer);
        let mut shown = Vec::new();
        for (n, (copy, place)) in scripts.push.copies.iter().zip(&places).enumerate() {
            let path = place.path.clone();
            let Some(answer) = answers.remove(&n) else {
                changes.push(refused(path, "the node gave no answer"));
                continue;
            };
            let (action, note) = match answer.word.as_str() {
                "present" => (ChangeKind::Present, None),
                "same" => (ChangeKind::Same, None),
                "absent" => (ChangeKind::WouldCreate, None),
                "differs" => (ChangeKind::WouldWrite, None),
                "labels" => (ChangeKind::WouldWrite, Some(LABELS.to_owned())),
                _ => {
                    changes.push(refused(path, answer.rest));
                    continue;
                }
            };
            let has_content = matches!(copy.content, Content::File { .. }) && answer.word != "labels";
            if check == PushCheck::Differences && has_content && !matches!(action, ChangeKind::Same) {
                let is_new = action == ChangeKind::WouldCreate;
                let said = self.difference(copy, &path, is_new, MOST_SHOWN.saturating_sub(shown.len()), limits).await?;
                shown.extend_from_slice(&said);
            }
            changes.push(Change { path, action, note });
        }
        Ok(shown)
    }

    /// The difference of one file, where it is a text that is not too long.
    async fn difference(
        &mut self,
        copy: &PushFile,
        path: &str,
        is_new: bool,
        room: usize,
        limits: CopyLimits<'_>,
    ) -> Result<Vec<u8>, CopyEnd> {
        let theirs = if is_new {
            Vec::new()
        } else {
            let ran = self.run_script(show(path, MOST_COMPARED + 1), limits).await;
            match &ran.end {
                CommandEnd::Exit(0) => ran.stdout.first(MOST_COMPARED + 1).unwrap_or_default().into_owned(),
                CommandEnd::Exit(_) => return Ok(not_shown(path, "it cannot be read")),
                _ => return Err(CopyEnd::Script(Box::new(ran))),
            }
        };
        let ours = read(&copy.local).map_err(|error| {
            CopyEnd::Local(format!("`{}`: {}", copy.local.display(), crate::text::io_cause(&error)))
        })?;
        if theirs.len().max(ours.len()) > MOST_COMPARED {
            return Ok(not_shown(path, "the file is too long"));
        }
        if theirs.contains(&0) || ours.contains(&0) {
            return Ok(not_shown(path, "it is no text"));
        }
        let said = unified(&theirs, &ours, path, &copy.local, is_new);
        Ok(if said.len() > room { not_shown(path, "there are too many") } else { said })
    }
}

/// The beginning of a file of this machine.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_COMPARED as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_shown(path: &str, why: &str) -> Vec<u8> {
    format!("differences of {path} are not shown: {why}\n").into_bytes()
}

/// Differences as diff(1) shows them.
fn unified(theirs: &[u8], ours: &[u8], path: &str, local: &Path, is_new: bool) -> Vec<u8> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(theirs, ours);
    let from = if is_new { "/dev/null" } else { path };
    let mut out = Vec::new();
    // Into memory: nothing can go wrong.
    let _ = diff.unified_diff().context_radius(AROUND).header(from, &local.display().to_string()).to_writer(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_like_that_of_diff() {
        let said = |theirs: &[u8], ours: &[u8], is_new| unified(theirs, ours, "/etc/a", Path::new("a"), is_new);
        assert_eq!(said(b"1\n2\n", b"1\n3\n", false), b"--- /etc/a\n+++ a\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n");
        assert_eq!(said(b"", b"1\n", true), b"--- /dev/null\n+++ a\n@@ -0,0 +1 @@\n+1\n");
        // What is no text is shown as well as it can be.
        assert_eq!(
            said(b"a\xff\n", b"b\xfe\n", false),
            "--- /etc/a\n+++ a\n@@ -1 +1 @@\n-a\u{fffd}\n+b\u{fffd}\n".as_bytes()
        );
    }
}
