//! Playbooks from files, and what is wrong with them.

use std::io;

use super::*;
use crate::plan::{Action, Look};
use crate::playbook::NoFiles;

/// Files by path.
struct Files(&'static [(&'static str, &'static str)]);

impl Sources for Files {
    fn playbook(&self, name: &str) -> io::Result<String> {
        self.script(name)
    }

    fn script(&self, path: &str) -> io::Result<String> {
        let found = self.0.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn input(&self, path: &str) -> io::Result<Vec<u8>> {
        self.script(path).map(String::into_bytes)
    }
}

#[track_caller]
fn load(files: &'static [(&'static str, &'static str)], name: &str) -> Result<Plan, Problem> {
    Loader { sources: &Files(files), given: &IndexMap::new(), env: &|_| None, step_timeout: None }.load(name)
}

#[test]
fn plays_are_put_in_where_they_stand() {
    let plan = load(
        &[
            ("dir/a.yaml", "vars: { x: outer }\nsteps:\n- { name: one, ping: true }\n- { name: b, play: sub/b.yaml }\n- { name: two, ping: true }"),
            ("dir/sub/b.yaml", "vars: { x: inner, y: inner }\nprobes: { p: { script: p.sh } }\nsteps:\n- { name: one, probe: p }\n- { play: ../c.yaml }"),
            ("dir/sub/p.sh", "echo a=1"),
            ("dir/c.yaml", "steps:\n- { name: three, run: echo }"),
        ],
        "dir/a.yaml",
    )
    .expect("loads");
    assert_eq!(plan.name, "a");
    assert_eq!(plan.steps.iter().map(|step| &*step.name).collect::<Vec<_>>(), ["one", "b: one", "b: three", "two"]);
    assert_eq!(plan.vars["x"].default.as_deref(), Some("outer"));
    assert_eq!(plan.vars["y"].default.as_deref(), Some("inner"));
    assert_eq!(&*plan.probes["p"].script, "echo a=1");
}

#[test]
fn a_copy_of_a_built_in_finds_its_scripts() {
    let text = builtin::source("opengauss/status").expect("there");
    let files: &'static _ = Box::leak(Box::new([("d/my.yaml", text)]));
    let plan = load(files, "d/my.yaml").expect("loads");
    assert_eq!(plan.name, "opengauss/status");
    // And says so: whoever meant to change the script has put it in the wrong place.
    let note =
        "playbook `d/my.yaml`: there is no script `d/opengauss/node.sh`, the built-in `opengauss/node.sh` is used";
    assert!(plan.notes.iter().any(|said| said == note), "{:#?}", plan.notes);
    assert!(load(files, "opengauss/status").expect("loads").notes.is_empty());
}

#[test]
fn several_files_make_one_script() {
    let plan = load(
        &[
            (
                "a.yaml",
                "probes: { p: { script: [lib.sh, p.sh] } }\nsteps:\n- { name: one, probe: p }\n\
                 - { name: two, run: { script: [lib.sh, two.sh] } }\n\
                 - { name: three, wait: { until: { fact: a, is: b }, evidence: { script: [lib.sh, two.sh] } } }",
            ),
            ("lib.sh", "# shared\n\nfact() {\n    # why\n    echo \"$1\"\n}"),
            ("p.sh", "fact a=1"),
            ("two.sh", "# what\nfact two\n"),
        ],
        "a.yaml",
    )
    .expect("loads");
    let lib = "fact() {\n    echo \"$1\"\n}\n";
    assert_eq!(
        (plan.probes["p"].source.as_str(), &*plan.probes["p"].script),
        ("lib.sh, p.sh", &*format!("{lib}fact a=1"))
    );
    let Action::Script { source, script, .. } = &plan.steps[1].action else { panic!("a script") };
    assert_eq!((source.as_str(), script), ("lib.sh, two.sh", &format!("{lib}fact two\n")));
    let Action::Wait(wait) = &plan.steps[2].action else { panic!("a wait") };
    let Some(Look::Run(evidence)) = &wait.evidence else { panic!("evidence") };
    assert!(evidence.to_string().ends_with(&format!("{lib}fact two\n")), "{evidence}");
}

#[test]
fn a_script_that_is_not_there_is_named_where_it_stands() {
    let files = &[
        ("a.yaml", "probes:\n  p:\n    script: [lib.sh, opengauss/nod.sh]\nsteps: [{ name: one, probe: p }]"),
        ("lib.sh", ""),
    ];
    assert_eq!(
        load(files, "a.yaml").expect_err("one is not there").to_string(),
        "playbook `a.yaml`, line 3, column 22: there is no script `opengauss/nod.sh`\n  |\n\
         3 |     script: [lib.sh, opengauss/nod.sh]\n  |                      ^^^^^^^^^^^^^^^^\n\
         hint: did you mean `opengauss/node.sh`?"
    );
    let problem =
        load(&[("a.yaml", "probes:\n  p:\n    script: []\nsteps: [{ ping: true }]")], "a.yaml").expect_err("empty");
    assert!(problem.to_string().contains("line 3, column 13: `script` must be text or a list of text"), "{problem}");
}

#[test]
fn a_loop_of_plays() {
    let problem = load(
        &[
            ("./a.yaml", "steps: [{ play: ./b.yaml }]"),
            ("b.yaml", "steps:\n- play: x/../a.yaml"),
            ("a.yaml", "steps: [{ play: ./b.yaml }]"),
        ],
        "./a.yaml",
    )
    .expect_err("a loop");
    assert_eq!(
        problem.to_string(),
        "playbook `b.yaml`, line 2, column 9: playbook `a.yaml` plays itself: `a.yaml` plays `b.yaml` plays `a.yaml`\n\
         \u{20} |\n2 | - play: x/../a.yaml\n  |         ^^^^^^^^^^^"
    );
}

#[test]
fn not_found() {
    let problem = load(&[], "opengauss/strat").expect_err("not there");
    assert_eq!(
        problem.to_string(),
        "playbook `opengauss/strat`: there is no playbook `opengauss/strat`, neither built in nor a file\n\
         hint: did you mean `opengauss/start`?"
    );
}

#[test]
fn what_the_command_line_says() {
    let given = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let load = |given: &IndexMap<String, String>, name: &str| {
        Loader { sources: &NoFiles, given, env: &|_| None, step_timeout: Some(Duration::from_secs(60)) }.load(name)
    };
    let plan = load(&given(&[("wait", "5m")]), "opengauss/start").expect("loads");
    let Action::Wait(wait) = &plan.steps[4].action else { panic!("a wait") };
    assert_eq!(wait.timeout, Duration::from_secs(300));
    assert!(matches!(&wait.look, Look::Probe(name) if name == "node"));
    assert!(plan.vars["wait"].run_wide && !plan.vars["gausshome"].run_wide && plan.vars["accept"].run_wide);
    assert_eq!(plan.steps[0].timeout, Some(Duration::from_secs(60)));

    let plan = load(&given(&[("wait", "0")]), "opengauss/start").expect("loads");
    assert_eq!(plan.steps.len(), 4, "nothing is waited for");

    for (mode, content) in [("fast", "0\n1\n2\n"), ("immediate", "0\n2\n2\n")] {
        let plan = load(&given(&[("mode", mode)]), "opengauss/stop").expect("loads");
        let written: Vec<_> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Write { content, mode, .. } => Some((content.to_string(), *mode)),
                _ => None,
            })
            .collect();
        assert_eq!(written, [(content.to_owned(), 0o600)]);
    }

    let problem = load(&given(&[("wait", "soon")]), "opengauss/start").expect_err("no time");
    assert_eq!(
        problem.to_string(),
        "playbook `opengauss/start`: variable `wait` is `soon` (command line), must be a time such as `90s`, `5m` or `1h30m`, at most `365d`"
    );
}
