//! Status lines that many hosts share: held back for a moment on a large fleet, and folded.
//!
//! Thousands of hosts that fail alike make one line a second, not thousands. It must not write; `status_lines` does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use indexmap::IndexMap;

use super::style::Tone;
use crate::event::HostId;

/// Fleets up to this size get every line at once, each host its own.
const SMALL: usize = 32;
/// Lines of a large fleet that are written at a time.
const MOST: usize = 20;
/// How long lines of a larger fleet are held back.
const HOLD: Duration = Duration::from_secs(1);

/// Something to say about one host.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// The status word.
    pub(crate) word: &'static str,
    /// Its style.
    pub(crate) tone: Tone,
    /// What there is to say.
    pub(crate) detail: String,
    /// The time to show.
    pub(crate) took: Duration,
    /// Hosts done by now, where that is shown.
    pub(crate) done: Option<usize>,
    /// The last lines of what the command printed.
    pub(crate) excerpt: Vec<String>,
}

/// The same thing, said about several hosts.
#[derive(Debug, Clone)]
pub(crate) struct NoticeGroup {
    /// The first notice, with the longest time and the highest count of all.
    pub(crate) notice: Notice,
    /// The detail without what is different from host to host.
    pub(crate) shape: String,
    /// Hosts that it is about.
    pub(crate) hosts: Vec<HostId>,
}

impl NoticeGroup {
    /// The detail: as it is for one host, in general for several.
    #[must_use]
    pub(crate) fn detail(&self) -> &str {
        if self.hosts.len() == 1 { &self.notice.detail } else { &self.shape }
    }
}

/// Notices held back.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    large: bool,
    since: Option<Duration>,
    groups: IndexMap<(&'static str, String), NoticeGroup>,
}

impl Grouping {
    /// For so many hosts.
    #[must_use]
    pub(crate) fn new(hosts: usize) -> Self {
        Self { large: hosts > SMALL, ..Self::default() }
    }

    /// Takes a notice about a host.
    pub(crate) fn push(&mut self, host: HostId, name: &str, notice: Notice, at: Duration) {
        self.since.get_or_insert(at);
        let shape = shape(&notice.detail, name);
        // On a small fleet every host has its own line, so its own key.
        let key = if self.large { shape.clone() } else { format!("{name} {shape}") };
        match self.groups.entry((notice.word, key)) {
            indexmap::map::Entry::Vacant(slot) => {
                slot.insert(NoticeGroup { notice, shape, hosts: vec![host] });
            }
            indexmap::map::Entry::Occupied(mut slot) => {
                let group = slot.get_mut();
                group.notice.took = group.notice.took.max(notice.took);
                group.notice.done = group.notice.done.max(notice.done);
                group.hosts.push(host);
            }
        }
    }

    /// Everything held, if it is time; hosts in inventory order.
    pub(crate) fn due(&mut self, at: Duration) -> Vec<NoticeGroup> {
        match self.since {
            Some(since) if !self.large || at.saturating_sub(since) >= HOLD => self.drain(),
            _ => Vec::new(),
        }
    }

    /// Everything held.
    pub(crate) fn drain(&mut self) -> Vec<NoticeGroup> {
        self.since = None;
        let mut groups: Vec<NoticeGroup> = self.groups.drain(..).map(|(_, group)| group).collect();
        for group in &mut groups {
            group.hosts.sort_unstable();
            group.hosts.dedup();
        }
        if self.large { crowded(groups) } else { groups }
    }
}

/// Where too many hosts have a reason of their own, those beyond the first lines are only named; the summary says why.
fn crowded(mut groups: Vec<NoticeGroup>) -> Vec<NoticeGroup> {
    if groups.len() <= MOST {
        return groups;
    }
    groups.sort_by_key(|group| usize::MAX - group.hosts.len());
    let mut rest: IndexMap<&'static str, NoticeGroup> = IndexMap::new();
    for group in groups.split_off(MOST) {
        match rest.entry(group.notice.word) {
            indexmap::map::Entry::Vacant(slot) => {
                let reasons = "for other reasons".to_owned();
                let notice = Notice { detail: reasons.clone(), excerpt: Vec::new(), ..group.notice };
                slot.insert(NoticeGroup { notice, shape: reasons, hosts: group.hosts });
            }
            indexmap::map::Entry::Occupied(mut slot) => slot.get_mut().hosts.extend(group.hosts),
        }
    }
    for (_, mut group) in rest {
        group.hosts.sort_unstable();
        group.hosts.dedup();
        groups.push(group);
    }
    groups
}

/// A text without what is different from host to host: its name, addresses, and for how long something has been so.
#[must_use]
pub(crate) fn shape(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_time = false;
    for token in text.split_inclusive(' ') {
        let word = token.trim_end_matches([' ', ':', ',', ';', '.', ')', '`']);
        let (start, core) = match word.strip_prefix(['(', '`']) {
            Some(core) => (&word[..1], core),
            None => ("", word),
        };
        if !core.is_empty() && differs(core, name) {
            out.push_str(start);
            out.push_str("<address>");
            out.push_str(&token[word.len()..]);
        } else if is_time && crate::duration::parse(core).is_ok() {
            out.push_str("<time>");
            out.push_str(&token[word.len()..]);
        } else {
            out.push_str(token);
        }
        is_time = word == "for";
    }
    out
}

fn differs(word: &str, name: &str) -> bool {
    word == name
        || word.strip_prefix(name).is_some_and(|rest| {
            rest.strip_prefix(':').is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        })
        || word.parse::<SocketAddr>().is_ok()
        || word.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        #[track_caller]
        fn case(text: &str, want: &str) {
            assert_eq!(shape(text, "node07"), want);
        }
        case("connection refused", "connection refused");
        case("connect to 10.0.0.7:22: connection refused", "connect to <address>: connection refused");
        case("connect to [2001:db8::7]:22 timed out", "connect to <address> timed out");
        case("no address for `node07`", "no address for `<address>`");
        case("exit status 3 (10.0.0.7)", "exit status 3 (<address>)");
        case("node07: a, node07:22", "<address>: a, <address>");
        case("node071 is another", "node071 is another");
        case("gaussdb (missing), for 34s: OG35", "gaussdb (missing), for <time>: OG35");
        case("not up after 34s, for all 3", "not up after 34s, for all 3");
    }

    #[test]
    fn a_large_fleet_is_folded_once_a_second() {
        let notice = |cause: &str| Notice {
            word: "UNREACHABLE",
            tone: Tone::Bad,
            detail: cause.into(),
            took: Duration::from_secs(5),
            done: Some(1),
            excerpt: Vec::new(),
        };
        let mut grouping = Grouping::new(1000);
        grouping.push(9, "node09", notice("connect to 10.0.0.9:22 refused"), Duration::from_secs(5));
        grouping.push(7, "node07", notice("connect to 10.0.0.7:22 refused"), Duration::from_secs(5));
        assert!(grouping.due(Duration::from_millis(5900)).is_empty());
        let groups = grouping.due(Duration::from_secs(6));
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].hosts, [7, 9]);
        assert_eq!(groups[0].detail(), "connect to <address> refused");
        assert!(grouping.due(Duration::from_secs(9)).is_empty());

        for host in 0..100 {
            grouping.push(host, "x", notice(&format!("reason {host}")), Duration::from_secs(9));
        }
        let groups = grouping.due(Duration::from_secs(10));
        assert_eq!(groups.len(), MOST + 1);
        assert_eq!((groups[MOST].detail(), groups[MOST].hosts.len()), ("for other reasons", 80));

        let mut grouping = Grouping::new(3);
        grouping.push(0, "node01", notice("connect to 10.0.0.1:22 refused"), Duration::ZERO);
        grouping.push(1, "node02", notice("connect to 10.0.0.2:22 refused"), Duration::ZERO);
        let groups = grouping.due(Duration::ZERO);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].detail(), "connect to 10.0.0.1:22 refused");
    }
}
