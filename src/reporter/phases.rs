//! How long each phase of a connection took, for `-v`.

use std::collections::HashMap;
use std::time::Duration;

use crate::event::HostId;
use crate::outcome::Phase;

/// The phases of the attempt that each host is at.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    hosts: HashMap<HostId, Vec<(Phase, Duration)>>,
}

impl Phases {
    /// A phase begins.
    pub(crate) fn begin(&mut self, host: HostId, phase: Phase, at: Duration) {
        self.hosts.entry(host).or_default().push((phase, at));
    }

    /// The attempt came to nothing.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.hosts.remove(&host);
    }

    /// `resolve 0.001s, connect 0.004s, ...`, now that the last of them is over.
    #[must_use]
    pub(crate) fn take(&mut self, host: HostId, at: Duration) -> String {
        let phases = self.hosts.remove(&host).unwrap_or_default();
        let ends = phases.iter().skip(1).map(|(_, at)| *at).chain([at]);
        let reported = phases
            .iter()
            .zip(ends)
            .map(|((phase, begun), end)| format!("{} {:.3}s", phase.words(), end.saturating_sub(*begun).as_secs_f64()));
        reported.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lasts_until_the_next_begins() {
        let ms = Duration::from_millis;
        let mut phases = Phases::default();
        phases.begin(1, Phase::Resolve, ms(1));
        phases.forget(1);
        phases.begin(1, Phase::Resolve, ms(10));
        phases.begin(1, Phase::Connect, ms(12));
        phases.begin(1, Phase::Auth, ms(20));
        assert_eq!(phases.take(1, ms(50)), "resolve 0.002s, connect 0.008s, auth 0.030s");
        assert_eq!(phases.take(1, ms(60)), "");
        assert_eq!(phases.take(0, ms(60)), "");
    }
}
