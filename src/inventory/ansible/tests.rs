//! What inventories of Ansible become, and what is wrong with some.

use std::fmt::Write as _;

use crate::inventory::Inventory;
use crate::inventory::file_format::{FileFormat, FormatHint, parse};

fn inventory(name: &str, text: &str) -> Inventory {
    parse(text.as_bytes(), name, FormatHint::No).unwrap_or_else(|problem| panic!("{problem}")).0
}

/// `name key=value ... (group,group)` of every host.
fn told(inventory: &Inventory) -> Vec<String> {
    let line = |host: &std::sync::Arc<crate::inventory::Host>| {
        let mut line = host.name.to_string();
        host.settings.iter().for_each(|(key, setting)| write!(line, " {key}={}", setting.value).unwrap());
        if host.groups.is_empty() { line } else { format!("{line} ({})", host.groups.join(",")) }
    };
    inventory.hosts.values().map(line).collect()
}

#[track_caller]
fn case(name: &str, text: &str, want: &[&str]) {
    assert_eq!(told(&inventory(name, text)), want, "{text}");
}

#[track_caller]
fn bad(name: &str, text: &str, want: &str) {
    let problem = parse(text.as_bytes(), name, FormatHint::No).unwrap_err().to_string();
    assert_eq!(problem, format!("hosts file `{name}`, {want}"), "{text}");
}

#[track_caller]
fn form(name: &str, text: &str, want: FileFormat) {
    assert_eq!(parse(text.as_bytes(), name, FormatHint::No).map(|(_, form)| form), Ok(want), "{text}");
}

#[test]
fn what_a_text_is() {
    form("hosts", "n1 port=2222\n[g]\nn1\n", FileFormat::Hosts);
    form("hosts.ini", "n1 omm\n", FileFormat::Hosts);
    form("hosts", "n1 motd='set ansible_host=1'\n", FileFormat::Hosts);
    form("hosts", "[2001:db8::7]:22\n[::1]\n", FileFormat::Hosts);
    form("hosts", "n1 ansible_host=10.0.0.1\n", FileFormat::Ini);
    form("hosts", "n1\n[all:vars]\nansible_user = omm\n", FileFormat::Ini);
    form("hosts", "[db]\nnode[01:20]\n", FileFormat::Ini);
    form("hosts", "# all\n---\nall:\n  hosts:\n    n1:\n", FileFormat::Yaml);
    form("hosts", "all:\n  hosts:\n    n1:\n", FileFormat::Yaml);
    form("x.yml", "all: {hosts: {n1: }}\n", FileFormat::Yaml);
    form("hosts", "{\"all\": {\"hosts\": [\"n1\"]}}", FileFormat::Json);
    let ansible = parse(b"n1 port=5432\n", "hosts", FormatHint::Ansible).unwrap();
    assert_eq!((ansible.1, told(&ansible.0)), (FileFormat::Ini, vec!["n1".to_owned()]));
}

#[test]
fn ini() {
    let text = "\u{feff}; Ansible\r\nlone ansible_host=10.0.0.9 ansible_port=2209\r\n[db]\r\nnode[01:02]:2222 az='A Z' # c\r\n\
        node[a:b].x ansible_user=omm\r\n[web]\r\nnode01\r\n[all:vars]\r\nansible_user = dba\r\n\
        ansible_ssh_private_key_file=~/.ssh/id\r\n[cluster:children]\r\ndb\r\nweb\r\n[cluster:vars]\r\ngausshome='/opt/x'\r\n";
    case(
        "inv",
        text,
        &[
            "lone address=10.0.0.9 port=2209 user=dba identity=~/.ssh/id",
            "node01 port=2222 az=A Z gausshome=/opt/x user=dba identity=~/.ssh/id (cluster,db,web)",
            "node02 port=2222 az=A Z gausshome=/opt/x user=dba identity=~/.ssh/id (cluster,db)",
            "nodea.x user=omm gausshome=/opt/x identity=~/.ssh/id (cluster,db)",
            "nodeb.x user=omm gausshome=/opt/x identity=~/.ssh/id (cluster,db)",
        ],
    );
}

#[test]
fn the_deeper_group_wins_as_with_ansible() {
    let text = "[a]\nn1 ansible_host=10.0.0.1\n[z]\nn1\n[a:vars]\nk=child\n[top:children]\na\n[top:vars]\nk=parent\nj=top\n\
        [z:vars]\nj=z\n";
    let inventory = inventory("inv", text);
    assert_eq!(told(&inventory), ["n1 address=10.0.0.1 k=child j=z (top,z,a)"]);
    // `top` and `z` are equally deep, and the alphabet is no reason.
    assert_eq!(
        inventory.warnings,
        [
            "groups `top` and `z` disagree on `j` for `n1`: `top` at [top] inv:11, `z` at [z] inv:13; the last group counts"
        ]
    );
    case("inv", "[b]\nn1\n[a]\nn1\n[a:vars]\nk=a\nansible_group_priority=9\n[b:vars]\nk=b\n", &["n1 k=a (b,a)"]);
}

#[test]
fn trees() {
    let yaml = "all:\n  hosts:\n    lone: {ansible_host: 10.0.0.9, ansible_port: 2209}\n  vars: {ansible_user: dba}\n  children:\n    \
        db:\n      hosts:\n        node[01:02]:\n          az: no\n        node01: {ansible_user: !unsafe omm}\n      vars:\n        \
        list: [1]\n    top:\n      children:\n        db:\n";
    case(
        "inv.yml",
        yaml,
        &[
            "lone address=10.0.0.9 port=2209 user=dba",
            "node01 az=False user=omm (top,db)",
            "node02 az=False user=dba (top,db)",
        ],
    );
    let json = r#"{"_meta": {"hostvars": {"n1": {"ansible_host": "10.0.0.1", "ansible_port": 2222, "x": {"__ansible_vault": "y"}},
        "gone": {}}}, "all": {"children": ["db", "ungrouped"]}, "db": {"hosts": ["n1", "n2"], "vars": {"az": "1"}},
        "ungrouped": {"hosts": ["n3"]}, "flat": ["n2"]}"#;
    case("-", json, &["n1 address=10.0.0.1 port=2222 az=1 (db)", "n2 az=1 (db,flat)", "n3"]);
    let own = r#"{"schema": "gsctl.hosts/1", "hosts": ["n1", "127.0.0.1:2202", {"host": "127.0.0.1:2201", "address": "127.0.0.1", "port": 2201,
        "user": "omm", "jump": "b", "groups": ["db"], "vars": {"az": "AZ1", "port9": "1"}}]}"#;
    case(
        "-",
        own,
        &[
            "n1",
            "127.0.0.1:2202 port=2202 address=127.0.0.1",
            "127.0.0.1:2201 port=2201 address=127.0.0.1 user=omm jump=b az=AZ1 port9=1 (db)",
        ],
    );
}

#[test]
fn what_is_wrong_says_what_it_was_read_as() {
    bad(
        "inv",
        "n1 ansible_host=10.0.0.1\nn2 omm\n",
        "line 2, column 4: `omm` is not `key=value`\nread as an Ansible inventory (INI): line 1 has `ansible_host`\n\
         hint: in an Ansible inventory the user is written `ansible_user=NAME`",
    );
    let ini = "read as an Ansible inventory (INI): line 1 has the range `n[1:2]`";
    for (line, want) in [
        ("n[3:1]", "line 2, column 1: `3:1` is an empty range: `n[3:1]`"),
        ("n3 ansible_port=x", "line 2, column 4: `ansible_port`: port `x` is not a number"),
        ("  n3 k='x", "line 2, column 8: the quote is not closed"),
        ("k=v", "line 2, column 1: `k=v` stands where a host is expected"),
        ("[g:x]", "line 2, column 1: `[g:x]` is not a kind of section"),
        ("[a b]", "line 2, column 1: `[a b]` is not a section"),
        ("[g:vars]\nx=1", "line 2, column 1: there is no group `g`"),
        ("[g:children]\nhh", "line 3, column 1: there is no group `hh`"),
        ("[g:children]\ng", "line 3, column 1: groups contain each other: g > g"),
        ("[all:vars]\nnovalue", "line 3, column 1: `novalue` is not `key=value`"),
        ("a/b", "line 2, column 1: `a/b` is not a host name: `/` cannot stand in one"),
    ] {
        let problem = parse(format!("n[1:2]\n{line}\n").as_bytes(), "inv", FormatHint::No).unwrap_err().to_string();
        assert!(problem.starts_with(&format!("hosts file `inv`, {want}\n{ini}")), "{line}: {problem}");
    }
    let yaml = "read as an Ansible inventory (YAML): its name ends in `.yml`";
    for (text, want) in [
        ("", "line 1, column 1: this is not a mapping"),
        ("- n1", "line 1, column 1: this is not a mapping"),
        ("db: {host: {n1: }}", "line 1, column 6: `host` is not `hosts`, `vars` or `children` of the group `db`"),
        ("db: {hosts: {n1: x}}", "line 1, column 18: the variables of `n1` are not a mapping"),
        ("db: {hosts: {n1: {ansible_port: 0}}}", "line 1, column 19: `ansible_port`: port `0` is out of range"),
        ("db: {hosts: {n1: {ansible_password: x}}}", "line 1, column 19: `ansible_password` is a secret"),
        (
            "db: {hosts: {n1: {ansible_user: !vault x}}, vars: {a: 1, a: 2}}",
            "line 1, column 58: the key `a` stands here twice",
        ),
        ("db:\n\thosts:\n", "line 2, column 2: a tab in the indentation"),
        ("db: {hosts: {n1: ", "line 1, column "),
        ("plugin: aws_ec2", "line 1, column 1: this is how Ansible's plugin `aws_ec2` is set up, not an inventory"),
        ("a: {children: {b: {children: {a: }}}}", "line 1, column 31: groups contain each other: a > b > a"),
    ] {
        let problem = parse(text.as_bytes(), "inv.yml", FormatHint::No).unwrap_err().to_string();
        assert!(problem.starts_with(&format!("hosts file `inv.yml`, {want}")), "{text}: {problem}");
        assert!(problem.contains(yaml), "{text}: {problem}");
    }
    let problem = parse(b"{\"a\": [1,}", "./inv --list", FormatHint::Program).unwrap_err().to_string();
    assert!(problem.starts_with("output of `./inv --list`, line 1, column "), "{problem}");
    let vault =
        "db:\n  hosts:\n    n1:\n      ansible_user: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6162\n";
    let problem = parse(vault.as_bytes(), "inv.yml", FormatHint::No).unwrap_err().to_string();
    assert!(problem.starts_with("hosts file `inv.yml`, line 4, column 7: `ansible_user` is encrypted"), "{problem}");
}

#[test]
fn a_hundred_thousand_hosts_on_one_line() {
    let names: Vec<String> = (0..100_000).map(|n| format!("\"node{n}\"")).collect();
    let vars: Vec<String> =
        names.iter().map(|name| format!("{name}:{{\"ansible_host\":\"10.0.0.1\",\"az\":1}}")).collect();
    let json =
        format!("{{\"_meta\":{{\"hostvars\":{{{}}}}},\"db\":{{\"hosts\":[{}]}}}}", vars.join(","), names.join(","));
    let inventory = inventory("-", &json);
    assert_eq!(inventory.hosts.len(), 100_000);
    assert_eq!(inventory.hosts["node99999"].address(), "10.0.0.1");
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(lines in proptest::collection::vec(
        r#"(\[[ab]?(:children|:vars|:x)?\]?|n[\[1:2a\]]{0,4}|ansible_(host|port|user)=[0-9a'"{]{0,3}|[ab]:|  |\{|#|=){0,4}"#, 0..8,
    )) {
        let text = lines.join("\n");
        for name in ["inv", "inv.yml", "inv.json"] {
            let _ = parse(text.as_bytes(), name, FormatHint::Ansible);
        }
    }
}
