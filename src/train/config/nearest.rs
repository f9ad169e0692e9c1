//! "Did you mean …": the known name that is nearest to an unknown one.

/// How many insertions, removals, replacements and swaps of neighbours turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// The name nearest to `text`, if it is near at all.
pub(super) fn nearest<'n>(text: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // Nobody types this much by mistake, and the table is quadratic.
    if text.len() > 64 {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    let found = names.map(|name| (distance(&text, &name.to_lowercase().replace('-', "_")), name));
    let (far, name) = found.min_by_key(|(far, _)| *far)?;
    (far <= (text.len() / 3).clamp(1, 3)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, want) in
            [("", "abc", 3), ("lr", "lr", 0), ("betal", "beta1", 1), ("stesp", "steps", 1)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (want, want), "{a} {b}");
        }
    }

    #[test]
    fn near_names_only() {
        let names = ["beta1", "max_grad_norm", "lr"];
        let find = |text| nearest(text, names.into_iter());
        assert_eq!(find("max-gradnorm"), Some("max_grad_norm"));
        assert_eq!(find("Beta_1"), Some("beta1"));
        assert_eq!(find("l"), Some("lr"));
        assert_eq!(find("momentum"), None);
        assert_eq!(find(&"lr".repeat(1000)), None);
    }
}
