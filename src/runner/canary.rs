//! A few hosts first: where they are fine, and whoever is asked agrees, the others follow.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{HostId, StepId};
use crate::reactor::now;
use crate::stats::CancelReason;

use super::Run;
use super::executor::Executor;

/// Hosts that go first.
#[derive(Debug, Clone)]
pub struct Canary {
    /// How many.
    pub first: usize,
    /// Who is asked before the others follow; `None`: nobody.
    pub ask: Option<Confirm>,
}

/// Somebody who is asked, and may take his time.
#[derive(Clone)]
pub struct Confirm(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Confirm {
    /// Asks with this function, on a thread of its own.
    #[must_use]
    pub fn new(ask: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirm")
    }
}

/// Time between two looks whether there is an answer.
const LOOK: Duration = Duration::from_millis(100);

impl<C: Executor> Run<'_, C> {
    /// Does the step on the first hosts. True where the others may follow.
    pub(super) async fn run_canary(&mut self, id: StepId, first: &[HostId], others: usize) -> bool {
        self.run_on_hosts(id, first).await;
        if self.stats.cancelled.is_some() {
            return false;
        }
        let failed = first.iter().filter(|&&host| self.hosts[host].out).count();
        if failed > 0 {
            let message =
                format!("{failed} of {} canaries failed: the other {others} hosts were left alone", first.len());
            self.emit(crate::event::EventKind::Warning { message });
            self.cancel_run(CancelReason::MaxFail);
            return false;
        }
        self.may_follow(first.len(), others).await
    }

    /// Asks, where somebody is to be asked, whether the other hosts may follow the first ones.
    pub(super) async fn may_follow(&mut self, first: usize, others: usize) -> bool {
        let Some(confirm) = self.settings.canary.as_ref().and_then(|canary| canary.ask.clone()) else { return true };
        // What the canaries said is to be read before the answer.
        self.reporter.tick(now() - self.start);
        let shown = self.reporter.shown();
        let question = format!("{first} of {} hosts are done, go on with the other {others}?", first + others);
        let (tell, answer) = async_channel::bounded(1);
        let ask = move || {
            shown();
            tell.try_send((confirm.0)(&question))
        };
        blocking::unblock(ask).detach();
        while self.stats.cancelled.is_none() {
            match answer.try_recv() {
                Ok(true) => return true,
                Ok(false) => {
                    self.cancel_run(CancelReason::Interrupt);
                }
                Err(_) => {
                    self.next_event(Some(now() + LOOK)).await;
                }
            }
        }
        false
    }
}
