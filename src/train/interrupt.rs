//! When to stop. A run that is stopped finishes its step and saves a checkpoint.

use std::fmt;
use std::time::{Duration, Instant};

/// Why a run ends before its last step. In both cases it is saved, and the process exits with 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Ctrl-C or SIGTERM. (A second one ends the process at once.)
    Asked,
    /// The time limit is reached.
    Time,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "Stopped",
            Self::Time => "The time is up",
        })
    }
}

/// Decides between two steps whether to stop.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pressed: fn() -> bool,
    deadline: Option<Instant>,
}

impl Stop {
    /// Stops once `pressed` returns true (usually because of a signal), or `max_time` from now.
    pub fn new(pressed: fn() -> bool, max_time: Option<Duration>) -> Self {
        // A time beyond the range of the clock means no limit.
        Self { pressed, deadline: max_time.and_then(|time| Instant::now().checked_add(time)) }
    }

    /// Why to stop now, or `None` to continue.
    pub fn reason(&self) -> Option<Reason> {
        if (self.pressed)() {
            return Some(Reason::Asked);
        }
        self.deadline.filter(|&deadline| Instant::now() >= deadline).map(|_| Reason::Time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_when_asked_or_late() {
        let reason = |pressed, time| Stop::new(pressed, time).reason();
        assert_eq!(reason(|| false, None), None);
        assert_eq!(reason(|| true, None), Some(Reason::Asked));
        assert_eq!(reason(|| false, Some(Duration::ZERO)), Some(Reason::Time));
        assert_eq!(reason(|| true, Some(Duration::ZERO)), Some(Reason::Asked));
        assert_eq!(reason(|| false, Some(Duration::from_secs(3600))), None);
        assert_eq!(reason(|| false, Some(Duration::MAX)), None);
    }
}
