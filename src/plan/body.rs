//! The dispatches of one iteration of a loop.

use super::Plan;
use std::ops::Range;

/// The dispatches of a plan that one iteration of a loop runs: a range of them, several times, then another range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body {
    repeated: Range<usize>,
    times: usize,
    rest: Range<usize>,
}

impl Body {
    /// `repeated` `times` times, then `rest`.
    pub fn new(repeated: Range<usize>, times: usize, rest: Range<usize>) -> Self {
        Self { repeated, times, rest }
    }

    /// Number of dispatches of one iteration.
    pub fn len(&self) -> usize {
        self.repeated.len() * self.times + self.rest.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One past the last dispatch of either range.
    pub fn end(&self) -> usize {
        self.repeated.end.max(self.rest.end)
    }

    /// The dispatch at a position of the endlessly repeated body, which must not be empty.
    pub fn at(&self, position: usize) -> usize {
        let (position, again) = (position % self.len(), self.repeated.len() * self.times);
        if position < again {
            self.repeated.start + position % self.repeated.len()
        } else {
            self.rest.start + position - again
        }
    }

    /// Floating-point operations of each dispatch of one iteration.
    pub fn flops<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = u64> + 'a {
        (0..self.len()).filter_map(|i| plan.dispatches.get(self.at(i))).map(|d| d.flops)
    }
}

impl From<Range<usize>> for Body {
    fn from(range: Range<usize>) -> Self {
        let end = range.end;
        Self::new(range, 1, end..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_its_first_part() {
        let body = Body::new(2..4, 3, 7..8);
        let all: Vec<usize> = (0..9).map(|i| body.at(i)).collect();
        assert_eq!(all, [2, 3, 2, 3, 2, 3, 7, 2, 3]);
        assert_eq!((body.len(), body.end()), (7, 8));
        let plain = Body::from(5..7);
        assert_eq!((0..3).map(|i| plain.at(i)).collect::<Vec<_>>(), [5, 6, 5]);
        assert_eq!((plain.len(), plain.end(), Body::from(3..3).is_empty()), (2, 7, true));
    }
}
