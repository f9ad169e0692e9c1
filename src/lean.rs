//! What keeps the page's module small: one copy of what generic code would repeat, and the browser's
//! own routines where it has them (`docs/wasm-size.md`). Natively the standard library's are used.

use serde_json::Value;
use std::cmp::Ordering;

/// Positions `0..count` in the order of `compare`; equal ones keep theirs. One sort for all callers:
/// each further type would cost 3 to 5 kB.
pub(crate) fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_unstable_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
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

/// `text` with `by` for every `part`.
pub(crate) fn replace(mut text: &str, part: &str, by: &str) -> String {
    let mut out = String::new();
    while let Some(at) = find(text, part) {
        out += &text[..at];
        out += by;
        text = &text[at + part.len()..];
    }
    out + text
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

/// A JSON value on one line.
pub(crate) fn json(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, None);
    out
}

/// A JSON object with its keys in the order given: two spaces for each level, or all on one line.
pub(crate) fn object(entries: &[(&str, Value)], pretty: bool) -> String {
    let mut out = String::new();
    let mut list = List::new(&mut out, '{', pretty.then_some(1));
    for (key, value) in entries {
        list.pair(key, value);
    }
    list.end('}');
    out
}

/// The items of a list or object, `depth` levels in.
struct List<'o> {
    out: &'o mut String,
    depth: Option<usize>,
    empty: bool,
}

impl<'o> List<'o> {
    fn new(out: &'o mut String, open: char, depth: Option<usize>) -> Self {
        out.push(open);
        Self { out, depth, empty: true }
    }

    fn begin(&mut self) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        self.line(0);
    }

    fn line(&mut self, less: usize) {
        if let Some(depth) = self.depth {
            self.out.push('\n');
            (less..depth).for_each(|_| self.out.push_str("  "));
        }
    }

    fn pair(&mut self, key: &str, value: &Value) {
        self.begin();
        quote(self.out, key);
        self.out.push(':');
        if self.depth.is_some() {
            self.out.push(' ');
        }
        self.item(value);
    }

    fn item(&mut self, value: &Value) {
        write(self.out, value, self.depth.map(|depth| depth + 1));
    }

    fn end(mut self, close: char) {
        if !self.empty {
            self.line(1);
        }
        self.out.push(close);
    }
}

fn write(out: &mut String, value: &Value, depth: Option<usize>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::String(text) => quote(out, text),
        Value::Number(number) => {
            if let Some(n) = number.as_u64() {
                out.push_str(&n.to_string());
            } else if let Some(n) = number.as_i64() {
                out.push_str(&n.to_string());
            } else if cfg!(target_arch = "wasm32") {
                out.push_str(&float(number.as_f64().unwrap_or(f64::NAN)));
            } else {
                #[cfg(not(target_arch = "wasm32"))]
                out.push_str(&number.to_string());
            }
        }
        Value::Array(items) => {
            let mut list = List::new(out, '[', depth);
            for item in items {
                list.begin();
                list.item(item);
            }
            list.end(']');
        }
        Value::Object(map) => {
            let mut list = List::new(out, '{', depth);
            for (key, value) in map {
                list.pair(key, value);
            }
            list.end('}');
        }
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let digit = |n: u32| char::from_digit(n, 16).unwrap_or('0');
                out.extend(['\\', 'u', '0', '0', digit(c as u32 / 16), digit(c as u32 % 16)]);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_serde_jsons() {
        let text = r#"{"a":[],"b":{},"c":[1,-2,1.5,1e-7,18446744073709551615,[true,false,null]],"d":{"e":"\"\\\n\r\tü"}}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(json(&value), text);
        assert_eq!(json(&"\u{1}\u{1f}".into()), "\"\\u0001\\u001f\"");
        let Value::Object(map) = &value else { unreachable!() };
        let entries: Vec<(&str, Value)> =
            map.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
        assert_eq!(object(&entries, true), format!("{value:#}"));
        assert_eq!(object(&entries, false), text);
    }

    #[test]
    fn texts() {
        assert_eq!(find("abcabc", "ca"), Some(2));
        assert_eq!(find("ab", "abc"), None);
        assert!(has("AttnDownBlock2D", "Down") && !has("", "a"));
        assert_eq!(replace("$i + $i", "$i", "3"), "3 + 3");
        assert_eq!(replace("none", "$i", "3"), "none");
    }

    #[test]
    fn order_is_stable() {
        let values = [3, 1, 3, 0, 1];
        assert_eq!(order(5, &|a, b| values[a].cmp(&values[b])), [3, 1, 4, 0, 2]);
    }
}
