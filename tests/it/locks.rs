//! Two runs never change one node at once, by whatever names they call it.

use std::path::PathBuf;

use crate::gsctl::{Gsctl, Running};
use crate::lab::proxy::Proxy;
use crate::lab::{Lab, wait};

/// A node under a second name: through a proxy, so that the address is another one too.
struct Twice {
    lab: Lab,
    _proxy: Proxy,
    hosts: PathBuf,
}

impl Twice {
    fn start(nodes: usize) -> Self {
        let lab = Lab::start(nodes);
        let proxy = Proxy::to(lab.node(1).address()).start();
        lab.trust("alias", proxy.address(), lab.node(1));
        let hosts = lab.hosts_file_with(&lab.hosts_line("alias", proxy.address()));
        Self { lab, _proxy: proxy, hosts }
    }

    fn gsctl(&self, host: &str) -> Gsctl {
        self.lab.gsctl().hosts_file(&self.hosts).args(["-w", host])
    }

    fn play(&self, host: &str, text: &str) -> Gsctl {
        let path = self.lab.dir().join(format!("client/{:08x}.yaml", fastrand::u32(..)));
        std::fs::write(&path, text).unwrap();
        self.gsctl(host).arg("play").arg(path)
    }

    fn path(&self, name: &str) -> String {
        self.lab.node(1).base().join("data").join(name).display().to_string()
    }

    /// A run that has changed `host`, and goes on until `data/go` is there.
    fn blocking(&self, host: &str) -> Running {
        let text = format!(
            "steps:\n- {{ name: mark, touch: {} }}\n- {{ name: block, run: \"while [ ! -e {} ]; do sleep 0.05; done\" }}\n",
            self.path("marker"),
            self.path("go")
        );
        let running = self.play(host, &text).spawn();
        wait::until("it is marked", || self.lab.node(1).exists("data/marker"));
        running
    }

    fn end(&self, running: Running) {
        self.lab.node(1).write("data/go", "");
        running.wait().expect(0);
    }
}

#[test]
fn a_node_under_another_name_is_refused_before_anything_is_changed() {
    crate::lab::need_root();
    let twice = Twice::start(2);
    let first = twice.blocking("node1");
    let pid = first.pid();
    let file = twice.path("file");
    let source = twice.lab.dir().join("client/source");
    std::fs::write(&source, "text").unwrap();

    // By the address as ever; by the node itself where the name and the address are others, alone and among others.
    let push = || vec!["push".to_owned(), source.display().to_string(), file.clone()];
    let words: [(&str, Vec<String>); 5] = [
        ("node1", vec!["touch".into(), file.clone()]),
        ("alias", vec!["touch".into(), file.clone()]),
        ("alias,node2", vec!["touch".into(), file.clone()]),
        ("node2,alias", vec!["rm".into(), twice.path("marker")]),
        ("alias", push()),
    ];
    for (host, words) in words {
        let run = twice.gsctl(host).args(&words).run().expect(7);
        let text = &run.stderr;
        assert!(text.contains("another run is at work on"), "{run}");
        assert!(text.contains(&format!("pid {pid}")) && text.contains("nothing was changed"), "{run}");
        for node in twice.lab.nodes() {
            assert!(!node.exists("data/file"), "{run}");
        }
        assert!(twice.lab.node(1).exists("data/marker"), "{run}");
    }
    let run = twice.gsctl("alias,node2").json().args(["touch", &file]).run().expect(7);
    let json = run.json();
    let of = |name: &str| json["hosts"].as_array().unwrap().iter().find(|host| host["host"] == name).unwrap().clone();
    assert_eq!([&of("alias")["outcome"], &of("node2")["outcome"]], ["refused", "skipped"], "{run}");
    assert!(of("alias")["error"].as_str().unwrap().contains("which it calls `node1`"), "{run}");

    // A playbook that looks first, and one that does not.
    let look = "probes: { node: { script: look.sh } }\nsteps:\n- { name: look, probe: node }\n";
    std::fs::write(twice.lab.dir().join("client/look.sh"), "echo state=up\n").unwrap();
    let change = format!("- {{ name: change, touch: {file} }}\n");
    for text in [format!("{look}{change}"), format!("steps:\n{change}")] {
        let run = twice.play("alias", &text).run().expect(7);
        assert!(run.stderr.contains("another run is at work on this node"), "{run}");
        assert!(!twice.lab.node(1).exists("data/file"), "{run}");
    }

    // What changes nothing is not kept away, nor is a command, nor who works elsewhere.
    twice.play("alias", look).run().expect(0);
    twice.gsctl("alias").args(["exec", &format!("touch {file}")]).run().expect(0);
    twice.gsctl("node2").args(["touch", &file]).run().expect(0);
    twice.end(first);
    twice.gsctl("alias").args(["rm", &file]).run().expect(0);
}

#[test]
fn names_of_one_run_that_are_one_node_never_collide() {
    crate::lab::need_root();
    let twice = Twice::start(2);
    let file = twice.path("file");
    let run = twice.gsctl("node1,alias,node2").json().args(["touch", &file]).run().expect(0);
    assert_eq!(run.json()["hosts"].as_array().unwrap().len(), 3, "{run}");
    let first = twice.blocking("node1,alias");
    let run = twice.gsctl("alias").args(["rm", &file]).run().expect(7);
    assert!(run.stderr.contains("another run"), "{run}");
    twice.end(first);
}

#[test]
fn where_a_node_does_not_say_which_it_is_the_address_alone_counts() {
    crate::lab::need_root();
    let twice = Twice::start(1);
    twice.lab.node(1).sh("mount --bind /dev/null /proc/sys/kernel/random/boot_id");
    let first = twice.blocking("node1");
    let file = twice.path("file");
    twice.gsctl("alias").args(["touch", &file]).run().expect(0);
    twice.gsctl("node1").args(["rm", &file]).run().expect(7);
    twice.end(first);
}

#[test]
fn a_node_that_is_busy_only_later_fails_alone() {
    crate::lab::need_root();
    let twice = Twice::start(2);
    let first = twice.blocking("node1");
    let file = twice.path("file");
    // One after the other: node2 is changed before anybody asks which node `alias` is.
    let run = twice.gsctl("node2,alias").args(["--serial", "1", "touch", &file]).run().expect(5);
    assert!(run.stderr.contains("another run is at work on this node"), "{run}");
    assert!(twice.lab.node(2).exists("data/file") && !twice.lab.node(1).exists("data/file"), "{run}");
    twice.end(first);
}

#[test]
fn with_few_files_nobody_logs_in_twice() {
    let lab = Lab::one_sshd_many_hosts(60);
    let run = lab.gsctl().open_files(100, 100).args(["--fanout", "10", "touch", "/tmp/many"]).run().expect(0);
    assert_eq!(lab.node(1).sshd_log().matches("Accepted publickey").count(), 60, "{run}");
}
