//! Whatever stands in `known_hosts`, a key is judged.
#![no_main]

use gsctl::testing::KnownHosts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, String, u16, Vec<u8>)| {
    let (text, name, port, key) = input;
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("known_hosts");
    if std::fs::write(&path, text).is_err() {
        return;
    }
    if let Ok(hosts) = KnownHosts::load(&[path], &[]) {
        let _ = (hosts.check(&name, port, &key), hosts.key_types(&name, port), hosts.accept(&name, port, &key));
    }
});
