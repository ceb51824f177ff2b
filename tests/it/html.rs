//! `--html`, in a real browser: no error, nothing loaded, the filter works, and what nodes print stays text.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::lab::{Lab, faults, wait};

/// What a browser makes of a page: its document after all scripts, and what it complained of.
struct Page {
    dom: String,
    complaints: Vec<String>,
}

#[track_caller]
fn browse(page: &Path, fragment: &str) -> Page {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
    command.args(["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0"]);
    command.args(["--virtual-time-budget=5000", "--window-size=1280,900", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("file://{}{fragment}", page.display())).env("HOME", profile.path()).stdin(Stdio::null());
    let output = command.output().expect("chromium is there: `make tools` installs it");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let complaints = stderr.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Page { dom: String::from_utf8_lossy(&output.stdout).into_owned(), complaints }
}

impl Page {
    /// Hosts in the order of the page, and whether each is seen.
    fn hosts(&self) -> Vec<(String, bool)> {
        let rows = self.dom.split("<li class=\"host ").skip(1);
        let row = |row: &str| {
            let tag = row.split_once('>').unwrap().0;
            let name = tag.split("data-host=\"").nth(1).unwrap().split('"').next().unwrap();
            (name.to_owned(), !tag.contains("hidden"))
        };
        rows.map(row).collect()
    }

    fn seen(&self) -> Vec<String> {
        self.hosts().into_iter().filter(|(_, seen)| *seen).map(|(name, _)| name).collect()
    }
}

#[test]
fn a_page_in_a_browser() {
    let lab = Lab::start(3);
    let closed = faults::closed_port();
    let hosts = lab.hosts_file_with(&lab.hosts_line("gone", closed.address()));
    let page = lab.dir().join("client/run.html");
    let evil = "printf '</script><script>console.error(\"evil\")</script><img src=x onerror=alert(1)>\\033[2J\\377\\n'; \
                test $(hostname) != node3";
    let gsctl = || lab.gsctl().hosts_file(&hosts).args(["--connect-attempts", "1"]).arg("--html").arg(&page);
    gsctl().args(["exec", evil]).run().expect(4);

    let text = fs::read(&page).unwrap();
    let text = String::from_utf8(text).expect("the page is UTF-8");
    assert!(!text.contains('\x1b') && !text.contains("onerror=alert(1)>"), "remote bytes got out");
    let all = browse(&page, "");
    assert!(all.complaints.is_empty(), "{:#?}", all.complaints);
    assert_eq!(all.seen(), ["gone", "node3", "node1", "node2"], "failures first, then the file's order");
    assert!(all.dom.contains("connection refused"));
    // A lane is drawn for everybody, with what took time.
    assert_eq!(all.dom.matches("class=\"lane\"><i class=\"s ").count(), 4);
    assert_eq!(all.dom.matches("<i class=\"s ok").count(), 2, "a step each of node1 and node2");
    assert!(!all.dom.contains("<img"), "remote output became markup");

    for (filter, want) in
        [("node2", &["node2"][..]), ("is:failed", &["node3"]), ("REFUSED%20gone", &["gone"]), ("%E2%9C%93", &[])]
    {
        let found = browse(&page, &format!("#filter={filter}"));
        assert!(found.complaints.is_empty(), "{:#?}", found.complaints);
        assert_eq!(found.seen(), want, "{filter}");
        assert_eq!(found.hosts().len(), want.len(), "no more rows than are seen");
    }

    // This test can fail: a page that complains is heard.
    let broken = lab.dir().join("client/broken.html");
    fs::write(&broken, text.replacen("head();", "nobody();", 1)).unwrap();
    assert!(!browse(&broken, "").complaints.is_empty());

    // A run that was cut short has its page too.
    let running = lab.gsctl().arg("--html").arg(&page).args(["exec", ": >began; exec sleep 1000"]).spawn();
    wait::until("all have begun", || (1..=3).all(|number| lab.node(number).exists("home/began")));
    running.signal(Signal::INT);
    running.wait().expect(130);
    let cut = browse(&page, "#filter=is:cancelled");
    assert!(cut.complaints.is_empty(), "{:#?}", cut.complaints);
    assert_eq!(cut.seen(), ["node1", "node2", "node3"]);

    let run = lab.gsctl().args(["--html", "/no/such/directory/run.html", "exec", "true"]).run().expect(2);
    assert!(run.stderr.contains("nothing was contacted"), "{run}");
}

/// The rest of very many hosts is drawn when it is asked for; what failed comes first, and the filter finds everybody.
#[test]
fn a_page_of_five_thousand_hosts() {
    let lab = Lab::start(1);
    let (part, merged) = (lab.dir().join("client/part.json"), lab.dir().join("client/merged.json"));
    let page = lab.dir().join("client/run.html");
    lab.gsctl().args(["--partition", "1/1", "--json"]).arg(&part).args(["exec", "echo said; exit 1"]).run().expect(5);
    let mut report: serde_json::Value = serde_json::from_slice(&fs::read(&part).unwrap()).unwrap();
    let host = |number: usize| {
        let mut host = report["hosts"][0].clone();
        host["host"] = format!("node{number}").into();
        if number != 4321 {
            (host["outcome"], host["exit_status"], host["error"]) = ("ok".into(), 0.into(), serde_json::Value::Null);
        }
        host
    };
    report["hosts"] = (1..=5000).map(host).collect();
    fs::write(&merged, report.to_string()).unwrap();
    lab.bare_gsctl().args(["runs", "merge", "--html"]).arg(&page).arg(&merged).run().expect(5);

    let all = browse(&page, "");
    assert!(all.complaints.is_empty(), "{:#?}", all.complaints);
    let seen = all.seen();
    assert_eq!((seen.len(), seen[0].as_str(), seen[1].as_str()), (2000, "node4321", "node1"));
    assert!(all.dom.contains("Show 2000 more of 3000 hosts"), "{}", all.dom);
    let found = browse(&page, "#filter=node4999");
    assert_eq!((found.seen(), found.complaints.len()), (vec!["node4999".to_owned()], 0));
    assert!(found.dom.contains("1 of 5000 hosts"));
}
