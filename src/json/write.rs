//! Values as text.

use super::Value;

/// A JSON value on one line.
pub(crate) fn text(value: &Value) -> String {
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
        Value::Unsigned(n) => out.push_str(&n.to_string()),
        Value::Negative(n) => out.push_str(&n.to_string()),
        Value::Float(x) => out.push_str(&float(*x)),
        Value::Array(items) => {
            let mut list = List::new(out, '[', depth);
            for item in items {
                list.begin();
                list.item(item);
            }
            list.end(']');
        }
        Value::Object(pairs) => {
            let mut list = List::new(out, '{', depth);
            for (key, value) in pairs {
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

/// As serde_json writes a number that is not whole by its type.
#[cfg(not(target_arch = "wasm32"))]
fn float(x: f64) -> String {
    serde_json::Value::from(x).to_string()
}

#[cfg(target_arch = "wasm32")]
use crate::lean::float;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_serde_jsons() {
        let text = r#"{"a":[],"b":{},"c":[1,-2,1.5,1e-7,18446744073709551615,[true,false,null]],"d":{"e":"\"\\\n\r\tü"}}"#;
        let value = crate::json::parse(text).unwrap();
        assert_eq!(super::text(&value), text);
        assert_eq!(super::text(&"\u{1}\u{1f}".into()), "\"\\u0001\\u001f\"");
        let theirs: serde_json::Value = serde_json::from_str(text).unwrap();
        let Value::Object(pairs) = value else { unreachable!() };
        let entries: Vec<(&str, Value)> =
            pairs.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
        assert_eq!(object(&entries, true), format!("{theirs:#}"));
        assert_eq!(object(&entries, false), text);
    }
}
