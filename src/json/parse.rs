//! The parser. It accepts what serde_json accepts, refuses the rest with the same words at the same place,
//! and rounds numbers to the nearest f64.

use super::Value;
use crate::lean;

/// How deeply lists and objects may nest: the parser recurses, and so does whoever reads its values.
const MAX_DEPTH: usize = 127;

/// The value that `text` is. Of a key given twice the last value counts, in the place of the first.
///
/// # Errors
/// What is wrong, with line and column.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.value()?;
    parser.end()?;
    Ok(value)
}

/// The pairs of the object that `text` is, also those whose key is there twice; `expected` is the error
/// for any other value.
///
/// # Errors
/// What is wrong, with line and column.
pub(crate) fn pairs(text: &str, expected: &str) -> Result<Vec<(String, Value)>, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    match parser.skip_space() {
        Some(b'{') => {
            let pairs = parser.object()?;
            parser.end()?;
            return Ok(pairs);
        }
        // Refused before its items are looked at.
        Some(b'[') => {
            parser.at += 1;
            parser.at += usize::from(parser.skip_space() == Some(b']'));
        }
        _ => drop(parser.value()?),
    }
    Err(parser.before(expected))
}

struct Parser<'t> {
    text: &'t str,
    /// The next byte.
    at: usize,
    depth: usize,
}

const END_OF_VALUE: &str = "EOF while parsing a value";
const END_OF_STRING: &str = "EOF while parsing a string";
const SURROGATE: &str = "lone leading surrogate in hex escape";

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    /// Skips white space; the byte after it.
    fn skip_space(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    /// An error at the byte that was taken last.
    #[cold]
    fn before(&self, what: &str) -> String {
        let (mut line, mut column) = (1, 0);
        for &byte in self.text.as_bytes().iter().take(self.at) {
            column += 1;
            if byte == b'\n' {
                (line, column) = (line + 1, 0);
            }
        }
        format!("{what} at line {line} column {column}")
    }

    /// An error at the next byte.
    #[cold]
    fn here(&mut self, what: &str) -> String {
        self.next();
        self.before(what)
    }

    fn end(&mut self) -> Result<(), String> {
        match self.skip_space() {
            None => Ok(()),
            Some(_) => Err(self.here("trailing characters")),
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.skip_space() {
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'"') => self.string().map(Value::String),
            Some(b'[') => self.array().map(Value::Array),
            Some(b'{') => self.object().map(|pairs| Value::Object(fold(pairs))),
            Some(_) => Err(self.here("expected value")),
            None => Err(self.here(END_OF_VALUE)),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for expected in word.bytes() {
            match self.next() {
                None => return Err(self.before(END_OF_VALUE)),
                Some(byte) if byte != expected => return Err(self.before("expected ident")),
                Some(_) => {}
            }
        }
        Ok(value)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    /// An error unless a digit was just taken as the first of a part of a number.
    fn first_digit(&mut self) -> Result<u8, String> {
        match self.next() {
            Some(digit @ b'0'..=b'9') => Ok(digit),
            Some(_) => Err(self.before("invalid number")),
            None => Err(self.before(END_OF_VALUE)),
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let zero = self.first_digit()? == b'0';
        if zero && matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.here("invalid number"));
        }
        self.digits();
        let whole = self.at;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.first_digit()?;
            self.digits();
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.first_digit()?;
            self.digits();
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if self.at == whole {
            match text.parse() {
                Ok(n) if !negative => return Ok(Value::Unsigned(n)),
                _ => {}
            }
            match text.parse() {
                // -0 is a float.
                Ok(n) if n < 0 => return Ok(Value::Negative(n)),
                _ => {}
            }
        }
        let x = lean::parse_float(text);
        if x.is_finite() { Ok(Value::Float(x)) } else { Err(self.before("number out of range")) }
    }

    /// A string, from its first quote on.
    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        let mut start = self.at;
        loop {
            let end = self.at;
            let byte = self.next();
            if let Some(b'"' | b'\\') = byte {
                out.push_str(self.text.get(start..end).unwrap_or_default());
            }
            match byte {
                Some(b'"') => return Ok(out),
                Some(b'\\') => {
                    out.push(self.escape()?);
                    start = self.at;
                }
                Some(0..b' ') => {
                    let what = "control character (\\u0000-\\u001F) found while parsing a string";
                    return Err(self.before(what));
                }
                Some(_) => {}
                None => return Err(self.before(END_OF_STRING)),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.next() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            Some(_) => return Err(self.before("invalid escape")),
            None => return Err(self.before(END_OF_STRING)),
        })
    }

    /// What follows `\u`: four hexadecimal digits, or those of both halves of a surrogate pair.
    fn unicode(&mut self) -> Result<char, String> {
        let mut code = self.hex()?;
        if let 0xd800..0xdc00 = code {
            for expected in [b'\\', b'u'] {
                match self.next() {
                    None => return Err(self.before(END_OF_STRING)),
                    Some(byte) if byte == expected => {}
                    Some(_) => return Err(self.before("unexpected end of hex escape")),
                }
            }
            let second = self.hex()?;
            let 0xdc00..0xe000 = second else { return Err(self.before(SURROGATE)) };
            code = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
        }
        // Only a second half on its own is no character.
        char::from_u32(code).ok_or_else(|| self.before(SURROGATE))
    }

    fn hex(&mut self) -> Result<u32, String> {
        let Some(digits) = self.text.as_bytes().get(self.at..self.at + 4) else {
            self.at = self.text.len();
            return Err(self.before(END_OF_STRING));
        };
        self.at += 4;
        let mut code = 0;
        for &digit in digits {
            let digit = char::from(digit).to_digit(16);
            code = code * 16 + digit.ok_or_else(|| self.before("invalid escape"))?;
        }
        Ok(code)
    }

    /// Takes the bracket that opens a list or object.
    fn open(&mut self) -> Result<(), String> {
        if self.depth == MAX_DEPTH {
            return Err(self.here("recursion limit exceeded"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Whether another item follows; else takes the bracket that closes the list or object.
    fn another(&mut self, first: bool, close: u8, words: [&str; 2]) -> Result<bool, String> {
        match self.skip_space() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                match self.skip_space() {
                    Some(byte) if byte == close => Err(self.here("trailing comma")),
                    Some(_) => Ok(true),
                    None => Err(self.here(END_OF_VALUE)),
                }
            }
            Some(_) => Err(self.here(words[0])),
            None => Err(self.here(words[1])),
        }
    }

    fn array(&mut self) -> Result<Vec<Value>, String> {
        self.open()?;
        let mut items = Vec::new();
        let words = ["expected `,` or `]`", "EOF while parsing a list"];
        while self.another(items.is_empty(), b']', words)? {
            items.push(self.value()?);
        }
        Ok(items)
    }

    fn object(&mut self) -> Result<Vec<(String, Value)>, String> {
        self.open()?;
        let mut pairs = Vec::new();
        let words = ["expected `,` or `}`", "EOF while parsing an object"];
        while self.another(pairs.is_empty(), b'}', words)? {
            if self.peek() != Some(b'"') {
                return Err(self.here("key must be a string"));
            }
            let key = self.string()?;
            match self.skip_space() {
                Some(b':') => self.at += 1,
                Some(_) => return Err(self.here("expected `:`")),
                None => return Err(self.here(words[1])),
            }
            pairs.push((key, self.value()?));
        }
        Ok(pairs)
    }
}

/// Keeps of each key the first place and the last value.
fn fold(mut pairs: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let order = lean::order(pairs.len(), &|a, b| pairs[a].0.cmp(&pairs[b].0));
    let mut again = vec![false; pairs.len()];
    for two in order.windows(2).rev() {
        if pairs[two[0]].0 == pairs[two[1]].0 {
            pairs[two[0]].1 = std::mem::replace(&mut pairs[two[1]].1, Value::Null);
            again[two[1]] = true;
        }
    }
    let mut again = again.into_iter();
    pairs.retain(|_| again.next() == Some(false));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Theirs;

    fn theirs(value: Theirs) -> Value {
        match value {
            Theirs::Null => Value::Null,
            Theirs::Bool(b) => b.into(),
            Theirs::Number(n) => {
                let whole = n.as_u64().map(Value::from).or(n.as_i64().map(Value::from));
                whole.unwrap_or_else(|| n.as_f64().into())
            }
            Theirs::String(text) => text.into(),
            Theirs::Array(items) => items.into_iter().map(theirs).collect(),
            Theirs::Object(map) => {
                Value::Object(map.into_iter().map(|(k, v)| (k, theirs(v))).collect())
            }
        }
    }

    /// Without `float_roundtrip` serde_json's floats may be off by a few last bits.
    fn same(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Float(a), Value::Float(b)) => {
                a.to_bits() == b.to_bits() || (a - b).abs() <= 1e-14 * a.abs().max(b.abs())
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
            }
            (a, b) => a == b,
        }
    }

    fn agree(text: &str) {
        let expected = serde_json::from_str(text).map(theirs).map_err(|e| e.to_string());
        match (parse(text), expected) {
            (Ok(have), Ok(want)) => assert!(same(&have, &want), "{text}: {have:?}, not {want:?}"),
            (have, want) => assert_eq!(have, want, "{text}"),
        }
    }

    #[test]
    fn values_and_errors_are_serde_jsons() {
        let deep = |n: usize, open: &str, close: &str| open.repeat(n) + "1" + &close.repeat(n);
        for text in [
            "",
            " ",
            "null",
            "nul",
            "nulx",
            "t",
            "trux",
            "false ",
            "fals\n",
            "x",
            "\n\n x",
            "1 2",
            "[1",
            "[1 2]",
            "[1,",
            "[1,]",
            "[,]",
            "[]]",
            "[\n1,\n2 x]",
            "{",
            "{}",
            "{1:2}",
            "{\"a\"",
            "{\"a\" 1}",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{\"a\":1 \"b\"}",
            "{\"a\":1,2}",
            "{,}",
            "{\"a\":1}}",
            "{\"b\":1,\"a\":2,\"b\":3,\"c\":{\"x\":1,\"x\":[1]},\"a\":null,\"b\":4}",
            "0",
            "-0",
            "00",
            "01",
            "-",
            "-x",
            "-01",
            "1.",
            "1.x",
            "1.5",
            "1.5e",
            "1.5e+",
            "1.5e+x",
            "1e5",
            "1E-5",
            "-1e-7",
            "1e400",
            "-1e400",
            "1e-400",
            "0e999",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "0.1234567890123456789012345",
            "2.5.",
            "1e5e",
            "+1",
            "\"",
            "\"a",
            "\"a\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12",
            "\"\\u12g4\"",
            "\"\\u0041\\n\\r\\t\\b\\f\\/\\\\\\\"\"",
            "\"\\ud83d\\ude00 \u{fc}\"",
            "\"\\ud83d\"",
            "\"\\ud83dx\"",
            "\"\\ud83d\\n\"",
            "\"\\ud83d\\u0041\"",
            "\"\\ude00\"",
            "\"\\ud83d\\",
            "\"\\ud83d",
            "\"a\u{1}\"",
            "\"a\nb\"",
            "\"\u{7f}\u{fc}\"",
            "[\"\u{fc}\", x]",
            "\u{fc}",
            &deep(127, "[", "]"),
            &deep(128, "[", "]"),
            &deep(64, "[{\"a\":", "}]"),
            &deep(63, "{\"a\":[", "]}"),
        ] {
            agree(text);
        }
    }

    #[test]
    fn floats_are_the_nearest() {
        for text in ["0.1", "1e23", "8.5e-5", "2.2250738585072011e-308", "123456789012345678e-17"] {
            assert_eq!(parse(text), Ok(Value::Float(text.parse().unwrap())), "{text}");
        }
        assert_eq!(parse("-0").unwrap().as_f64().map(f64::to_bits), Some((-0.0f64).to_bits()));
    }

    #[test]
    fn pairs_keep_what_is_there_twice() {
        let found = pairs(" {\"a\":1,\"a\":2} ", "an object").unwrap();
        assert_eq!(found, [("a".to_owned(), 1u64.into()), ("a".to_owned(), 2u64.into())]);
        let error = |text| pairs(text, "an object").unwrap_err();
        assert_eq!(error("{} x"), "trailing characters at line 1 column 4");
        assert_eq!(error("[ ]"), "an object at line 1 column 3");
        assert_eq!(error("\n12"), "an object at line 2 column 2");
        assert_eq!(error("nux"), "expected ident at line 1 column 3");
        assert_eq!(error(""), "EOF while parsing a value at line 1 column 0");
    }

    proptest! {
        #[test]
        fn arbitrary_text(text in "[\\[\\]{}:, \n\"\\\\u0-9a-f.eE+\\-tr]{0,24}") {
            agree(&text);
        }

        #[test]
        fn broken_documents(at in 0usize..80, to in "[\\[\\]{}:, \n\"\\\\0-9a.e\\-]{0,3}") {
            let text = "{\"a\": [1, -2.5e3, true, null, {}], \"b\\u00e9\": {\"c\": \"d\\n\", \"a\": []}, \"a\": false }";
            let at = at.min(text.len());
            agree(&text[..at]);
            agree(&format!("{}{to}{}", &text[..at], &text[at..]));
            agree(&format!("{}{to}{}", &text[..at], text.get(at + 1..).unwrap_or("")));
        }
    }
}
