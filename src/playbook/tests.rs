//! The language as a whole: what is understood, and every mistake with its place, words and hint.
//!
//! Must not test one module's inside: those tests stand under the modules.

use std::io;
use std::time::Duration;

use indexmap::IndexMap;

use super::problem::Problem;
use super::{Loader, Sources, builtin};
use crate::plan::{Action, Check, Cleanup, Look, On, OnFailure, Plan, Quorum, Share, Until};

/// One playbook, and a script of any name below `opengauss/`.
struct One<'a>(&'a str);

impl Sources for One<'_> {
    fn playbook(&self, name: &str) -> io::Result<String> {
        if name == "my.yaml" { Ok(self.0.to_owned()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn input(&self, relative: &str) -> io::Result<Vec<u8>> {
        self.script(relative).map(String::into_bytes)
    }

    fn script(&self, relative: &str) -> io::Result<String> {
        if relative.starts_with("opengauss/") {
            Ok("#!/bin/sh\n:\n".to_owned())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

fn load(text: &str) -> Result<Plan, Problem> {
    Loader { sources: &One(text), given: &IndexMap::new(), env: &|_| None, step_timeout: None }.load("my.yaml")
}

/// The example of the design.
const EXAMPLE: &str = r#"
name: opengauss/start
summary: remove the start markers and wait until the cluster is Normal
vars:
  gausshome: { default: /opt/huawei/install/app, env: GAUSSHOME, check: abs-path }
  accept: { default: Normal, one_of: [Normal, Degraded] }
probes:
  node: { script: opengauss/node.sh }     # POSIX sh next to the playbook; prints key=value lines between gsctl's own marks
chain:                                    # the startup chain, in order; each stage is up when its fact says so
  - { stage: marker gone, fact: marker,     up: absent,  hint: "..." }
  - { stage: om_monitor,  fact: om_monitor, up: running, hint: "no om_monitor: is its cron line there? ..." }
  - { stage: cm_agent,    fact: cm_agent,   up: running, hint: "..." }
  - { stage: cm_server,   fact: cm_server,  up: [running, none], hint: "..." }
  - { stage: gaussdb,     fact: gaussdb,    up: running, hint: "..." }
steps:
  - name: look at every node
    probe: node
    refuse:
      - { when: { state: stopping }, because: "the node is still stopping: wait, or stop it with -m immediate" }
  - name: remove the start markers
    remove: ["{gausshome}/bin/cluster_manual_start", "{gausshome}/bin/instance_manual_start_*"]
  - name: mark paused nodes as starting
    touch: "{gausshome}/bin/cluster_manual_starting"
    if_exists: "{gausshome}/bin/cluster_manual_pause"
    cleanup: remove                       # at the end of the run, also when it fails or is interrupted
  - name: wait for every node
    wait: { chain: all, every: 1s, timeout: 600s }
  - name: wait for the cluster
    on: any                               # one host that is up; another one if it goes away
    wait: { run: "...cm_ctl query -Cv", until: { fact: cluster_state, is: "{accept}" }, every: 2s, timeout: 600s }
"#;

#[test]
fn the_example() {
    let plan = load(EXAMPLE).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!((plan.name.as_str(), plan.steps.len(), plan.chain.len()), ("opengauss/start", 5, 5));
    assert_eq!(plan.chain[3].up, ["running", "none"]);
    let Action::Probe { probe, refuse, .. } = &plan.steps[0].action else { panic!("a probe") };
    assert_eq!((probe.as_str(), refuse.len(), refuse[0].when.facts[0].0.as_str()), ("node", 1, "state"));
    let Action::Remove { paths, .. } = &plan.steps[1].action else { panic!("a remove") };
    assert_eq!(paths[1].to_string(), "{gausshome}/bin/instance_manual_start_*");
    let Action::Touch { if_exists: Some(_), .. } = &plan.steps[2].action else { panic!("a touch") };
    assert_eq!(plan.steps[2].cleanup, Some(Cleanup::Remove));
    let Action::Wait(wait) = &plan.steps[3].action else { panic!("a wait") };
    assert!(
        matches!((&wait.look, &wait.until, wait.quorum), (Look::Probe(name), Until::Chain, Quorum::All) if name == "node")
    );
    let Action::Wait(wait) = &plan.steps[4].action else { panic!("a wait") };
    assert!(matches!((&wait.look, &wait.until), (Look::Run(_), Until::Condition(_))));
    assert_eq!((&plan.steps[4].on, wait.every), (&On::Any, Duration::from_secs(2)));
}

#[test]
fn json_crlf_and_byte_order_mark() {
    for text in [
        r#"{"steps": [{"name": "a", "ping": true}]}"#,
        "\u{feff}steps:\r\n  - name: a\r\n    ping: true\r\n",
        "# first\n---\nsteps:\n- name: a\n  ping:\n    true\n",
    ] {
        let plan = load(text).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!((plan.name.as_str(), &*plan.steps[0].name), ("my", "a"));
    }
}

#[test]
fn every_field_of_a_step() {
    let plan = load(
        r#"
vars:
  path: { default: /data, check: abs-path }
  mode: { default: fast, one_of: [fast, slow] }
  limit: 90s
steps:
  - { name: a, run: "ls {path}", on: not standby, retries: 3, idempotent: true, timeout: "{limit}", serial: 25%, max_fail: 0, on_failure: continue, state: restore, on_failure_state: restore_fail }
  - { name: b, check: { process: [gaussdb=/opt/bin/gaussdb, cron], port: 5432, file: /etc/passwd, command: "true" }, on: primary, serial: 2, timeout: 0 }
  - { name: c, write: { path: "{path}/x", content: "{host}\n", mode: 0640 }, when: { fact: role, not: [primary, unknown] }, cleanup: remove }
  - { name: d, state: recovery, when: [{ exists: /a }, { missing: [/b, "{path}/c"] }, { fact: x, is: y }] }
  - { name: e, ping: true, when: { var: mode, is: slow } }
  - { name: f, ping: true, when: { var: mode, not: slow } }
  - { name: g, wait: { run: "pg_isready -h {address}", until: { fact: exit_status, is: 0 }, quorum: majority, give_up: [{ when: { fact: x, is: y }, because: "{host} is lost", after: 5s }] } }
"#,
    )
    .unwrap_or_else(|problem| panic!("{problem}"));
    let step = &plan.steps[0];
    assert_eq!(
        (step.on.clone(), step.retries, step.timeout),
        (On::NotGroup("standby".into()), 3, Some(Duration::from_secs(90)))
    );
    assert_eq!((step.serial, step.max_fail), (Some(Share::Percent(25)), Some(Share::Count(0))));
    assert_eq!(step.on_failure, OnFailure::Continue);
    assert_eq!((step.state.as_deref(), step.on_failure_state.as_deref()), (Some("restore"), Some("restore_fail")));
    let Action::Check { checks } = &plan.steps[1].action else { panic!("a check") };
    assert_eq!(checks[0], Check::Process { name: "gaussdb".into(), path: Some("/opt/bin/gaussdb".into()) });
    assert_eq!((checks.len(), checks[2].clone(), plan.steps[1].timeout), (5, Check::Port(5432), None));
    assert!(matches!(&plan.steps[2].action, Action::Write { mode: 0o640, .. }));
    let when = plan.steps[3].when.as_ref().expect("a condition");
    assert_eq!((when.exists.len(), when.missing.len(), when.facts.len()), (1, 2, 1));
    let names: Vec<_> = plan.steps.iter().map(|step| &*step.name).collect();
    assert_eq!(names, ["a", "b", "c", "d", "f", "g"], "`e` can't be done in this run");
    assert!(plan.steps[4].when.is_none());
    let Action::Wait(wait) = &plan.steps[5].action else { panic!("a wait") };
    assert_eq!((wait.quorum, wait.give_up[0].after), (Quorum::Majority, Duration::from_secs(5)));
    assert!(plan.check_groups(&["primary".into(), "standby".into()]).is_ok());
    let error = plan.check_groups(&["primary".into()]).expect_err("no standby");
    assert_eq!(error.to_string(), "step `a` is for group `standby`, which the hosts file does not have");
    assert_eq!(error.hint(), "groups of the hosts file: primary");
}

#[test]
fn a_script_of_its_own() {
    let text = "max_hosts: 2\ntable: [role]\nvars: { a: 1, b: 2 }\n\
                steps: [{ name: x, run: { script: opengauss/x.sh, with: { act: \"do {a}\" } } }]";
    let plan = load(text).expect("loads");
    let Action::Script { source, script, with, .. } = &plan.steps[0].action else { panic!("a script") };
    assert_eq!((source.as_str(), script.as_str()), ("opengauss/x.sh", ":\n"));
    let vars = [("a", "x y"), ("b", "2")].into_iter().collect();
    assert_eq!((with[0].0.as_str(), with[0].1.render_plain(&vars).as_str()), ("act", "do x y"));
    assert_eq!((plan.max_hosts, plan.table), (Some(2), vec!["role".to_owned()]));
}

/// Mistakes: the text, line and column, and what is said, with the hint after a `|`.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn mistakes() {
    let head = "vars: { home: { default: /opt, check: abs-path } }\nprobes: { node: { script: opengauss/node.sh, facts: [marker, role] } }\n";
    let mut wrong = Vec::new();
    for (text, line, column, message) in [
        ("", 0, 0, "the file is empty, expected a mapping with `steps`"),
        ("max_hosts: 0\nsteps: [{ name: a, ping: true }]", 1, 12, "`0` is no number of hosts, expected 1 or more"),
        (
            "steps: [{ name: x, run: { script: opengauss/x.sh, with: { home: 2 } } }]",
            1,
            59,
            "`home` can't be set for a script | names are lower case letters, digits and `_`, and not those of variables",
        ),
        ("# nothing\n\n", 0, 0, "the file is empty, expected a mapping with `steps`"),
        ("- a\n", 1, 1, "a playbook must be a mapping, found a list"),
        ("ping\n", 1, 1, "a playbook must be a mapping, found `ping`"),
        ("steps:\n\t- name: a\n", 2, 1, "a tab in the indentation, expected spaces | YAML is indented by spaces only"),
        ("name: a\nname: b\n", 2, 1, "the key `name` stands here twice | join the two, or remove one"),
        (
            "steeps: []\n",
            1,
            1,
            "unknown key `steeps` in a playbook, expected one of `name`, `summary`, `max_hosts`, `vars`, `probes`, `chain`, `causes`, `table`, `state_file`, `state_groups`, `goes_on`, `serial`, `max_fail`, `last`, `steps` | did you mean `steps`?",
        ),
        ("name: a\n", 1, 1, "a playbook has no `steps`"),
        ("steps: []\n", 1, 8, "`steps` is empty, expected at least one step"),
        ("steps: yes\n", 1, 8, "`steps` must be a list, found `yes`"),
        ("steps: [{ ping: true }]", 1, 9, "a step has no `name` | say in a few words what it does"),
        (
            "steps:\n- name: a\n",
            2,
            3,
            "a step without an action, expected one of `run`, `probe`, `remove`, `touch`, `write`, `push`, `pull`, `wait`, `play`, `check`, `ping`, `state`",
        ),
        ("steps:\n- name: a\n  run: b\n  ping: true\n", 4, 3, "`run` and `ping` in one step | make it two steps"),
        ("steps:\n- name: a\n  run: [b]\n", 3, 8, "`run` must be text, found a list"),
        (
            "steps:\n- name: a\n  ping: true\n- name: a\n  ping: true\n",
            4,
            9,
            "two steps are named `a` | `--from STEP` and the journal need each name once",
        ),
        (
            "steps:\n- name: a\n  run: b\n  retries: 2\n",
            4,
            12,
            "`retries` on a command that may not be safe to run twice | add `idempotent: true` if it is",
        ),
        (
            "steps:\n- name: a\n  run: b\n  timeout: 5 minutes\n",
            4,
            12,
            "`5 minutes` is not a duration: write `60`, `90s`, `5m` or `1h30m`",
        ),
        (
            "steps:\n- name: a\n  run: b\n  cleanup: remove\n",
            4,
            12,
            "`cleanup` beside `run`: there is no file to remove | `cleanup: remove` is for `touch` and `write`",
        ),
        (
            "steps:\n- name: a\n  run: b\n  on_failure: contineu\n",
            4,
            15,
            "`contineu` is not expected here, expected one of `stop`, `continue` | did you mean `continue`?",
        ),
        ("steps:\n- name: a\n  run: b\n  refuse: []\n", 4, 3, "`refuse` beside `run`, expected it beside `probe`"),
        (
            "steps:\n- name: a\n  run: b\n  on: a b\n",
            4,
            7,
            "`a b` is no selection of hosts, expected `all`, `any`, a group, or `not` and a group",
        ),
        ("steps:\n- name: a\n  run: b\n  serial: 0\n", 4, 11, "`0` is neither a number of hosts nor a percentage"),
        ("steps:\n- name: a\n  run: echo {hme}\n", 3, 13, "undefined variable `hme` | did you mean `home`?"),
        (
            "steps:\n- name: a\n  run: awk '{print}'\n",
            3,
            13,
            "undefined variable `print` | define `print` under `vars`, or write `{{print}}` if the braces are meant as they are",
        ),
        (
            "steps:\n- name: a\n  run: \"ls '{home}'\"\n",
            3,
            13,
            "variable `home` stands inside quotes | take `{home}` out of the quotes: gsctl quotes its value for the shell itself",
        ),
        (
            "steps:\n- name: a\n  remove: {home}/x\n",
            3,
            17,
            "not valid YAML: while parsing a block mapping, did not find expected key | put quotes round text that begins with `{`",
        ),
        (
            "steps:\n- name: a\n  remove: {home}\n",
            3,
            11,
            "`remove` must be text, found a mapping | put quotes round text that begins with `{`",
        ),
        ("steps:\n- name: a\n  remove: /\n", 3, 11, "path `/` is a directory, expected a file"),
        ("steps:\n- name: a\n  remove: [/a, b/c]\n", 3, 16, "path `b/c` does not begin with `/` or a variable"),
        ("steps:\n- name: a\n  remove: \"{home}/../x\"\n", 3, 11, "path `{home}/../x` holds `..`"),
        (
            "steps:\n- name: a\n  remove: /a*/b\n",
            3,
            11,
            "path `/a*/b` has a glob in a directory, expected one in the last component only",
        ),
        ("steps:\n- name: a\n  touch: /a/b*\n", 3, 10, "path `/a/b*` holds a glob, expected the name of one file"),
        (
            "steps:\n- name: a\n  write: { path: /a, content: b, mode: rw }\n",
            3,
            40,
            "`rw` is no file mode | write it in octal, as in `mode: \"0600\"`",
        ),
        ("steps:\n- name: a\n  write: { path: /a }\n", 3, 10, "`write` has no `content`"),
        ("steps:\n- name: a\n  probe: nod\n", 3, 10, "unknown probe `nod`, expected `node` | did you mean `node`?"),
        (
            "steps:\n- name: a\n  wait: { chain: all }\n",
            3,
            11,
            "`wait` for the chain, but the playbook has none | define its stages under `chain`",
        ),
        ("steps:\n- name: a\n  wait: { every: 1s }\n", 3, 9, "`wait` has neither `chain` nor `until`"),
        (
            "steps:\n- name: a\n  wait: { until: { fact: marker, is: absent }, quorum: al }\n",
            3,
            56,
            "`al` is no number of hosts, expected `all`, `majority`, `any` or a count | did you mean `all`?",
        ),
        (
            "steps:\n- name: a\n  wait: { until: { fact: marker, is: absent }, every: 0 }\n",
            3,
            55,
            "`every` must be more than nothing | write a time such as `1s`",
        ),
        (
            "steps:\n- name: a\n  wait: { until: { exists: /a } }\n",
            3,
            18,
            "`until` tests a file, expected facts | let the probe print a fact about the file, or use `run: test -e FILE` and the fact `exit_status`",
        ),
        (
            "steps:\n- name: a\n  ping: true\n  when: { fact: mraker, is: x }\n",
            4,
            17,
            "unknown fact `mraker`: no probe prints it | did you mean `marker`?",
        ),
        ("steps:\n- name: a\n  ping: true\n  when: { fact: marker }\n", 4, 9, "`fact` takes either `is` or `not`"),
        ("steps:\n- name: a\n  ping: true\n  when: { is: marker }\n", 4, 11, "`is` without a `fact` or `var`"),
        (
            "steps:\n- name: a\n  ping: true\n  when: {}\n",
            4,
            9,
            "`when` is empty, expected one of `fact`, `state`, `var`, `is`, `not`, `below`, `exists`, `missing`",
        ),
        (
            "steps:\n- name: a\n  ping: true\n  when: { var: home, is: \"{host}\" }\n",
            4,
            27,
            "variable `host` differs from host to host and can't be used here",
        ),
        (
            "chain: [{ stage: a, fact: rol, up: x }]\nsteps: [{ name: a, ping: true }]\n",
            1,
            27,
            "unknown fact `rol`: no probe prints it | did you mean `role`?",
        ),
        ("chain: [{ stage: a, fact: role }]\nsteps: [{ name: a, ping: true }]\n", 1, 9, "a stage has no `up`"),
        ("steps:\n- name: a\n  check: { port: 70000 }\n", 3, 18, "`70000` is no port, expected 1 to 65535"),
        ("steps:\n- name: a\n  state: a b\n", 3, 10, "state `a b` must be a name of letters, digits, `_`, `-` and `.`"),
        (
            "steps:\n- play: other.yaml\n",
            2,
            9,
            "there is no playbook `other.yaml`, neither built in nor a file | built in are @BUILT_IN@",
        ),
        ("steps:\n- play: my.yaml\n", 2, 9, "playbook `my.yaml` plays itself: `my.yaml` plays `my.yaml`"),
        (
            "steps:\n- play: my.yaml\n  on: any\n",
            3,
            3,
            "`on` beside `play`, expected only `name` | set it on the steps of the other playbook",
        ),
        ("steps:\n- name: a\n  push: { from: a, to: b }\n", 3, 17, "`a` can't be read"),
        (
            "steps:\n- name: a\n  pull: { from: /x, too: /b }\n",
            3,
            21,
            "unknown key `too` in `pull`, expected one of `from`, `to` | did you mean `to`?",
        ),
    ] {
        // The line that defines things stands last, so that lines can be told from the text alone.
        let whole =
            if text.contains("steps") && !text.contains('\t') { format!("{text}\n{head}") } else { text.to_owned() };
        wrong.extend(mistake(text, &whole, (line, column), message));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn mistakes_in_the_head() {
    let mut wrong = Vec::new();
    for (text, line, column, message) in [
        ("vars: { Home: x }", 1, 9, "`Home` is no name for a variable | names are lower case letters, digits and `_`"),
        ("vars: { host: x }", 1, 9, "variable `host` is there already: gsctl sets it for every host"),
        (
            "vars: { a: { check: abspath } }",
            1,
            21,
            "unknown check `abspath`, expected one of `any`, `abs-path`, `int`, `name`, `bool`, `duration` | did you mean `abs-path`?",
        ),
        ("vars: { a: { default: x, check: int } }", 1, 23, "the default `x` must be a whole number"),
        ("vars: { a: { check: int, one_of: [1] } }", 1, 21, "`check` beside `one_of`, expected one of them"),
        ("vars: { a: { required: yes } }", 1, 24, "`required` must be `true` or `false`, found `yes`"),
        ("vars: { a: [x] }", 1, 12, "a variable must be a mapping, found a list"),
        ("probes: { a: { script: ../x.sh } }", 1, 24, "script `../x.sh` must be a path below the playbook's directory"),
        ("probes: { a: { script: x.sh } }", 1, 24, "there is no script `x.sh`"),
        (
            "probes: { a: { file: x.sh } }",
            1,
            16,
            "unknown key `file` in a probe, expected one of `script`, `states`, `facts`",
        ),
        (
            "probes: { a: { script: opengauss/a.sh, states: { up: { when: { exists: /a } } } } }",
            1,
            62,
            "a state tests a file, expected facts",
        ),
        ("chain: []", 1, 8, "`chain` must be a list of at least one stage, found a list"),
        (
            "chain: [{ stage: a, fact: b, up: c }, { stage: a, fact: b, up: c }]",
            1,
            48,
            "stage `a` stands in the chain twice",
        ),
    ] {
        wrong.extend(mistake(text, &format!("{text}\nsteps: [{{ name: a, ping: true }}]"), (line, column), message));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What is told otherwise than it should be.
fn mistake(text: &str, whole: &str, place: (usize, usize), want: &str) -> Option<String> {
    let Err(problem) = load(whole) else { return Some(format!("{text}\nloads")) };
    let hint = problem.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
    let got = format!("{}{hint}", problem.message);
    let want = want.replace("@BUILT_IN@", &builtin::names().collect::<Vec<_>>().join(", "));
    let same = got == want && (problem.line, problem.column) == place;
    (!same).then(|| format!("{text}\nwant {place:?} {want}\ngot  {:?} {got}", (problem.line, problem.column)))
}

proptest::proptest! {
    /// Whatever stands in a file, it is read or refused, and what is said about it can be shown.
    #[test]
    fn never_panics(at in 0..EXAMPLE.len(), len in 0..40usize, put in "[ -~\\n\\t{}:ä'\"]{0,8}") {
        let end = (at + len).min(EXAMPLE.len());
        if let (Some(before), Some(after)) = (EXAMPLE.get(..at), EXAMPLE.get(end..))
            && let Err(problem) = load(&format!("{before}{put}{after}"))
        {
            proptest::prop_assert!(problem.to_string().starts_with("playbook `my.yaml`"));
        }
    }
}
