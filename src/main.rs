//! The gsctl program.

use std::io::Write as _;

fn main() {
    let status = gsctl::main();
    let _ = std::io::stdout().flush();
    // Everything is written and closed, but some threads are still on their way out. OpenSSL's exit handler frees what they
    // use (rust-openssl#2256), so no exit handler is run.
    signal_hook::low_level::exit(i32::from(status));
}
