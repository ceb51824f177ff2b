//! A test that must not see the processes of the tests beside it.

use std::env;
use std::process::Command;

use crate::lab::need_root;

const ALONE: &str = "GSCTL_TEST_ALONE";

/// Runs the test in a process and pid namespace of its own, so that `/proc` shows only what the test itself started.
/// Scripts that look for any process of a name would otherwise find those of other tests.
#[track_caller]
pub(crate) fn alone<Test: FnOnce()>(test: Test) {
    if env::var_os(ALONE).is_some() {
        return test();
    }
    need_root();
    let closure = std::any::type_name::<Test>();
    let name = closure.strip_suffix("::{{closure}}").and_then(|name| name.split_once("::"));
    let (_, name) = name.unwrap_or_else(|| panic!("`alone` is called with a closure, in the test itself: {closure}"));
    let exe = env::current_exe().expect("Linux tells the program");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]).arg(exe);
    command.args(["--exact", name, "--include-ignored", "--nocapture"]).env(ALONE, "1");
    let output = command.output().expect("util-linux is installed");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{name}, alone: {}\n{said}", output.status);
}
