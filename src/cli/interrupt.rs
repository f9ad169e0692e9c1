//! Ctrl-C and SIGTERM. They end the process immediately if nothing is lost by that, otherwise between two submissions.

use anyhow::{Result, bail};
use std::sync::atomic::{AtomicU8, Ordering};

/// 128 + SIGINT, as in shells.
pub const EXIT_CODE: u8 = 130;

const NOT_WATCHED: u8 = 0;
const WATCHED: u8 = 1;
const PRESSED: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(NOT_WATCHED);

/// Somebody pressed Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// Handles SIGINT, SIGTERM and SIGHUP for the rest of the process, except those that are already ignored: `nohup`
/// ignores SIGHUP, and a shell's `&` ignores SIGINT.
#[cfg(unix)]
pub fn install() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let ignored = ignored();
    let wanted =
        [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // Without a handler the process ends at once, which is acceptable.
    if let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) {
        std::thread::spawn(move || signals.forever().for_each(|_| press()));
    }
}

/// The ignored signals, with signal 1 in the lowest bit. None if the system does not report them.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

/// Handles Ctrl-C for the rest of the process.
#[cfg(windows)]
pub fn install() {
    // Without a handler the process ends at once, which is acceptable.
    let _ = ctrlc::set_handler(press);
}

fn press() {
    if STATE.compare_exchange(WATCHED, PRESSED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        // Nothing would be lost, or this is the second Ctrl-C.
        std::process::exit(EXIT_CODE.into());
    }
}

/// While this exists, Ctrl-C only makes [`check`] fail.
pub struct Watch(());

impl Watch {
    pub fn begin() -> Self {
        STATE.store(WATCHED, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // If Ctrl-C was pressed after the last check, the work is done.
        STATE.store(NOT_WATCHED, Ordering::SeqCst);
    }
}

/// Whether Ctrl-C has been pressed since the [`Watch`] began.
pub fn pressed() -> bool {
    STATE.load(Ordering::SeqCst) == PRESSED
}

/// Fails once Ctrl-C has been pressed.
pub fn check() -> Result<()> {
    if pressed() {
        bail!(Interrupted);
    }
    Ok(())
}

/// Whether this error came from [`check`].
pub fn is(error: &anyhow::Error) -> bool {
    error.is::<Interrupted>()
}
