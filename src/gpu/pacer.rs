//! Decides how much to submit at once: enough that submitting costs little, but not so much that the desktop freezes
//! or a stop takes long.

/// Decides how many dispatches the next submission gets, from how long the last ones took. A loop body is replayed,
/// and positions count its dispatches: at `position`, `position / body` whole bodies are done.
#[derive(Clone, PartialEq, Debug)]
pub struct Pacer {
    target_ms: f64,
    /// `prefix[i]`: cost of the body's first `i` dispatches, in FLOP plus an allowance for each launch.
    prefix: Vec<f64>,
    /// Milliseconds per unit of cost, as last observed; None before the first observation.
    rate: Option<f64>,
    /// The largest cost submitted at once so far.
    proven: f64,
    /// The cost of the first submission.
    first: f64,
}

/// GPU time of one submission in a page: less than a frame at 60 Hz, because the page's compositor shares the GPU.
pub const WEB_TARGET_MS: f64 = 12.0;
/// The same natively. A desktop notices it no more than a video, and a stop takes this long.
pub const NATIVE_TARGET_MS: f64 = 100.0;

/// The first submission is this fraction of a body. Even on a slow adapter it triggers no watchdog.
const FIRST: f64 = 1.0 / 64.0;
/// A submission is at most this many times as large as the largest one before it.
const GROWTH: f64 = 4.0;

impl Pacer {
    /// A pacer for a body with one dispatch for each item of `flops`, its number of operations.
    pub fn new(target_ms: f64, flops: impl Iterator<Item = u64>) -> Self {
        let (mut prefix, mut sum) = (vec![0.0], 0.0);
        for f in flops {
            sum += f as f64;
            prefix.push(sum);
        }
        // A launch costs something too: count it as a twentieth of the average dispatch, and never as nothing.
        let launch = sum / (20 * (prefix.len() - 1).max(1)) as f64 + 1.0;
        for (i, cost) in prefix.iter_mut().enumerate() {
            *cost += i as f64 * launch;
        }
        let first = prefix.last().copied().unwrap_or(0.0) * FIRST;
        Self { target_ms, prefix, rate: None, proven: 0.0, first }
    }

    /// For a body that is `parts` times as long as one evaluation or step: starts with as little work as for one.
    pub fn parts(self, parts: usize) -> Self {
        Self { first: self.first / parts.max(1) as f64, ..self }
    }

    /// Dispatches in the body.
    pub fn body(&self) -> usize {
        self.prefix.len() - 1
    }

    /// Where a submission that starts at `position` should stop. `end` is where all work ends. A submission is either
    /// several whole bodies or a part of one: if it reaches the end of a body, it stops there or at the end of a
    /// later one.
    pub fn stop(&self, position: usize, end: usize) -> usize {
        let body = self.body();
        if body == 0 || position >= end {
            return end;
        }
        let whole = self.prefix[body];
        let budget = match self.rate {
            Some(rate) => (self.target_ms / rate.max(f64::MIN_POSITIVE)).min(self.proven * GROWTH),
            None => self.first,
        };
        let at = position % body;
        if at == 0 && budget >= whole {
            let bodies = (budget / whole) as usize;
            return position.saturating_add(bodies.saturating_mul(body)).min(end);
        }
        let reach = self.prefix[at] + budget;
        // Entries up to and including `reach`, but at least one dispatch and at most this body.
        let stop = self.prefix.partition_point(|&cost| cost <= reach).saturating_sub(1);
        (position - at + stop.clamp(at + 1, body)).min(end)
    }

    /// Records that `positions` took `ms`.
    pub fn observe(&mut self, positions: std::ops::Range<usize>, ms: f64) {
        let cost = self.cost(positions.end) - self.cost(positions.start);
        if cost <= 0.0 || !ms.is_finite() || ms < 0.0 {
            return;
        }
        let seen = ms / cost;
        // A slower rate counts at once; a faster one only by half, since it may be a chance measurement.
        self.rate = Some(match self.rate {
            Some(rate) if seen < rate => (rate + seen) / 2.0,
            _ => seen,
        });
        self.proven = self.proven.max(cost);
    }

    fn cost(&self, position: usize) -> f64 {
        let body = self.body().max(1);
        let whole = self.prefix.last().copied().unwrap_or(0.0);
        (position / body) as f64 * whole + self.prefix.get(position % body).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `times` bodies on a machine that needs `ms(position)` per dispatch; returns the stops.
    fn play(pacer: &mut Pacer, times: usize, ms: impl Fn(usize) -> f64) -> Vec<(usize, f64)> {
        let (mut position, end) = (0, times * pacer.body());
        let mut stops = Vec::new();
        while position < end {
            let stop = pacer.stop(position, end);
            assert!(stop > position && stop <= end, "{position} -> {stop} of {end}");
            let took = (position..stop).map(&ms).sum();
            pacer.observe(position..stop, took);
            stops.push((stop, took));
            position = stop;
        }
        stops
    }

    #[test]
    fn a_fast_machine_gets_whole_bodies() {
        let mut pacer = Pacer::new(100.0, std::iter::repeat_n(1_000_000, 100));
        let stops = play(&mut pacer, 1000, |_| 0.01);
        let late = &stops[stops.len() / 2..stops.len() - 1];
        for (stop, took) in late {
            assert_eq!(stop % 100, 0);
            assert!((50.0..=100.5).contains(took), "{took} ms");
        }
        // A thousand bodies of 1 ms: hardly more submissions than 100 ms each would need.
        assert!(stops.len() < 25, "{} submissions", stops.len());
    }

    #[test]
    fn a_slow_machine_gets_parts_that_end_with_the_body() {
        let mut pacer = Pacer::new(12.0, std::iter::repeat_n(1_000_000, 100));
        let stops = play(&mut pacer, 20, |_| 3.0);
        for body in 1..=20 {
            assert!(stops.iter().any(|(stop, _)| *stop == body * 100), "no stop at body {body}");
        }
        assert!(stops.iter().all(|(_, took)| *took <= 12.5), "{stops:?}");
    }

    #[test]
    fn one_dispatch_is_the_least() {
        let mut pacer = Pacer::new(12.0, [1, 1_000_000_000, 1].into_iter());
        let stops = play(&mut pacer, 3, |p| if p % 3 == 1 { 300.0 } else { 0.1 });
        assert!(stops.iter().all(|(_, took)| *took < 301.0), "{stops:?}");
    }

    #[test]
    fn a_slowdown_is_believed_at_once() {
        let mut pacer = Pacer::new(100.0, std::iter::repeat_n(1_000, 10));
        play(&mut pacer, 1000, |_| 0.1);
        let before = pacer.stop(0, 10_000);
        pacer.observe(0..before, 1_000.0);
        assert!(pacer.stop(0, 10_000) * 8 <= before, "ten times slower, a tenth as much");
    }

    #[test]
    fn odd_input() {
        let mut pacer = Pacer::new(12.0, std::iter::empty());
        assert_eq!(pacer.stop(0, 0), 0);
        let mut one = Pacer::new(12.0, std::iter::once(0));
        one.observe(0..0, 1.0);
        one.observe(0..1, f64::NAN);
        pacer.observe(0..5, 1.0);
        assert_eq!(one.stop(0, 7), 1);
        one.observe(0..1, 0.0);
        assert_eq!(one.stop(1, 7), 5, "four times what was proven");
    }
}
