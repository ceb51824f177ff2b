//! Inventories of other tools: Ansible's, held against what Ansible itself makes of them, programs, and `ssh_config`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::gsctl::{Gsctl, Run};
use crate::lab::Lab;

/// Name, address, port and user of each host, and the hosts of each group.
type Told = (BTreeMap<String, (String, u64, String)>, BTreeMap<String, BTreeSet<String>>);

/// What nobody says.
const USER: &str = "nobody-said";

fn home(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    home
}

fn executable(home: &TempDir, name: &str) {
    fs::set_permissions(home.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

fn hosts(home: &TempDir) -> Gsctl {
    Gsctl::at_home(home.path()).arg("hosts")
}

/// `gsctl hosts` in numbers that Ansible's can be held against.
fn ours(home: &TempDir, file: &str) -> Told {
    // Only the hosts file may say who to be.
    fs::create_dir_all(home.path().join(".ssh")).unwrap();
    let config = home.path().join(".ssh/config");
    fs::write(&config, format!("Host *\n    User {USER}\n")).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let run = hosts(home).args(["-f", file, "--json", "-"]).run().expect(0);
    let mut told = Told::default();
    for host in run.json()["hosts"].as_array().unwrap() {
        let text = |key: &str| host[key].as_str().unwrap().to_owned();
        told.0.insert(text("host"), (text("address"), host["port"].as_u64().unwrap(), text("user")));
        for group in host["groups"].as_array().unwrap() {
            told.1.entry(group.as_str().unwrap().to_owned()).or_default().insert(text("host"));
        }
    }
    told
}

/// The same by `ansible-inventory`.
fn ansibles(home: &TempDir, file: &str) -> (Told, Vec<u8>) {
    let output = Command::new("ansible-inventory")
        .args(["-i", file, "--list"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("ANSIBLE_LOCAL_TEMP", home.path().join("tmp"))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("`ansible-inventory` of Debian's ansible-core is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let groups = list.as_object().unwrap();
    let mut told = Told::default();
    for name in groups.keys().filter(|name| !matches!(name.as_str(), "_meta" | "all" | "ungrouped")) {
        let members = members(&list, name);
        if !members.is_empty() {
            told.1.insert(name.clone(), members);
        }
    }
    for host in members(&list, "all") {
        let vars = &list["_meta"]["hostvars"][&host];
        let text = |key: &str, other: &str| vars[key].as_str().unwrap_or(other).to_owned();
        let port = vars["ansible_port"].as_u64().or_else(|| vars["ansible_port"].as_str()?.parse().ok()).unwrap_or(22);
        told.0.insert(host.clone(), (text("ansible_host", &host), port, text("ansible_user", USER)));
    }
    (told, output.stdout)
}

fn members(list: &Value, group: &str) -> BTreeSet<String> {
    let names = |key: &str| {
        let names = list[group][key].as_array().into_iter().flatten();
        names.map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let children = names("children");
    names("hosts").into_iter().chain(children.iter().flat_map(|child| members(list, child))).collect()
}

const INI: &str = "; an inventory\nlone ansible_host=192.0.2.9\n\n[db]\nnode[01:03] ansible_user=omm\nnode[a:c].example.com:2222\n\
    db-[1:9:4] ansible_port='2209' # steps\n\n[web]\nnode01\nalias ansible_host=192.0.2.7 ansible_port=2207\n\n\
    [cluster:children]\ndb\nweb\n\n[cluster:vars]\nansible_user = cluster\nansible_port=2200\n\n[web:vars]\nansible_user='web'\n\n\
    [other]\nalias\n\n[other:vars]\nansible_user=other\n\n[all:vars]\nansible_user=\"everyone\"\n";

const YAML: &str = "---\nall:\n  hosts:\n    lone:\n      ansible_host: 192.0.2.9\n  vars:\n    ansible_user: everyone\n  children:\n    \
    db:\n      hosts:\n        node[01:03]:\n        node[a:c]:2222:\n          ansible_user: omm\n      vars: &vars\n        \
    ansible_port: 2200\n    web:\n      hosts:\n        node01: {ansible_host: 192.0.2.1}\n        alias:\n      vars:\n        \
    <<: *vars\n        ansible_user: web\n    cluster:\n      vars: {ansible_user: cluster, ansible_port: 2299}\n      children:\n        \
    db:\n        web:\n    empty:\n";

#[test]
fn ansible_finds_the_same_hosts_groups_and_settings() {
    let program = "#!/bin/sh\n[ \"$1\" = --list ] || exit 9\ncat <<END\n{\"_meta\": {\"hostvars\": {\"n1\": {\"ansible_host\": \
        \"192.0.2.1\", \"ansible_port\": 2201}}}, \"db\": {\"hosts\": [\"n1\", \"n2\"], \"vars\": {\"ansible_user\": \"omm\"}}, \
        \"top\": {\"children\": [\"db\"], \"vars\": {\"ansible_port\": 2200}}, \"loose\": [\"n3\"]}\nEND\n";
    let home = home(&[("hosts", INI), ("crlf", &INI.replace('\n', "\r\n")), ("inv.yml", YAML), ("program", program)]);
    executable(&home, "program");
    for (file, count) in [("hosts", 11), ("crlf", 11), ("inv.yml", 8), ("program", 3)] {
        let (want, list) = ansibles(&home, &format!("./{file}"));
        assert_eq!(want.0.len(), count, "{file}: {want:#?}");
        assert_eq!(ours(&home, file), want, "{file}");
        // What Ansible makes of it is an inventory, too.
        fs::write(home.path().join("list.json"), list).unwrap();
        assert_eq!(ours(&home, "list.json"), want, "{file} as JSON");
    }
    // And what gsctl makes of it.
    let json = hosts(&home).args(["-f", "hosts", "--json", "-"]).run().expect(0);
    fs::write(home.path().join("own.json"), &json.stdout).unwrap();
    assert_eq!(ours(&home, "own.json"), ours(&home, "hosts"));
}

#[track_caller]
fn says(run: &Run, wanted: &[&str]) {
    for want in wanted {
        assert!(run.stderr.contains(want), "`{want}` is missing\n{run}");
    }
}

#[test]
fn what_cannot_be_taken_over_is_said() {
    let vault = "$ANSIBLE_VAULT;1.1;AES256\n        6162";
    let home = home(&[
        (
            "warn",
            "n1 ansible_host=192.0.2.1 ansible_become=true port=5432\nn2 ansible_ssh_common_args='-C'\nn3 ansible_ssh_common_args='-o ProxyJump=omm@n1'\n",
        ),
        ("secret", "n1 ansible_host=192.0.2.1 ansible_password=hunter2\n"),
        ("vault.yml", &format!("all:\n  hosts:\n    n1:\n      ansible_host: !vault |\n        {vault}\n")),
        ("mixed", "n1 ansible_host=192.0.2.1\nn2 omm\n"),
        ("dir/inv.yml", "all: {hosts: {n1: }}\n"),
        ("dir/group_vars/all.yml", "ansible_user: omm\n"),
        ("plugin.yaml", "plugin: amazon.aws.aws_ec2\n"),
        ("empty.yml", ""),
        ("utf16", "\u{fffd}"),
    ]);
    fs::write(home.path().join("utf16"), b"\xff\xfen\0").unwrap();
    let run = hosts(&home).args(["-f", "warn"]).run().expect(0);
    says(
        &run,
        &[
            "line 1: `ansible_become` is not taken over",
            "line 1: `port` is a variable like any other in an Ansible inventory",
            "line 2: `ansible_ssh_common_args` is not taken over",
        ],
    );
    assert!(run.text().lines().any(|line| line.starts_with("n3 ") && line.contains(" omm@n1 ")), "{run}");
    assert!(!run.text().contains("5432"), "{run}");
    let run = hosts(&home).args(["-f", "dir/inv.yml"]).run().expect(0);
    says(&run, &["`group_vars` beside it are not read", "ansible-inventory"]);
    for (file, wanted) in [
        ("secret", &["hosts file `secret`, line 1, column 27: `ansible_password` is a secret", "--password-file"][..]),
        ("vault.yml", &["hosts file `vault.yml`, line 4, column 7: `ansible_host` is encrypted"]),
        (
            "mixed",
            &[
                "line 2, column 4: `omm` is not `key=value`",
                "read as an Ansible inventory (INI): line 1 has `ansible_host`",
            ],
        ),
        (
            "plugin.yaml",
            &["plugin `amazon.aws.aws_ec2`", "its name ends in `.yaml`", "hint: `ansible-inventory -i FILE --list"],
        ),
        ("empty.yml", &["`empty.yml`, line 1, column 1: this is not a mapping"]),
        ("utf16", &["UTF-16"]),
        ("dir", &["is a directory"]),
        ("ansible:dir", &["`dir` is a directory"]),
        ("none", &["there is no such file"]),
    ] {
        let run = hosts(&home).args(["-f", file]).run().expect(2);
        says(&run, wanted);
        assert!(!run.stderr.contains("hunter2") && run.stdout.is_empty(), "{run}");
    }
}

#[test]
fn programs() {
    let good = "#!/bin/sh\necho called >>calls\necho '{\"db\": {\"hosts\": [\"n1\"]}}'\necho noise >&2\n";
    let home = home(&[
        ("good", good),
        ("fails", "#!/bin/sh\nprintf 'no \\033[2Jcredentials\\n' >&2\nexit 3\n"),
        ("killed", "#!/bin/sh\nkill -9 $$\n"),
        ("silent", "#!/bin/sh\n"),
        ("wrong", "#!/bin/sh\nprintf '{\"db\": {\\n\"host\": [\"n1\"]}}'\n"),
        ("gone", "#!/does/not/exist\n"),
        ("closed", good),
        // A file system without modes makes everything executable.
        ("plain", "n1\nn2 omm\n"),
        // A child that goes on must not hold gsctl up.
        ("leaves", "#!/bin/sh\nsleep 600 &\necho $! >child\necho '{\"db\": {\"hosts\": [\"n1\"]}}'\n"),
    ]);
    for name in ["good", "fails", "killed", "silent", "wrong", "gone", "plain", "leaves"] {
        executable(&home, name);
    }
    let run = hosts(&home).args(["-f", "good", "-g", "db", "--expand"]).run().expect(0);
    assert_eq!((run.text().as_str(), run.stderr.as_str()), ("n1\n", ""));
    assert_eq!(fs::read_to_string(home.path().join("calls")).unwrap(), "called\n", "run once");
    assert_eq!(hosts(&home).args(["-f", "plain", "--expand"]).run().expect(0).text(), "n1\nn2\n");
    assert_eq!(hosts(&home).args(["-f", "leaves", "--expand"]).run().expect(0).text(), "n1\n");
    let child = fs::read_to_string(home.path().join("child")).unwrap();
    Command::new("kill").arg(child.trim()).status().unwrap();
    for (file, wanted) in [
        ("fails", &["inventory program `fails` ended with status 3", "credentials"][..]),
        ("killed", &["inventory program `killed` was ended by signal 9"]),
        ("silent", &["inventory program `silent` prints nothing", "--list"]),
        ("wrong", &["output of `wrong --list`, line 2, column 1: `host` is not", "did you mean `hosts`?"]),
        ("gone", &["inventory program `gone` cannot be run"]),
        ("closed", &["you may not execute it", "chmod +x closed"]),
    ] {
        let run = hosts(&home).args(["-f", file]).run().expect(2);
        says(&run, wanted);
        assert!(!run.stderr.contains('\u{1b}'), "{run}");
    }
    assert_eq!(fs::read_to_string(home.path().join("calls")).unwrap(), "called\n", "what is closed was run");
}

#[test]
fn hosts_of_ssh_config_and_of_ansible_are_reached() {
    let lab = Lab::start(2);
    let nodes = lab.nodes();
    let mut config = String::from("Host *.example.com !x\n    Port 1\n");
    let mut ini = String::from("[db]\n");
    for (number, node) in (1..).zip(nodes) {
        let (address, port, user) = (node.address().ip(), node.address().port(), lab.user());
        config +=
            &format!("Host db{number} second{number}\n    HostName {address}\n    Port {port}\n    User {user}\n");
        ini += &format!("db{number} ansible_host={address} ansible_port={port} ansible_user={user}\n");
    }
    ini += &format!("[db:vars]\nansible_ssh_private_key_file={}\n", lab.key().display());
    let write = |name: &str, text: &str| {
        let path = lab.client_home().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (config, ini) = (write("ssh.conf", &config), write("inventory", &ini));
    let known_hosts = format!("UserKnownHostsFile={}", lab.known_hosts().display());
    let gsctl = |file: &Path| lab.bare_gsctl().arg("-f").arg(file).args(["-o", &known_hosts]);
    let run = gsctl(Path::new("ssh_config:")).arg("-F").arg(&config).args(["hosts", "--expand"]).run().expect(0);
    assert_eq!(run.text(), "db1\nsecond1\ndb2\nsecond2\n");
    let run = gsctl(Path::new("ssh_config:"))
        .arg("-F")
        .arg(&config)
        .arg("-i")
        .arg(lab.key())
        .args(["-w", "db[1-2]", "exec", "touch from_ssh_config"])
        .run()
        .expect(0);
    assert!(nodes.iter().all(|node| node.exists(node.account().home.join("from_ssh_config"))), "{run}");
    let run = gsctl(&ini).args(["-g", "db", "exec", "touch from_ansible"]).run().expect(0);
    assert!(nodes.iter().all(|node| node.exists(node.account().home.join("from_ansible"))), "{run}");
    let run = lab.bare_gsctl().args(["-f", "ssh_config:other", "ping"]).run().expect(2);
    says(&run, &["nothing can follow the colon", "-F other -f ssh_config:"]);
}

/// A program that lies where gsctl looks for hosts is run only where somebody names it, and never where others could have put it.
#[test]
fn programs_run_where_they_are_named_and_only_one_s_own() {
    let program = "#!/bin/sh\ntouch \"$HOME/ran\"\necho '{\"db\": {\"hosts\": [\"n1\"]}}'\n";
    let home = home(&[("hosts", program)]);
    executable(&home, "hosts");
    let ran = home.path().join("ran");
    let here = || Gsctl::at_home(home.path());
    let folder = home.path().join(".config/gsctl");
    fs::create_dir_all(&folder).unwrap();
    for arguments in [&["hosts"][..], &["-w", "n1", "hosts"], &["-w", "n1", "exec", "true"], &["hosts", "--expand"]] {
        let run = here().args(arguments).run().expect(2);
        says(&run, &["hosts file `hosts` is a program, and nobody has named it", "-f hosts"]);
    }
    fs::rename(home.path().join("hosts"), folder.join("hosts")).unwrap();
    says(&here().arg("hosts").run().expect(2), &["is a program, and nobody has named it"]);
    fs::rename(folder.join("hosts"), home.path().join("hosts")).unwrap();
    assert!(!ran.exists());
    let path = home.path().join("hosts");
    let ways = [here().args(["-f", "hosts"]), here().env("GSCTL_HOSTS_FILE", &path)];
    fs::write(folder.join("config.toml"), format!("hosts-file = [\"{}\"]\n", path.display())).unwrap();
    for gsctl in ways.into_iter().chain([here()]) {
        assert_eq!(gsctl.args(["hosts", "--expand"]).run().expect(0).text(), "n1\n");
        assert!(fs::remove_file(&ran).is_ok());
    }
    fs::remove_file(folder.join("config.toml")).unwrap();
    // In a directory, or a file, that others may write to; the sticky bit keeps them from what is not theirs.
    let refused = |mode: u32, path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let run = here().args(["-f", "hosts", "hosts"]).run().expect(2);
        says(&run, &["inventory program `hosts` is not run: everybody may write to `"]);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!ran.exists());
    };
    refused(0o777, home.path());
    refused(0o757, &path);
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    here().args(["-f", "hosts", "hosts"]).run().expect(0);
}

/// What a program prints.
fn printed(program: &str, home: &TempDir, arguments: &[&str]) -> String {
    let command = Command::new(program).args(arguments).current_dir(home.path()).env("HOME", home.path()).output();
    let output = command.unwrap_or_else(|error| panic!("`{program}` is there: {error}"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn names(text: &str) -> BTreeSet<String> {
    text.split([' ', ',', '\n']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A file of genders, held against pdsh and `nodeattr`.
#[test]
fn genders_means_what_pdsh_takes_it_for() {
    let text = "# nodes\nn[1-3,07],m  web,os=%n-%%x # these\nn2\tdb,rack=r=1\nlone\nn3,n07 pdsh_all_skip,user=bob\n\
        m altname=%n-ib\n";
    let home = home(&[("genders", text), ("hosts", "other\n")]);
    let file = home.path().join("genders").display().to_string();
    let ours = |arguments: &[&str]| {
        let run = hosts(&home).args(["-f", "genders:genders", "--expand"]).args(arguments).run().expect(0);
        (names(&run.text()), run)
    };
    let pdsh = |arguments: &[&str]| {
        let all = [&["-F", file.as_str(), "-i", "-q"][..], arguments].concat();
        let text = printed("pdsh", &home, &all);
        names(&printed("nodeset", &home, &["-e", text.lines().last().unwrap()]))
    };
    assert_eq!(ours(&[]).0, pdsh(&["-a"]), "without those that it skips");
    for group in ["web", "db", "pdsh_all_skip", "os=n2-%x", "rack=r=1"] {
        assert_eq!(ours(&["-g", group]).0, pdsh(&["-g", group]), "{group}");
    }
    let all = ours(&["-w", "*"]).0;
    assert_eq!(all, names(&printed("nodeattr", &home, &["-f", &file, "-n", "-A"])));
    // By its altname pdsh connects to a node, unless -i is said.
    let run = hosts(&home).args(["-f", "genders:genders", "-w", "m,n2", "--json", "-"]).run().expect(0);
    let json = run.json();
    let values = |key: &str| json["hosts"].as_array().unwrap().iter().map(|host| host[key].clone()).collect::<Vec<_>>();
    assert_eq!(values("address"), ["n2", "m-ib"]);
    assert_eq!(json["hosts"][0]["vars"]["rack"], "r=1", "{json}");
    says(&run, &["line 5: the attribute `user` says nothing to pdsh, so it is a group here"]);
    fs::write(home.path().join("genders"), "n1 a\nn1 b, c\n").unwrap();
    let run = hosts(&home).args(["-f", "genders:genders"]).run().expect(2);
    says(&run, &["hosts file `genders`, line 2, column 6: a blank in the list", "read as a file of genders"]);
    // What gpssh takes is a hosts file as it is.
    fs::write(home.path().join("hostfile_gpssh"), "# segments\nmdw\ngpadmin@sdw1:2222\n\nsdw2\n").unwrap();
    let run = hosts(&home).args(["-f", "hostfile_gpssh", "--expand"]).run().expect(0);
    assert_eq!(run.text(), "mdw\nsdw1\nsdw2\n");
}

const CLUSTERSHELL: &str = "[Main]\ndefault: roles\nconfdir: $CFGDIR/groups.conf.d\nautodir: $CFGDIR/groups.d\n\n[local]\n\
    map: echo called >>$CFGDIR/calls; sed -n 's/^$GROUP:\\(.*\\)/\\1/p' local.cfg\n\
    all: sed -n 's/^all:\\(.*\\)/\\1/p' $CFGDIR/local.cfg\nlist: sed -n 's/^\\([0-9A-Za-z_-]*\\):.*/\\1/p' local.cfg\n";

/// `ClusterShell`'s groups, held against `nodeset`.
#[test]
fn clustershell_has_the_groups_that_nodeset_finds() {
    let roles = "roles:\n  adm: 'n0'\n  io: '@racks:rack2,n9'\n  compute: '@racks:rack[3-4]!n33'\n  all: '@io,@compute'\n\
        racks:\n  rack1: 'n[0,2]'\n  rack2: 'n[4-5]'\n  rack3: 'n[32-35]'\n  rack4: ['n[034-036]', 'm1-ib[0-2]']\n  \
        new: '@rack[2,4]&@roles:io^m1-ib1'\n";
    let local = "oss: n4 n5\nall: n[4-6]\nmds:n6\n";
    let home = home(&[
        ("cs/groups.conf", CLUSTERSHELL),
        ("cs/groups.d/cluster.yaml", roles),
        ("cs/local.cfg", local),
        ("cs/groups.conf.d/more.conf", "[two,three]\nmap: echo $SOURCE-$GROUP\nlist: echo a b\n"),
        ("plain/groups.d/local.cfg", local),
    ]);
    let nodeset = |arguments: &[&str]| {
        let mut command = Command::new("nodeset");
        command.args(arguments).env("CLUSTERSHELL_CFGDIR", home.path().join("cs")).env("HOME", home.path());
        let output = command.output().expect("`nodeset` of ClusterShell is there");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let ours = |arguments: &[&str]| {
        let run = hosts(&home).args(["-f", "clustershell:cs", "--expand"]).args(arguments).run().expect(0);
        names(&run.text())
    };
    assert_eq!(ours(&[]), names(&nodeset(&["-e", "-a"])), "all of the default source");
    let groups = nodeset(&["-LL"]);
    let groups: Vec<&str> = groups.lines().map(|line| line.trim().split(' ').next().unwrap()).collect();
    assert!(groups.len() >= 14, "{groups:?}");
    for group in groups.into_iter().chain(["@adm", "@io", "@racks:rack[1,3]", "@racks:rack[3-4]!@racks:rack3"]) {
        assert_eq!(ours(&["-w", group]), names(&nodeset(&["-e", group])), "{group}");
    }
    let environment = hosts(&home).args(["-f", "clustershell:", "--expand"]).env("CLUSTERSHELL_CFGDIR", "cs");
    assert_eq!(names(&environment.run().expect(0).text()), ours(&[]));
    // Without a groups.conf, the files themselves; nothing is run.
    let run = hosts(&home).args(["-f", "clustershell:plain", "--expand"]).run().expect(0);
    assert_eq!(run.text(), "n4\nn5\nn6\n");
    let run = hosts(&home).args(["-f", "clustershell:nothing"]).run().expect(2);
    says(&run, &["there is no directory `nothing`"]);
    // What others may write to says nothing that is run.
    fs::remove_file(home.path().join("cs/calls")).unwrap();
    fs::set_permissions(home.path().join("cs/groups.conf"), fs::Permissions::from_mode(0o666)).unwrap();
    let run = hosts(&home).args(["-f", "clustershell:cs"]).run().expect(2);
    says(&run, &["upcall `list` of the group source `local`", "is not run: everybody may write to `"]);
    assert!(!home.path().join("cs/calls").exists());
}
