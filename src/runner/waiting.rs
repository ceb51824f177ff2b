//! The hosts that a wait is about. Each answer costs the same for ten hosts and for ten thousand.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::event::HostId;
use crate::outcome::Failure;
use crate::plan::Wait;

use super::later;

/// Time of one core that a look may take of this machine and still leave half of it: what a look is taken to cost, twice. An
/// assumption: not measured in an optimised build.
const LOOK_SHARE: Duration = Duration::from_micros(200);
/// Looks at fewer hosts need not be spread.
const MANY: usize = 64;

/// What is known of why a host is not there, since its first missing stage has been the first missing one.
#[derive(Debug, Default)]
pub(super) struct Why {
    /// Looks since then.
    looks: u32,
    /// The look that is under way asks for the cause.
    asked: bool,
    /// The cause that does not pass, where the latest look that asked found one.
    pub(super) hopeless: Option<String>,
    /// What holds it back passes by itself.
    pub(super) passing: bool,
}

/// A host that is waited for.
pub(super) struct WaitingHost {
    pub(super) host: HostId,
    /// When the next look is due.
    due: Instant,
    /// A look is under way.
    looking: bool,
    /// When the latest look began.
    began: Instant,
    /// The latest look found it where it is wanted.
    pub(super) there: bool,
    /// It will not come, and this is why.
    pub(super) lost: Option<Failure>,
    /// Since when each `give_up` rule has held.
    pub(super) held: Vec<Option<Instant>>,
    /// Since when its first missing stage has been the first missing one.
    pub(super) stuck: Instant,
    /// How often a stage that had been reached was missing again.
    pub(super) setbacks: u32,
    /// What the latest look said about the fact that is waited for, or what it missed.
    pub(super) value: Option<String>,
    /// Why the latest look failed, if it did.
    pub(super) trouble: Option<Failure>,
    /// The boot id that was found first, where a reboot is waited for.
    pub(super) boot: Option<String>,
    pub(super) looks: u32,
    pub(super) why: Why,
    /// It is looked at, but nobody waits for it: neither here nor lost.
    hindered: bool,
}

impl WaitingHost {
    pub(super) fn new(host: HostId, wait: &Wait, now: Instant) -> Self {
        Self {
            host,
            due: now,
            looking: false,
            began: now,
            there: false,
            lost: None,
            held: vec![None; wait.give_up.len()],
            stuck: now,
            setbacks: 0,
            value: None,
            trouble: None,
            boot: None,
            looks: 0,
            why: Why::default(),
            hindered: false,
        }
    }

    /// The next look is due at once.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.due = now;
    }
}

/// All hosts of a wait, with what must be known about them at each turn.
pub(super) struct WaitingHosts {
    hosts: Vec<WaitingHost>,
    places: HashMap<HostId, usize>,
    /// Who is to be looked at next: neither under way nor lost. A time that is not the host's own counts no more.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    there: usize,
    lost: usize,
    hindered: usize,
    looking: usize,
    cannot_reach_quorum: Option<Instant>,
    /// Since when the latest round goes, and who was not looked at in it yet.
    round: Option<Instant>,
    unseen: HashSet<usize>,
    began: Instant,
}

impl WaitingHosts {
    pub(super) fn new(hosts: Vec<HostId>, wait: &Wait, now: Instant) -> Self {
        let hosts: Vec<WaitingHost> = hosts.into_iter().map(|host| WaitingHost::new(host, wait, now)).collect();
        let places = hosts.iter().enumerate().map(|(place, host)| (host.host, place)).collect();
        let due = (0..hosts.len()).map(|place| Reverse((now, place))).collect();
        Self {
            hosts,
            places,
            due,
            there: 0,
            lost: 0,
            hindered: 0,
            looking: 0,
            cannot_reach_quorum: None,
            round: None,
            unseen: HashSet::new(),
            began: now,
        }
    }

    /// Leaves some out of what is waited for, by place.
    pub(super) fn hinder(&mut self, hindered: &[bool]) {
        for (host, hindered) in self.hosts.iter_mut().zip(hindered) {
            host.hindered = *hindered;
            self.hindered += usize::from(*hindered);
        }
    }

    /// Hosts that are not waited for.
    pub(super) fn hindered(&self) -> Vec<HostId> {
        self.hosts.iter().filter(|host| host.hindered).map(|host| host.host).collect()
    }

    /// Hosts that are waited for.
    pub(super) fn waited_for(&self) -> usize {
        self.hosts.len() - self.hindered
    }

    /// When a host that is looked at now is looked at next. Many hosts, which all are looked at first at once, have each a time of
    /// their own within the interval from then on; and the interval is longer where there are more hosts than one can look at
    /// in it with half a core, up to twice as long.
    fn next_look(&self, place: usize, now: Instant, every: Duration) -> Instant {
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let every = every.max(LOOK_SHARE.saturating_mul(hosts).min(every.saturating_mul(2)));
        if self.hosts.len() < MANY || every.is_zero() {
            return later(now, every);
        }
        let own = every.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX)) / hosts;
        let first = later(self.began, own);
        let Some(since) = now.checked_duration_since(first) else { return first };
        let turns = u32::try_from(since.as_nanos() / every.as_nanos()).unwrap_or(u32::MAX);
        later(first, every.saturating_mul(turns.saturating_add(1)))
    }

    pub(super) fn place(&self, host: HostId) -> Option<usize> {
        self.places.get(&host).copied()
    }

    pub(super) fn host(&self, place: usize) -> HostId {
        self.hosts[place].host
    }

    pub(super) fn is_there(&self, place: usize) -> bool {
        self.hosts[place].there
    }

    /// Whether the next look at a host is to ask why it is not there. Notes that it is asked.
    pub(super) fn asks_why(&mut self, place: usize, every: u32) -> bool {
        let host = &mut self.hosts[place];
        host.why.looks += 1;
        host.why.asked = !host.there && host.why.looks.is_multiple_of(every);
        host.why.asked
    }

    /// Whether the look that is over asked why. Forgets it.
    pub(super) fn takes_why(&mut self, place: usize) -> bool {
        std::mem::take(&mut self.hosts[place].why.asked)
    }

    pub(super) fn is_looking(&self, host: HostId) -> bool {
        self.place(host).is_some_and(|place| self.hosts[place].looking)
    }

    /// Hosts that are waited for and are where they are wanted.
    pub(super) fn there(&self) -> usize {
        self.there
    }

    /// Hosts that are waited for, and are there or may still come.
    pub(super) fn possible(&self) -> usize {
        self.waited_for() - self.lost
    }

    /// Looks that are under way.
    pub(super) fn looking(&self) -> usize {
        self.looking
    }

    /// True when each is there or will never be.
    pub(super) fn are_settled(&self) -> bool {
        self.there + self.lost == self.waited_for()
    }

    /// When it became clear that too few can come.
    pub(super) fn hopeless_since(&mut self, now: Instant) -> Instant {
        *self.cannot_reach_quorum.get_or_insert(now)
    }

    /// When the next look is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// A host that is to be looked at by now.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        while self.next_due().is_some_and(|at| at <= now) {
            let Some(Reverse((at, place))) = self.due.pop() else { break };
            let host = &self.hosts[place];
            if host.due == at && !host.looking && host.lost.is_none() {
                return Some(place);
            }
        }
        None
    }

    /// A look begins; the next one is due so much later.
    pub(super) fn begin(&mut self, place: usize, now: Instant, every: Duration) {
        let due = self.next_look(place, now, every);
        let host = &mut self.hosts[place];
        host.looking = true;
        host.began = now;
        host.due = due;
        host.looks += 1;
        self.looking += 1;
    }

    /// A look is over, and says this about the host.
    pub(super) fn end(&mut self, place: usize, says: impl FnOnce(&mut WaitingHost)) {
        let host = &mut self.hosts[place];
        if !std::mem::take(&mut host.looking) {
            return;
        }
        self.looking -= 1;
        let (there, lost) = (host.there, host.lost.is_some());
        says(host);
        // Who will not come is not there.
        host.there &= host.lost.is_none();
        if !host.hindered {
            self.there = self.there + usize::from(host.there) - usize::from(there);
            self.lost = self.lost + usize::from(host.lost.is_some()) - usize::from(lost);
        }
        if host.lost.is_some() || self.round.is_some_and(|round| host.began >= round) {
            self.unseen.remove(&place);
        }
        if host.lost.is_none() {
            self.due.push(Reverse((host.due, place)));
        }
    }

    /// There is no look at this host.
    pub(super) fn give_up(&mut self, place: usize, why: Failure) {
        let host = &mut self.hosts[place];
        let (there, is_new) = (std::mem::take(&mut host.there), host.lost.replace(why).is_none());
        if !host.hindered {
            self.there -= usize::from(there);
            self.lost += usize::from(is_new);
        }
    }

    /// A host can be looked at again.
    pub(super) fn resume(&mut self, host: HostId, now: Instant) {
        if let Some(place) = self.place(host)
            && !self.hosts[place].looking
            && self.hosts[place].lost.is_none()
        {
            self.hosts[place].due = self.hosts[place].due.max(now);
            self.due.push(Reverse((self.hosts[place].due, place)));
        }
    }

    /// Begins a round: every host is to be looked at once more, now.
    pub(super) fn begin_round(&mut self, now: Instant) {
        self.round = Some(now);
        self.unseen.clear();
        for place in 0..self.hosts.len() {
            let host = &mut self.hosts[place];
            if host.lost.is_some() {
                continue;
            }
            self.unseen.insert(place);
            if host.due > now {
                host.due = now;
                if !host.looking {
                    self.due.push(Reverse((now, place)));
                }
            }
        }
    }

    /// True where each host that is not lost was looked at in the latest round.
    pub(super) fn is_round_over(&self) -> bool {
        self.unseen.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &WaitingHost> {
        self.hosts.iter()
    }

    pub(super) fn into_hosts(self) -> Vec<WaitingHost> {
        self.hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Look, Quorum, Until};

    fn waiting(hosts: usize, now: Instant) -> WaitingHosts {
        let wait = Wait {
            look: Look::Probe("node".to_owned()),
            until: Until::Chain,
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
            quorum: Quorum::All,
            give_up: Vec::new(),
            evidence: None,
            hint: None,
            looks: None,
            patient: false,
        };
        WaitingHosts::new((0..hosts).collect(), &wait, now)
    }

    /// Looks in each tenth of a second of a minute, and the longest time that a host was left alone.
    fn looks(hosts: usize) -> (Vec<usize>, Duration) {
        let start = Instant::now();
        let mut waiting = waiting(hosts, start);
        let mut latest = vec![start; hosts];
        let (mut counts, mut longest) = (Vec::new(), Duration::ZERO);
        for tick in 0..600 {
            let now = start + Duration::from_millis(100) * tick;
            let mut count = 0;
            while let Some(place) = waiting.pop_due(now) {
                longest = longest.max(now - latest[place]);
                latest[place] = now;
                waiting.begin(place, now, Duration::from_secs(1));
                waiting.end(place, |_| ());
                count += 1;
            }
            counts.push(count);
        }
        (counts, longest)
    }

    #[test]
    fn looks_at_many_hosts_are_spread() {
        let (counts, longest) = looks(2_000);
        assert_eq!(counts[0], 2_000, "the first look is at once");
        assert!(counts[20..].iter().all(|count| (190..=210).contains(count)), "{counts:?}");
        assert!(longest <= Duration::from_millis(1_100), "{longest:?}");
    }

    #[test]
    fn more_hosts_than_half_a_core_can_look_at_are_looked_at_less_often() {
        let (counts, longest) = looks(10_000);
        assert!(counts[20..].iter().all(|count| (490..=510).contains(count)), "{counts:?}");
        assert!(longest <= Duration::from_millis(2_100), "{longest:?}");
    }

    #[test]
    fn few_hosts_are_looked_at_as_often_as_was_asked() {
        let (counts, _) = looks(3);
        assert_eq!((counts[0], counts[10], counts[590]), (3, 3, 3));
        assert_eq!(counts.iter().sum::<usize>(), 180);
    }
}
