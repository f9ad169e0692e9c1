//! Whoever starts a run: the command line, or a test.

use super::interrupt::Stop;

/// What the caller is told, and decides.
pub struct Caller<'a> {
    /// Takes a sentence for the user.
    pub say: &'a dyn Fn(&str),
    /// Show no progress.
    pub quiet: bool,
    /// Asked between submissions whether to stop.
    pub stop: Stop,
}
