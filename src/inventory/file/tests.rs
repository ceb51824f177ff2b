//! What a hosts file may say, what it may not, and how both end.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::Host;
use super::*;

fn inventory(text: &str) -> Inventory {
    parse(text.as_bytes(), "hosts").unwrap_or_else(|problem| panic!("{problem}"))
}

fn names(inventory: &Inventory) -> Vec<&str> {
    inventory.hosts.keys().map(|name| &**name).collect()
}

/// `name key=value ...` of every host, settings in their order.
fn told(inventory: &Inventory) -> Vec<String> {
    let line = |host: &Arc<Host>| {
        let mut line = host.name.to_string();
        host.settings.iter().for_each(|(key, setting)| write!(line, " {key}={}", setting.value).unwrap());
        line
    };
    inventory.hosts.values().map(line).collect()
}

#[track_caller]
fn case(text: &str, want: &[&str]) {
    assert_eq!(told(&inventory(text)), want, "{text}");
}

#[track_caller]
fn bad(text: &str, want: &str) {
    let problem = parse(text.as_bytes(), "hosts").unwrap_err();
    assert_eq!(problem.to_string(), format!("hosts file `hosts`, {want}"), "{text}");
}

#[track_caller]
fn warns(text: &str, want: &[&str]) {
    assert_eq!(inventory(text).warnings, want, "{text}");
}

#[test]
fn nothing_is_an_empty_inventory() {
    case("", &[]);
    case("\n\n# nothing\n  \t\n", &[]);
    case("\u{feff}", &[]);
    case("[primary]\n[all:vars]\nuser=omm\n", &[]);
}

#[test]
fn every_form_of_a_host() {
    case("10.0.0.1", &["10.0.0.1"]);
    case("omm@node01:2222", &["node01 user=omm port=2222"]);
    case("node02 omm # comment", &["node02 user=omm"]);
    case("10.0.0.3,2222", &["10.0.0.3 port=2222"]);
    case("[2001:db8::7]:22", &["2001:db8::7 port=22"]);
    case("[2001:db8::7]", &["2001:db8::7"]);
    case("2001:db8::7 omm", &["2001:db8::7 user=omm"]);
    case("fe80::1%eth0", &["fe80::1%eth0"]);
    case("node[04-05,09] az=AZ2", &["node04 az=AZ2", "node05 az=AZ2", "node09 az=AZ2"]);
    case("node1:22\tomm\taz='A Z'\t# tabs", &["node1 port=22 user=omm az=A Z"]);
    case("db7 address=10.0.0.7 jump=bastion", &["db7 address=10.0.0.7 jump=bastion"]);
    case("\u{feff}node1\r\nnode2 omm\r\n", &["node1", "node2 user=omm"]);
    case("node1\nnode2", &["node1", "node2"]);
    case("node1 first.last az=1", &["node1 user=first.last az=1"]);
}

/// pssh's grammar (`[user@]host[:port] [user]`), as in peers.md 2.2.
#[test]
fn as_pssh() {
    case(
        "# comment\n\nhost1\n  host2  \nu@host3:22 # trailing\nhost4 u\n",
        &["host1", "host2", "host3 user=u port=22", "host4 user=u"],
    );
    bad("u@host u2", "line 1, column 8: `user` is given twice\nhint: leave one of the two out");
    bad(
        "host u extra",
        "line 1, column 8: `extra` is not `key=value`\nhint: a line is `[user@]host[:port] [user] [key=value ...]`; a value with blanks stands in quotes",
    );
}

#[test]
fn a_host_named_again_is_the_same_host() {
    let text = "node1 az=1\nnode2\nnode1 omm\n[primary]\nnode[1-2] port=2222\n";
    case(text, &["node1 az=1 user=omm port=2222", "node2 port=2222"]);
    warns(text, &[]);
    warns("node1 az=1\nnode1 az=1\n", &[]);
    warns(
        "node1 port=22\nnode1 port=2222\n",
        &["`port` of `node1` is `22` at hosts:1, but `2222` at hosts:2; the last one counts; \
            two hosts on one address need two names: `n1 address=node1 port=22`"],
    );
    case("node1 port=22\nnode1 port=2222\n", &["node1 port=2222"]);
}

#[test]
fn one_address_with_several_ports_is_several_hosts() {
    let text = "127.0.0.1:2201\n127.0.0.1:2202 az=1\nnode1:22\n[g]\n127.0.0.1:2202\n[h]\n127.0.0.1\n";
    let inventory = inventory(text);
    assert_eq!(
        told(&inventory),
        [
            "127.0.0.1:2201 port=2201 address=127.0.0.1",
            "127.0.0.1:2202 port=2202 az=1 address=127.0.0.1",
            "node1 port=22"
        ]
    );
    assert_eq!(inventory.groups["g"], ["127.0.0.1:2202"]);
    assert_eq!(inventory.groups["h"], ["127.0.0.1:2201", "127.0.0.1:2202"]);
    assert_eq!(inventory.warnings, [""; 0]);
    case("[::1]:[1-2]", &["[::1]:1 port=1 address=::1", "[::1]:2 port=2 address=::1"]);
}

#[test]
fn groups_hold_their_childrens_members_in_file_order() {
    let text = "n3\n[cluster:children]\nb\na\n[b]\nn2\n[a]\nn1\nn3\n[top:children]\ncluster\n[empty]\n";
    let inventory = inventory(text);
    assert_eq!(names(&inventory), ["n3", "n2", "n1"]);
    let groups: Vec<(&str, String)> = inventory.groups.iter().map(|(name, of)| (name.as_str(), of.join(" "))).collect();
    assert_eq!(
        groups,
        [("cluster", "n3 n2 n1"), ("b", "n2"), ("a", "n3 n1"), ("top", "n3 n2 n1"), ("empty", "")]
            .map(|(name, of)| (name, of.to_owned()))
    );
    assert_eq!(inventory.hosts["n3"].groups, ["cluster", "a", "top"]);
}

#[test]
fn the_strongest_source_wins() {
    let text = "[all:vars]\nk=all\nuser=omm\n[a]\nn1\nn2 k=line\nn3\n[b]\nn3\n[a:vars]\nk=a\n[b:vars]\nk=b\n";
    let inventory = inventory(text);
    assert_eq!(told(&inventory), ["n1 k=a user=omm", "n2 k=line user=omm", "n3 k=b user=omm"]);
    assert_eq!(inventory.hosts["n3"].settings["k"].origin.to_string(), "[b] hosts:13");
    assert_eq!(inventory.hosts["n1"].settings["user"].origin.to_string(), "[all] hosts:3");
    assert_eq!(inventory.hosts["n2"].settings["k"].origin.to_string(), "hosts:6");
    assert_eq!(inventory.all["user"].value, "omm");
    assert_eq!(
        inventory.warnings,
        [
            "groups `a` and `b` disagree on `k` for `n3`: `a` at [a] hosts:11, `b` at [b] hosts:13; the last group counts"
        ]
    );
}

#[test]
fn doubts() {
    warns(
        "n1 adress=10.0.0.1\nn2 adress=10.0.0.2",
        &[
            "hosts file `hosts`, line 1: `adress` is not a setting that gsctl knows, so it is a variable; did you mean `address`?",
        ],
    );
    warns("[a]\nn1\n[a:vars]\nk=1\nk=2\n", &["`k` is `1` at [a] hosts:4, but `2` at [a] hosts:5; the last one counts"]);
    let many = (0..50).map(|n| format!("n{n} k=1\nn{n} k=2")).collect::<Vec<_>>().join("\n");
    let warnings = inventory(&many).warnings;
    assert_eq!((warnings.len(), warnings[20].as_str()), (21, "30 more warnings like these"));
}

#[test]
fn hosts_that_are_wrong() {
    bad(
        "\n\nnode[3-1]",
        "line 3, column 5: `node[3-1]` is an empty range\nhint: write the smaller number first: `node[1-3]`",
    );
    bad(
        "  node[1-3",
        "line 1, column 7: `node[1-3` has a `[` that is not closed\nhint: a range has no blanks: `node[1-3,7]`",
    );
    bad("node[01:10]", "line 1, column 5: `01:10` is not a range of numbers\nhint: write `node[01-10]`");
    bad("node1:99999", "line 1, column 1: port `99999` is out of range\nhint: ports go from 1 to 65535");
    bad("n1 port=0", "line 1, column 4: port `0` is out of range\nhint: ports go from 1 to 65535");
    bad("n1 timeout=5x", "line 1, column 4: timeout: `5x` is not a duration: write `60`, `90s`, `5m` or `1h30m`");
    bad("n1 az=1 az=1", "line 1, column 9: `az` is given twice\nhint: leave one of the two out");
    bad("n1:22 port=22", "line 1, column 7: `port` is given twice\nhint: leave one of the two out");
    bad("n1 omm user=omm", "line 1, column 8: `user` is given twice\nhint: leave one of the two out");
    bad(
        "n1 az=",
        "line 1, column 4: `az` has no value\nhint: write `az=VALUE` without blanks, or `az=\"\"` for an empty value",
    );
    bad("n1 az='x", "line 1, column 7: the quote after `az=` is not closed");
    bad(
        "n1 2222",
        "line 1, column 4: `2222` stands where the user is expected\nhint: a port is written `node1:2222` or `port=2222`",
    );
    bad("n1,n2", "line 1, column 1: `n1,n2` is not `host,port`\nhint: one host a line, or a range: `node[1-3]`");
    bad(
        "@primary",
        "line 1, column 1: `@primary` has nothing before the `@`\nhint: a user goes there; a group (`@GROUP`) can stand in a host set only",
    );
    bad(
        "user=omm",
        "line 1, column 1: `user=omm` stands where a host is expected\nhint: settings follow the host (`node1 user=...`), or stand under `[all:vars]`",
    );
    bad("a/b", "line 1, column 1: `a/b` is not a host name: `/` cannot stand in one");
    bad("n[1-1000000]\nm", "line 2, column 1: the file has more than 1,000,000 hosts");
}

#[test]
fn sections_that_are_wrong() {
    bad("[primary", "line 1, column 1: the section's `[` is not closed\nhint: write `[primary]`");
    bad(
        "n1\n[]",
        "line 2, column 1: `` is not a name for a group\nhint: names of groups are letters, digits, `_`, `-` and `.`: `[primary]`",
    );
    bad(
        "[a:hosts]",
        "line 1, column 1: `[a:hosts]` is not a kind of section\nhint: sections are `[a]`, `[a:children]` and `[a:vars]`",
    );
    bad(
        "[a:]",
        "line 1, column 1: `[a:]` is not a kind of section\nhint: sections are `[a]`, `[a:children]` and `[a:vars]`",
    );
    bad("[a] n1", "line 1, column 5: text follows the section `[a]`\nhint: hosts stand on the lines below it");
    bad("[all:children]", "line 1, column 1: `all` has every host already\nhint: leave this section out");
    bad(
        "[primary]\n[c:children]\nprimray",
        "line 3, column 1: there is no group `primray`\nhint: did you mean `primary`?",
    );
    bad(
        "n1\n[c:children]\nn1",
        "line 3, column 1: there is no group `n1`\nhint: `n1` is a host: put it under a section without `:children`",
    );
    bad("[c:vars]\nk=v", "line 1, column 1: there is no group `c`\nhint: a group is made by a section: `[c]`");
    bad(
        "[c:children]\na b",
        "line 2, column 3: `b` stands where a group is expected\nhint: a `:children` section has one group a line, nothing else",
    );
    bad(
        "[all:vars]\nuser = omm",
        "line 2, column 1: `user` is not `key=value`\nhint: a `:vars` section has `key=value`, without blanks around the `=`; a value with blanks stands in quotes; \
        an inventory of Ansible is read as such with -f ansible:hosts",
    );
    bad(
        "[all:vars]\naddress=10.0.0.1",
        "line 2, column 1: `address` is of one host, not of a group\nhint: write it on the host's line: `node1 address=10.0.0.1`",
    );
    bad(
        "[x:children]\na\n[a:children]\nb\n[b:children]\nc\na\n[c]\n",
        "line 7, column 1: groups contain each other: a > b > a\nhint: take one of them out of its `:children` section",
    );
    bad(
        "[a:children]\na",
        "line 2, column 1: groups contain each other: a > a\nhint: take one of them out of its `:children` section",
    );
}

#[test]
fn files_that_are_something_else() {
    bad("n1 ansible_host=10.0.0.1", "line 1, column 4: `ansible_host` is Ansible's word\nhint: write `address=`");
    bad(
        "\n---\nall:\n",
        "line 2, column 1: this looks like YAML, not like a hosts file\nhint: a hosts file has one host a line; see hosts.example",
    );
    bad(
        "# x\n{\"a\": 1}",
        "line 2, column 1: this looks like JSON, not like a hosts file\nhint: a hosts file has one host a line; see hosts.example",
    );
    bad(
        "10.0.0.1 node1.example.com node1",
        "line 1, column 10: `node1.example.com` stands where the user is expected\nhint: the second word of a line is the user; a name for an address is written `node1 address=10.0.0.1`",
    );
    bad(
        "n1\nHost n2",
        "line 2, column 1: this looks like a line of ssh_config\nhint: a hosts file has one host a line: `node1 address=10.0.0.1 user=omm`",
    );
}

#[test]
fn the_excerpt_is_harmless() {
    let problem = parse(b"node1\n\x1b[2Jnode[3-1]\r\n", "hosts").unwrap_err();
    assert_eq!(problem.excerpt, "\\u{1b}[2Jnode[3-1]");
}

#[test]
fn later_files_speak_later() {
    let one = parse(b"n1 k=1\nn2\n[g]\nn2\n[all:vars]\nuser=a\n", "one").unwrap();
    let two = parse(b"n3\nn1 k=2\n[g]\nn3\n[g:vars]\nport=23\n[all:vars]\nuser=b\n", "two").unwrap();
    let both = merge([one.clone(), two]);
    assert_eq!(told(&both), ["n1 k=2 user=b", "n2 port=23 user=b", "n3 port=23 user=b"]);
    assert_eq!(both.groups["g"], ["n2", "n3"]);
    assert_eq!(
        both.warnings,
        [
            "`k` of `n1` is `1` at one:1, but `2` at two:2; the last one counts",
            "`user` is `a` at [all] one:6, but `b` at [all] two:8; the last one counts"
        ]
    );
    assert_eq!(merge([one.clone()]), Inventory { sources: Vec::new(), ..one.clone() });
    assert_eq!(merge([]), Inventory::default());
    // Neither file has a circle; together they do. Members that a group has itself stay.
    let one = parse(b"[a:children]\nb\n[b]\nn1\n", "one").unwrap();
    let two = parse(b"[b:children]\na\n[a]\nn2\n", "two").unwrap();
    assert_eq!(merge([one, two]).groups["b"], ["n1"]);
}

#[test]
fn the_example_is_a_hosts_file() {
    let inventory = inventory(include_str!("../../../hosts.example"));
    assert_eq!(inventory.warnings, [""; 0]);
    assert_eq!(inventory.hosts.len(), 32);
    assert_eq!(inventory.groups["cluster"].join(" "), "node01 node02 node04 node05 node06 node09");
    let db7 = &inventory.hosts["db7"];
    assert_eq!((db7.address(), db7.port(), db7.jump()), ("10.0.0.7", Some(2222), Some("bastion")));
    assert_eq!(db7.timeout(), Some(Duration::from_secs(300)));
    assert_eq!(db7.vars().collect::<Vec<_>>(), [("az", "AZ3"), ("gausshome", "/opt/huawei/install/app")]);
    assert_eq!(inventory.hosts["db9"].get("other"), Some(r"or in single quotes, where a \ is a \"));
    let az = |name: &str| inventory.hosts[name].get("az").map(str::to_owned);
    assert_eq!((az("node02"), az("node04"), az("node01")), (Some("AZ1".to_owned()), Some("AZ2".to_owned()), None));
    assert_eq!(inventory.hosts["192.0.2.1:2202"].address(), "192.0.2.1");
}

/// Guards against work that grows with the square of the lines: that would take minutes of a processor, not the seconds allowed
/// here.
#[test]
fn a_hundred_thousand_lines_are_read_in_no_time() {
    let mut text = String::new();
    for n in 0..100_000 {
        writeln!(text, "node{n} address=10.{}.{}.{} az=AZ{}", n / 65536, n / 256 % 256, n % 256, n % 3).unwrap();
    }
    for group in 0..1_000 {
        let (first, last) = (group * 100, group * 100 + 99);
        write!(text, "[g{group}]\nnode[{first}-{last}]\n[g{group}:vars]\nk=v\n[c{group}:children]\ng{group}\n")
            .unwrap();
    }
    // Time on the processor: other tests and other users have it too.
    let worked = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    let start = worked();
    let inventory = inventory(&text);
    assert_eq!((inventory.hosts.len(), inventory.groups.len()), (100_000, 2_000));
    assert_eq!(inventory.hosts["node99999"].groups, ["g999", "c999"]);
    assert!(worked().saturating_sub(start) < Duration::from_secs(20));
}

#[test]
fn a_long_chain_of_groups_does_not_overflow() {
    let mut text = String::from("[g0]\nn1\n");
    for n in 1..5_000 {
        write!(text, "[g{n}:children]\ng{}\n", n - 1).unwrap();
    }
    assert_eq!(inventory(&text).groups["g4999"], ["n1"]);
}

proptest! {
    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, "hosts");
    }

    #[test]
    fn never_panics_near_the_grammar(lines in prop::collection::vec(
        r#"(\[[ab]?(:children|:vars|:x)?\]?|[ab@:,\[\]0-9%-]{0,8}|[abk]=?["'\\vä]{0,3}|#| |	|=|port=[0-9]{1,6}){0,4}"#, 0..12,
    )) {
        let _ = parse(lines.join("\n").as_bytes(), "hosts");
    }

    #[test]
    fn problems_point_into_the_file(text in "\\PC{0,40}\n\\PC{0,40}") {
        if let Err(problem) = parse(text.as_bytes(), "hosts") {
            let line = text.split('\n').nth(problem.line - 1).unwrap();
            prop_assert!((1..=line.chars().count() + 1).contains(&problem.column));
        }
    }
}
