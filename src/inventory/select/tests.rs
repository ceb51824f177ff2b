//! Which hosts a command line means.

use super::super::file;
use super::*;

const FILE: &str = "\
node01 az=1
node02 omm
node03
db7 address=10.0.0.7 port=2222
127.0.0.1:2201
127.0.0.1:2202
[primary]
node01
[standby]
node[02-03]
[cluster:children]
primary
standby
[all:vars]
gausshome=/opt
";

fn inventory() -> Inventory {
    file::parse(FILE.as_bytes(), "hosts").unwrap()
}

fn selection(text: &str) -> Selection {
    let mut selection = Selection::default();
    let words: Vec<&str> = text.split_whitespace().collect();
    for pair in words.chunks(2) {
        let values = match pair[0] {
            "-w" => &mut selection.hosts,
            "-g" => &mut selection.groups,
            "-i" => &mut selection.within,
            "-x" => &mut selection.exclude,
            other => panic!("{other}"),
        };
        values.push(pair[1].to_owned());
    }
    selection
}

fn select(inventory: &Inventory, selection: &Selection) -> Result<Vec<Arc<Host>>, SelectError> {
    select_with_warnings(inventory, selection).map(|selected| selected.hosts)
}

fn shown(host: &Arc<Host>) -> String {
    let user = host.user().map(|user| format!("{user}@")).unwrap_or_default();
    let port = host.port().map(|port| format!(":{port}")).unwrap_or_default();
    let name = if *host.address() == *host.name { String::new() } else { format!("{}=", host.name) };
    format!("{name}{user}{}{port}", host.address())
}

#[track_caller]
fn case(text: &str, want: &str) {
    let hosts = select(&inventory(), &selection(text)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(hosts.iter().map(shown).collect::<Vec<_>>().join(" "), want, "{text}");
}

#[track_caller]
fn bad(text: &str, want: &str) {
    assert_eq!(select(&inventory(), &selection(text)).unwrap_err().to_string(), want);
}

#[track_caller]
fn warns(text: &str, want: &[&str]) {
    assert_eq!(select_with_warnings(&inventory(), &selection(text)).unwrap().warnings, want);
}

const ALL: &str =
    "node01 omm@node02 node03 db7=10.0.0.7:2222 127.0.0.1:2201=127.0.0.1:2201 127.0.0.1:2202=127.0.0.1:2202";

#[test]
fn hosts_of_the_file_keep_settings_and_order() {
    case("", ALL);
    case("-w @all", ALL);
    case("-g all", ALL);
    case("-w node03,node01", "node01 node03");
    case("-w node03 -w node01,node03", "node01 node03");
    case("-w node[01-03]", "node01 omm@node02 node03");
    case("-w db7", "db7=10.0.0.7:2222");
    case("-w @standby,node01", "node01 omm@node02 node03");
    case("-w node0*", "node01 omm@node02 node03");
    case("-w node0?,db*", "node01 omm@node02 node03 db7=10.0.0.7:2222");
}

#[test]
fn the_set_is_stronger_than_the_file() {
    case("-w root@db7", "db7=root@10.0.0.7:2222");
    case("-w db7:23", "db7=10.0.0.7:23");
    case("-w root@node[01-02]:2222", "root@node01:2222 root@node02:2222");
    case("-w node01:1,node01:2", "node01:1=node01:1 node01:2=node01:2");
    let hosts = select(&inventory(), &selection("-w root@node01:2222")).unwrap();
    assert_eq!(hosts[0].settings["user"].origin, Origin::HostSet);
    assert_eq!(hosts[0].settings["port"].origin, Origin::HostSet);
    assert_eq!(hosts[0].get("az"), Some("1"));
    warns(
        "-w a@node01,b@node01",
        &["the host set names `node01` with user `a` and with user `b`; the last one counts"],
    );
}

#[test]
fn hosts_that_the_file_does_not_know() {
    case("-w new2,node01,omm@new1:2222", "node01 new2 omm@new1:2222");
    case("-w [2001:db8::7]:22,2001:db8::8", "2001:db8::7:22 2001:db8::8");
    case("-w 10.0.0.9:[1-2]", "10.0.0.9:1=10.0.0.9:1 10.0.0.9:2=10.0.0.9:2");
    let hosts = select(&inventory(), &selection("-w new1")).unwrap();
    assert_eq!(hosts[0].get("gausshome"), Some("/opt"));
    assert_eq!(hosts[0].groups, [""; 0]);
}

#[test]
fn several_hosts_behind_one_address() {
    case("-w 127.0.0.1", "127.0.0.1:2201=127.0.0.1:2201 127.0.0.1:2202=127.0.0.1:2202");
    case("-w omm@127.0.0.1:2202", "127.0.0.1:2202=omm@127.0.0.1:2202");
    case("-w 127.0.0.1:[2201-2202]", "127.0.0.1:2201=127.0.0.1:2201 127.0.0.1:2202=127.0.0.1:2202");
    case("-w 127.0.0.1 -x 127.0.0.1:2201", "127.0.0.1:2202=127.0.0.1:2202");
    case("-w node01,127.0.0.1:2201 -x 127.0.0.1", "node01");
}

#[test]
fn groups_narrow() {
    case("-g primary", "node01");
    case("-g standby -g primary", "node01 omm@node02 node03");
    case("-g standby,primary", "node01 omm@node02 node03");
    case("-g cluster -w node01,db7", "node01");
    case("-g primary -w node02", "");
    case("-g primary -w node01:[1-2],node02", "node01:1=node01:1 node01:2=node01:2");
    case("-g all -w new1,node01", "node01 new1");
    case("-w node01:[1-2],node02 -x @primary", "omm@node02");
}

#[test]
fn exclude_leaves_out() {
    case("-g cluster -x node02", "node01 node03");
    case("-g cluster -x @standby", "node01");
    case("-g cluster -x node0[1-2]", "node03");
    case("-x node*,127.*", "db7=10.0.0.7:2222");
    case("-x *", "");
    case("-w new[1-3] -x new2", "new1 new3");
    case("-w new[1-3]:22 -x new2:22", "new1:22 new3:22");
    warns("-x node9,node01", &["`--exclude node9` leaves nobody out: no selected host fits it"]);
    warns("-x node[01-99]", &[]);
    warns("-g primary -x x*", &["`--exclude x*` leaves nobody out: no selected host fits it"]);
}

/// Exclusion cases of pdsh tests/t0003-wcoll.sh.
#[test]
fn as_pdsh() {
    case("-w foo[9-11] -x foo10", "foo9 foo11");
    case("-w foo[0-5] -x foo[1-3]", "foo0 foo4 foo5");
    case("-w fooi,fooj,foo[0-5] -x fooj,fooi,foo2", "foo0 foo1 foo3 foo4 foo5");
}

#[test]
fn what_cannot_be_selected() {
    bad(
        "-g primray",
        "there is no group `primray`\nhint: did you mean `primary`? groups are `primary`, `standby`, `cluster`",
    );
    bad("-x @xyz", "there is no group `xyz`\nhint: groups are `primary`, `standby`, `cluster`");
    bad("-w zz*", "no host of the hosts file fits `zz*`\nhint: `gsctl hosts` prints the hosts that it has");
    bad(
        "-w a,node[3-1]",
        "host set `a,node[3-1]`, column 7: `node[3-1]` is an empty range\nhint: write the smaller number first: `node[1-3]`",
    );
    bad("-w node1:99999", "host set `node1:99999`: port `99999` is out of range\nhint: ports go from 1 to 65535");
    bad(
        "-w -oProxyCommand=x",
        "host set `-oProxyCommand=x`: `-oProxyCommand=x` is not a host name: `=` cannot stand in one",
    );
    let nothing = select(&Inventory::default(), &selection("-g a")).unwrap_err();
    assert_eq!(nothing.to_string(), "there is no group `a`\nhint: the hosts file has no groups");
}

#[test]
fn a_set_of_nothing_is_nothing() {
    // An unset variable must not mean every host.
    let selection = Selection { hosts: vec![String::new()], ..Selection::default() };
    assert_eq!(select(&inventory(), &selection), Ok(Vec::new()));
}
