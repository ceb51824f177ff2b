//! The gsctl program.

fn main() -> std::process::ExitCode {
    gsctl::main()
}
