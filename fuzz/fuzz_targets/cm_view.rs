//! What `cm_ctl view` is read as makes a hosts file that can be read.
#![no_main]

use gsctl::testing::{cm_view, hosts_file as file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(nodes) = cm_view::parse_cm_view(text) {
        let hosts = cm_view::to_hosts_file(&nodes);
        assert!(file::parse(hosts.as_bytes(), "hosts").is_ok(), "{hosts}");
    }
});
