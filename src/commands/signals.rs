//! Signals: reasons to stop a run, and what they must not leave behind. One that was ignored when gsctl began stays ignored.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use crate::exit::ExitStatus;
use crate::stats::CancelReason;

/// The terminal, whatever standard input and output are.
const TERMINAL: &str = "/dev/tty";

/// True while a signal ends gsctl as it ends any program; `None` before gsctl has had a hand in signals.
static AS_EVER: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Signals, as reasons to stop. The second one ends the program at once.
///
/// # Errors
/// When the system gives no more descriptors or threads.
pub(super) fn listen() -> io::Result<async_channel::Receiver<CancelReason>> {
    let again = Arc::new(AtomicBool::new(false));
    let heeded = heeded(&[SIGINT, SIGTERM, SIGHUP]);
    for &signal in &heeded {
        flag::register_conditional_shutdown(signal, i32::from(status(signal).code()), again.clone())?;
        flag::register(signal, again.clone())?;
    }
    let mut signals = Signals::new(&heeded)?;
    as_ever(false);
    let (sender, reasons) = async_channel::unbounded();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let reason = if signal == SIGINT { CancelReason::Interrupt } else { CancelReason::Terminate };
            if sender.try_send(reason).is_err() {
                return;
            }
        }
    })?;
    Ok(reasons)
}

/// Signals of a program that goes on after a run was stopped.
pub(super) struct ShellSignals {
    /// Reasons to stop a run.
    pub(super) reasons: async_channel::Receiver<CancelReason>,
    at_work: Arc<AtomicBool>,
    /// What is under way was told to stop.
    told: Arc<AtomicBool>,
}

impl ShellSignals {
    /// Nothing is to be stopped: what ends gsctl now ends it at once.
    pub(super) fn rest(&self) {
        self.at_work.store(false, Ordering::SeqCst);
    }

    /// A run begins, and what came before is not about it.
    pub(super) fn work(&self) {
        while self.reasons.try_recv().is_ok() {}
        self.told.store(false, Ordering::SeqCst);
        self.at_work.store(true, Ordering::SeqCst);
    }
}

/// Signals as reasons to stop what is under way. While nothing is, and the second time,
/// they end the program, with the terminal as it was.
///
/// # Errors
/// When the system gives no more descriptors or threads.
pub(super) fn listen_between_runs() -> io::Result<ShellSignals> {
    let terminal = File::open(TERMINAL).and_then(|terminal| Ok((tcgetattr(&terminal)?, terminal)));
    let mut signals = Signals::new(heeded(&[SIGINT, SIGTERM, SIGHUP]))?;
    as_ever(false);
    let at_work = Arc::new(AtomicBool::new(false));
    let told = Arc::new(AtomicBool::new(false));
    let (is_at_work, was_told) = (at_work.clone(), told.clone());
    let (sender, reasons) = async_channel::unbounded();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if !is_at_work.load(Ordering::SeqCst) || was_told.swap(true, Ordering::SeqCst) {
                if let Ok((before, terminal)) = &terminal {
                    let _ = tcsetattr(terminal, OptionalActions::Now, before);
                }
                leave(signal);
            }
            let reason = if signal == SIGINT { CancelReason::Interrupt } else { CancelReason::Terminate };
            if sender.try_send(reason).is_err() {
                return;
            }
        }
    })?;
    Ok(ShellSignals { reasons, at_work, told })
}

/// Asks something on the terminal with its echo off. Whatever ends gsctl meanwhile, the echo is on again.
pub(super) fn with_echo_off<T>(ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let before = File::open(TERMINAL).and_then(|terminal| Ok((tcgetattr(&terminal)?, terminal)));
    let Ok((before, terminal)) = before else { return ask() };
    let heeded = heeded(&[SIGINT, SIGTERM, SIGHUP, SIGQUIT]);
    let mut signals = Signals::new(&heeded)?;
    if AS_EVER.get().is_none() {
        let ends = AS_EVER.get_or_init(Arc::default);
        for &signal in &heeded {
            flag::register_conditional_default(signal, ends.clone())?;
        }
    }
    as_ever(false);
    let handle = signals.handle();
    let restoring = std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
            leave(signal);
        }
    })?;
    let answer = ask();
    if answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
        // Ctrl-C: the terminal is as it was.
        leave(SIGINT);
    }
    handle.close();
    let _ = restoring.join();
    as_ever(true);
    answer
}

fn leave(signal: i32) -> ! {
    // The shell's prompt begins a line of its own.
    let _ = File::options().write(true).open(TERMINAL).and_then(|mut terminal| terminal.write_all(b"\n"));
    low_level::exit(i32::from(status(signal).code()))
}

fn as_ever(yes: bool) {
    if let Some(flag) = AS_EVER.get() {
        flag.store(yes, Ordering::SeqCst);
    }
}

fn status(signal: i32) -> ExitStatus {
    if signal == SIGINT { ExitStatus::Interrupted } else { ExitStatus::Terminated }
}

/// Those of these signals that were not ignored when gsctl began, by `nohup` or a shell's `&`.
fn heeded(signals: &[i32]) -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    signals.iter().copied().filter(|&signal| !is_ignored(signal, &status)).collect()
}

/// Whether a signal is ignored, by the text of `/proc/self/status`.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(signal - 1).ok().and_then(|bit| mask.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals() {
        let status = "Name:\tgsctl\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert!(is_ignored(SIGHUP, status) && is_ignored(signal_hook::consts::SIGPIPE, status));
        assert!(!is_ignored(SIGINT, status) && !is_ignored(SIGTERM, status));
        assert!(!is_ignored(SIGHUP, "") && !is_ignored(SIGHUP, "SigIgn:\tx\n"));
    }
}
