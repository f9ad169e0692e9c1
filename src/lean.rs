//! What keeps the page's module small: one copy of what generic code would repeat, and the browser's
//! own routines where it has them (`docs/wasm-size.md`). Natively the standard library's are used.

use std::cmp::Ordering;

/// Positions `0..count` in the order of `compare`; equal ones keep theirs. One sort for all callers, by
/// merging: the standard library's costs 2 kB, and as much for each further type.
pub(crate) fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut merged = Vec::with_capacity(count);
    // Merges neighbouring runs into runs of twice the length.
    let mut run = 1;
    while run < count {
        for pair in order.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let ([a, ..], [b, ..]) = (left, right) {
                let next = if compare(*a, *b).is_gt() { &mut right } else { &mut left };
                merged.push(next[0]);
                *next = &next[1..];
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut order, &mut merged);
        merged.clear();
        run *= 2;
    }
    order
}

/// Where `part` first stands in `text`. The texts are short; `str::find` brings a two-way searcher.
pub(crate) fn find(text: &str, part: &str) -> Option<usize> {
    text.as_bytes().windows(part.len().max(1)).position(|window| window == part.as_bytes())
}

/// Whether `part` stands in `text`.
pub(crate) fn has(text: &str, part: &str) -> bool {
    find(text, part).is_some()
}

/// What stands before and after the first `part` of `text`.
pub(crate) fn split<'t>(text: &'t str, part: &str) -> Option<(&'t str, &'t str)> {
    let at = find(text, part)?;
    // Not by indexing, which cannot fail here and brings the words for when it does.
    Some((text.get(..at)?, text.get(at + part.len()..)?))
}

/// What stands before and after the last `byte` of `text`.
pub(crate) fn split_last(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().rposition(|b| b == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// `text` with `by` for every `part`.
pub(crate) fn replace(mut text: &str, part: &str, by: &str) -> String {
    let mut out = String::new();
    while let Some((before, after)) = split(text, part) {
        out += before;
        out += by;
        text = after;
    }
    out + text
}

/// Sizes as a list, `[3, 1]`.
pub(crate) fn list(sizes: &[usize]) -> String {
    let mut texts = Vec::with_capacity(sizes.len());
    sizes.iter().for_each(|size| texts.push(size.to_string()));
    format!("[{}]", join(&texts, ", "))
}

/// The texts with `by` between them.
pub(crate) fn join(texts: &[String], by: &str) -> String {
    let mut out = String::new();
    for (i, text) in texts.iter().enumerate() {
        out += if i > 0 { by } else { "" };
        out += text;
    }
    out
}

/// The shortest decimal that reads back as `x`.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn float(x: f64) -> String {
    x.to_string()
}

/// The shortest decimal that reads back as `x`.
#[cfg(target_arch = "wasm32")]
pub(crate) fn float(x: f64) -> String {
    js_sys::Number::from(x).to_string_with_radix(10).map_or_else(|_| String::new(), String::from)
}

/// A short decimal of `x`.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn float32(x: f32) -> String {
    x.to_string()
}

/// A short decimal of `x`: seven digits, an f32's own.
#[cfg(target_arch = "wasm32")]
pub(crate) fn float32(x: f32) -> String {
    let digits = js_sys::Number::from(f64::from(x)).to_precision(7);
    digits.map_or_else(|_| String::new(), |d| float(js_sys::Number::parse_float(&String::from(d))))
}

/// The f64 nearest to a number as JSON writes it; infinity where it is too large.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn parse_float(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// The f64 nearest to a number as JSON writes it; infinity where it is too large.
#[cfg(target_arch = "wasm32")]
pub(crate) fn parse_float(text: &str) -> f64 {
    js_sys::Number::parse_float(text)
}

/// e^x, within an ulp.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn exp(x: f64) -> f64 {
    x.exp()
}

/// e^x, within an ulp.
#[cfg(target_arch = "wasm32")]
pub(crate) fn exp(x: f64) -> f64 {
    js_sys::Math::exp(x)
}

/// The natural logarithm of x, within an ulp.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn ln(x: f64) -> f64 {
    x.ln()
}

/// The natural logarithm of x, within an ulp.
#[cfg(target_arch = "wasm32")]
pub(crate) fn ln(x: f64) -> f64 {
    js_sys::Math::log(x)
}

/// sin(x) and cos(x), within an ulp.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn sin_cos(x: f64) -> (f64, f64) {
    x.sin_cos()
}

/// sin(x) and cos(x), within an ulp.
#[cfg(target_arch = "wasm32")]
pub(crate) fn sin_cos(x: f64) -> (f64, f64) {
    (js_sys::Math::sin(x), js_sys::Math::cos(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(find("abcabc", "ca"), Some(2));
        assert_eq!(find("ab", "abc"), None);
        assert!(has("AttnDownBlock2D", "Down") && !has("", "a"));
        assert_eq!(replace("$i + $i", "$i", "3"), "3 + 3");
        assert_eq!(replace("none", "$i", "3"), "none");
        assert_eq!(split("a..b..c", ".."), Some(("a", "b..c")));
        assert_eq!(split_last("a.b.\u{fc}", b'.'), Some(("a.b", "\u{fc}")));
        assert_eq!(split_last("ab", b'.'), None);
        assert_eq!(join(&["a".to_owned(), "b".to_owned()], ", "), "a, b");
        assert_eq!((list(&[3, 1]), list(&[])), ("[3, 1]".to_owned(), "[]".to_owned()));
    }

    #[test]
    fn order_is_stable() {
        let values = [3, 1, 3, 0, 1];
        assert_eq!(order(5, &|a, b| values[a].cmp(&values[b])), [3, 1, 4, 0, 2]);
        for count in 0..40 {
            let values: Vec<usize> = (0..count).map(|i| i * 7 % 11 % 5).collect();
            let mut expected: Vec<usize> = (0..count).collect();
            expected.sort_by_key(|&i| values[i]);
            assert_eq!(order(count, &|a, b| values[a].cmp(&values[b])), expected);
        }
    }
}
