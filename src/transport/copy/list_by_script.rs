//! What patterns match on a node, and what there is to copy where only another user may look: told by scripts.

use super::list::{Listing, MOST, RemoteEntry};
use super::{CopyEnd, CopyLimits, LONGEST_ANSWER};
use crate::plan::pull::PullSource;
use crate::plan::script::pull::{self as node, Listed};
use crate::transport::exec::command::CommandEnd;
use crate::transport::session::Session;

impl Session {
    /// The sources, with what each pattern matches in its place. What matches nothing, or would replace another, is told.
    pub(super) async fn spread(
        &mut self,
        sources: &[PullSource],
        limits: CopyLimits<'_>,
    ) -> Result<(Vec<PullSource>, Vec<(String, String)>), CopyEnd> {
        let mut denied = Vec::new();
        if !sources.iter().any(|source| source.pattern) {
            return Ok((sources.to_vec(), denied));
        }
        let mut spread: Vec<PullSource> = sources.iter().filter(|source| !source.pattern).cloned().collect();
        for listed in self.listed(node::spread(sources), limits).await? {
            match listed {
                Listed::Match(_, path) => {
                    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                    if let Some(other) = spread.iter().find(|other| other.name == name) {
                        if other.path != path {
                            denied.push((path, format!("would be called `{name}` here, as `{}` is", other.path)));
                        }
                        continue;
                    }
                    spread.push(PullSource { path, name, pattern: false });
                }
                Listed::Not(path, why) => denied.push((path, why)),
                Listed::Entry { .. } => {}
            }
        }
        Ok((spread, denied))
    }

    /// Looks at everything that is to be copied, as the user that sudo makes of the login user.
    pub(super) async fn walk(
        &mut self,
        sources: &[PullSource],
        dirs: bool,
        limits: CopyLimits<'_>,
    ) -> Result<Listing, CopyEnd> {
        let mut listing = Listing::default();
        for listed in self.listed(node::walk(sources, dirs), limits).await? {
            match listed {
                Listed::Entry { path, name, mode, size, modified, is_virtual } => {
                    match RemoteEntry::of(path, name, mode, Some(size), modified) {
                        Ok(found) => listing.found.push(RemoteEntry { is_virtual, ..found }),
                        Err(not) => listing.denied.push(not),
                    }
                }
                Listed::Not(path, why) => listing.denied.push((path, why)),
                Listed::Match(..) => {}
            }
            if listing.found.len() > MOST {
                return Err(CopyEnd::TooMany(MOST));
            }
        }
        Ok(listing)
    }

    async fn listed(&mut self, script: String, limits: CopyLimits<'_>) -> Result<Vec<Listed>, CopyEnd> {
        let ran = self.run_script(script, limits).await;
        if ran.end != CommandEnd::Exit(0) {
            return Err(CopyEnd::Script(Box::new(ran)));
        }
        let said = ran.stdout.whole(LONGEST_ANSWER);
        said.ok()
            .and_then(|said| node::parse(&said))
            .ok_or_else(|| CopyEnd::Local("the node's list of files has no end".to_owned()))
    }
}
