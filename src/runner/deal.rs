//! Facts that other looks are to know: what one host says to all, what it found out for itself, and what it knows about each of
//! the others.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{EventKind, HostId};
use crate::outcome::Facts;
use crate::plan::Plan;
use crate::plan::template::is_name;

use super::Run;
use super::executor::Executor;
use super::host::HostState;

impl<C: Executor> Run<'_, C> {
    /// Makes variables of what a look found. A fact `share_X` is from now on a variable of that name on every host, a fact
    /// `found_X` on the host itself. A fact `deal_X` holds words `NAME[,NAME...]=VALUE`: each host gets, as the variable `dealt_X`,
    /// the values of the words that have one of its names; the names that no host has are the variable `undealt_X` everywhere.
    pub(super) fn publish_facts(&mut self, from: HostId, facts: &mut Facts) {
        // What is dealt may be long, and is nobody's own.
        let dealt: Vec<(String, String)> = facts
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("deal_")?.to_owned(), value.clone())))
            .filter(|(name, _)| is_name(name))
            .collect();
        facts.retain(|name, _| !name.starts_with("deal_"));
        let mut refused = Vec::new();
        for (name, value) in facts.iter().filter(|(name, _)| is_name(name)) {
            if name.starts_with("share_") {
                match share(self.plan, &mut self.hosts, name, value) {
                    Some(why) => refused.push(why),
                    None => {
                        self.write_log(|log| log.shared(name, value));
                    }
                }
            } else if name.starts_with("found_") {
                self.hosts[from].run_host.vars.insert(name.as_str(), value.as_str());
            }
        }
        for message in refused {
            self.emit(EventKind::Warning { message });
        }
        if dealt.is_empty() {
            return;
        }
        self.hosts[from].facts.extend(facts.iter().map(|(name, value)| (name.clone(), value.clone())));
        let names: Vec<Vec<&str>> = self
            .hosts
            .iter()
            .map(|host| {
                let vars = &host.run_host.vars;
                let known = [vars.get("host"), vars.get("address"), host.facts.get("node_name").map(String::as_str)];
                known.into_iter().flatten().collect()
            })
            .collect();
        let hands: Vec<(String, Hands)> = dealt.into_iter().map(|(name, words)| (name, deal(&words, &names))).collect();
        for (name, hands) in hands {
            let (own, left) = (format!("dealt_{name}"), format!("undealt_{name}"));
            for (host, values) in self.hosts.iter_mut().zip(hands.of_hosts) {
                host.run_host.vars.insert(own.as_str(), values);
                host.run_host.vars.insert(left.as_str(), hands.left.as_str());
            }
        }
    }
}

/// Makes a variable of every host of what one of them says. `Some`: why it is not taken, as `--var` would not take it either.
fn share(plan: &Plan, hosts: &mut [HostState], name: &str, value: &str) -> Option<String> {
    if let Some(spec) = plan.vars.get(name)
        && let Err(expected) = spec.check.check(value)
        && !value.is_empty()
    {
        return Some(format!("a host says `{name}={value}`, which is not taken: it wants {expected}"));
    }
    let (name, value): (Arc<str>, Arc<str>) = (name.into(), value.into());
    for host in hosts {
        host.run_host.vars.insert(name.clone(), value.clone());
    }
    None
}

/// What was dealt.
#[derive(Debug, PartialEq, Eq)]
struct Hands {
    /// The values of each host, with blanks between them.
    of_hosts: Vec<String>,
    /// The first name of each word that is no host's, with blanks between them.
    left: String,
}

/// Deals words `NAME[,NAME...]=VALUE` to the hosts that go by one of the names. Where none does as it stands, the part before the
/// first dot will do.
fn deal(words: &str, names: &[Vec<&str>]) -> Hands {
    let mut whole: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut short: HashMap<&str, Vec<usize>> = HashMap::new();
    for (host, names) in names.iter().enumerate() {
        for name in names {
            whole.entry(name).or_default().push(host);
            short.entry(short_name(name)).or_default().push(host);
        }
    }
    let mut of_hosts = vec![String::new(); names.len()];
    let mut left: Vec<&str> = Vec::new();
    for word in words.split_whitespace() {
        let Some((called, value)) = word.split_once('=') else { continue };
        let exact = called.split(',').find_map(|name| whole.get(name));
        let found = exact.or_else(|| called.split(',').find_map(|name| short.get(short_name(name))));
        let Some(found) = found else {
            let first = called.split(',').next().unwrap_or(called);
            if !left.contains(&first) {
                left.push(first);
            }
            continue;
        };
        let mut before = None;
        // A host may have one name twice.
        for &host in found.iter().filter(|host| before.replace(**host) != Some(**host)) {
            let hand = &mut of_hosts[host];
            if !hand.is_empty() {
                hand.push(' ');
            }
            hand.push_str(value);
        }
    }
    Hands { of_hosts, left: left.join(" ") }
}

/// `sdw1` of `sdw1.example.com`; an address is whole.
fn short_name(name: &str) -> &str {
    if name.parse::<std::net::IpAddr>().is_ok() { name } else { name.split('.').next().unwrap_or(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_gets_its_own() {
        let names =
            [vec!["mdw", "10.0.0.1", "mdw"], vec!["store-a", "10.0.0.2", "sdw1.example.com"], vec!["sdw2", "10.0.0.3"]];
        let hands = deal(
            "sdw1,10.9.9.9=/a:1 sdw2.example.com,x=/b:2 sdw1,y=/c:3 mdw,z=/d:4 sdw9,sdw9-1=/e:5 sdw9,q=/f:6",
            &names,
        );
        assert_eq!(hands.of_hosts, ["/d:4", "/a:1 /c:3", "/b:2"]);
        assert_eq!(hands.left, "sdw9");
    }

    #[test]
    fn a_whole_name_goes_before_a_short_one() {
        let names = [vec!["db.east"], vec!["db.west"], vec!["10.0.0.1"], vec!["10.0.0.2"]];
        let hands = deal("db.west=1 db=2 10.0.0.2=3 10.0.0.9=4 nonsense", &names);
        assert_eq!(hands.of_hosts, ["2", "1 2", "", "3"]);
        assert_eq!(hands.left, "10.0.0.9");
    }

    #[test]
    fn thousands_of_instances_are_short_for_each_host() {
        let words: Vec<String> =
            (0..2400).map(|n| format!("sdw{0},sdw{0}=/data/primary/gpseg{n}:{n}:p:{n}:u", n % 100)).collect();
        let hosts: Vec<String> = (0..100).map(|n| format!("sdw{n}")).collect();
        let names: Vec<Vec<&str>> = hosts.iter().map(|host| vec![host.as_str()]).collect();
        let hands = deal(&words.join(" "), &names);
        assert!(hands.of_hosts.iter().all(|hand| hand.split(' ').count() == 24 && hand.len() < 1000));
        assert_eq!(hands.left, "");
    }
}
