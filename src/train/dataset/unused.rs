//! Counts, by kind, what lies in a data set but is not learned from.

use std::collections::BTreeMap;

/// A kind of file or folder that is not learned from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Unread {
    /// The name for one, with its article.
    pub one: &'static str,
    /// The name for several.
    pub many: &'static str,
    /// How to use such files anyway, as a clause without a subject; may be empty.
    pub remedy: &'static str,
}

impl Unread {
    pub const fn new(one: &'static str, many: &'static str, remedy: &'static str) -> Self {
        Self { one, many, remedy }
    }

    /// `it is a HEIC photo; convert it ...`
    pub fn why(&self) -> String {
        match self.remedy {
            "" => format!("it is {}", self.one),
            remedy => format!("it is {}; {remedy}", self.one),
        }
    }
}

/// The number of each kind, and its first example.
#[derive(Clone, Default, Debug)]
pub(super) struct Unused(BTreeMap<Unread, (usize, String)>);

impl Unused {
    pub fn add(&mut self, kind: Unread, name: impl Into<String>) {
        self.0.entry(kind).or_insert_with(|| (0, name.into())).0 += 1;
    }

    pub fn append(&mut self, other: Self) {
        for (kind, (count, example)) in other.0 {
            self.0.entry(kind).or_insert((0, example)).0 += count;
        }
    }

    /// A sentence for each kind that has a remedy, and one for all the others.
    pub fn notes(&self) -> Vec<String> {
        let (plain, with): (Vec<_>, Vec<_>) = self.0.iter().partition(|(k, _)| k.remedy.is_empty());
        let with = with.into_iter().map(|found| format!("Not used: {}", phrase(found)));
        let plain = plain.into_iter().map(phrase).collect::<Vec<_>>().join(", ");
        let plain = (!plain.is_empty()).then(|| format!("Not used: {plain}"));
        with.chain(plain).collect()
    }

    /// The same in one clause, for the most frequent kinds.
    pub fn summary(&self) -> String {
        let mut kinds: Vec<_> = self.0.iter().collect();
        kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let more = if kinds.len() > SUMMARY { ", ..." } else { "" };
        kinds.into_iter().take(SUMMARY).map(phrase).collect::<Vec<_>>().join(", ") + more
    }
}

/// The most kinds in a summary.
const SUMMARY: usize = 3;

/// `3 HEIC photos (b/1.heic, ...; convert them ...)`.
fn phrase((kind, (count, example)): (&Unread, &(usize, String))) -> String {
    let what = if *count == 1 { kind.one } else { kind.many };
    let number = if *count == 1 { String::new() } else { format!("{} ", super::thousands(*count)) };
    let more = if *count == 1 { "" } else { ", ..." };
    let remedy = if kind.remedy.is_empty() { "" } else { "; " };
    format!("{number}{what} ({example}{more}{remedy}{})", kind.remedy)
}
