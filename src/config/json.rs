//! Reading diffusers' flat JSON objects key by key.
//!
//! This does not use serde's derive, because a missing key and a null mean different things here, and because every
//! error names its key.

use super::ConfigError;
use crate::foreign::foreign;
use serde_json::{Map, Value};
use std::collections::HashSet;

type Result<T> = std::result::Result<T, ConfigError>;

/// The keys of one file.
pub(super) struct Keys<'a> {
    file: &'a str,
    entries: Map<String, Value>,
    overridden: HashSet<String>,
}

impl<'a> Keys<'a> {
    /// Parses `text`. Keys named in `_use_default_values` are dropped: diffusers lists there what the author never set,
    /// and takes the constructor's default instead of the file's value.
    pub fn parse(text: &str, file: &'a str) -> Result<Self> {
        let mut entries = object(text, file)?;
        if let Some(Value::Array(names)) = entries.get("_use_default_values").cloned() {
            let unset: HashSet<&str> = names.iter().filter_map(Value::as_str).collect();
            entries.retain(|key, _| !unset.contains(key.as_str()));
        }
        Ok(Self { file, entries, overridden: HashSet::new() })
    }

    /// Replaces some of the file's values, before any is checked.
    pub fn with(mut self, overrides: &Map<String, Value>) -> Self {
        self.overridden.extend(overrides.keys().cloned());
        self.entries.extend(overrides.clone());
        self
    }

    /// Where a key was given, for errors: the file, or the flag that overrides it.
    fn origin(&self, key: &str) -> String {
        match self.overridden.contains(key) {
            true => format!("--{}", key.replace('_', "-")),
            false => self.file.to_owned(),
        }
    }

    /// The value of a key; `None` when it is missing, `Some(Null)` when it is null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// Whether the file has this key.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// All keys with their values, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.entries.iter()
    }

    /// `key`, or its name in diffusers before 0.3 if the file has only that.
    pub fn name<'k>(&self, key: &'k str, old: &'k str) -> &'k str {
        if !self.has(key) && self.has(old) { old } else { key }
    }

    /// A value as written in the file, shortened.
    pub fn found(&self, key: &str) -> String {
        self.get(key).map_or_else(|| "missing".to_owned(), show)
    }

    /// The error for a value that should be something else.
    pub fn wrong(&self, key: &str, expected: &str) -> ConfigError {
        self.wrong_value(key, self.found(key), expected)
    }

    /// The same for an item of a list.
    pub fn wrong_item(&self, key: &str, index: usize, item: &Value, expected: &str) -> ConfigError {
        self.wrong_value(&format!("{key}[{index}]"), shorten(&item.to_string()), expected)
    }

    fn wrong_value(&self, key: &str, found: String, expected: &str) -> ConfigError {
        let (key, expected) = (key.to_owned(), expected.to_owned());
        ConfigError::Value { file: self.origin(&key), key, found, expected }
    }

    /// The error for a value that contradicts another key. `other` is a clause.
    pub fn contradiction(&self, key: &str, found: String, other: String) -> ConfigError {
        ConfigError::Contradiction { file: self.origin(key), key: key.to_owned(), found, other }
    }

    /// The error for something that diffusers supports and we do not.
    pub fn unsupported(&self, key: &str, found: &str, remedy: &'static str) -> ConfigError {
        let found = format!("\"{}\"", shorten(found));
        ConfigError::Unsupported { file: self.origin(key), key: key.to_owned(), found, remedy }
    }

    /// The error for a number larger than anyone can mean.
    pub fn too_large(&self, key: &str, need: u64, max: usize) -> ConfigError {
        ConfigError::TooLarge { file: self.origin(key), key: key.to_owned(), need, max: max as u64 }
    }

    /// An integer in `min..=max`, or null; `default` if the key is missing.
    pub fn optional_integer(
        &self,
        key: &str,
        default: Option<usize>,
        min: usize,
        max: usize,
    ) -> Result<Option<usize>> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(None),
            Some(value) => self.count(key, value, min, max).map(Some),
        }
    }

    /// An integer in `min..=max`.
    pub fn integer(&self, key: &str, default: usize, min: usize, max: usize) -> Result<usize> {
        self.get(key).map_or(Ok(default), |value| self.count(key, value, min, max))
    }

    /// `value`, found under `key`, as an integer in `min..=max`.
    pub fn count(&self, key: &str, value: &Value, min: usize, max: usize) -> Result<usize> {
        let need = value.as_u64().filter(|&n| n >= min as u64).ok_or_else(|| {
            self.wrong_value(key, show(value), &format!("a whole number from {min} on"))
        })?;
        let fits = usize::try_from(need).ok().filter(|&n| n <= max);
        fits.ok_or_else(|| self.too_large(key, need, max))
    }

    /// A number for which `ok` holds. `expected` describes such numbers.
    pub fn number(
        &self,
        key: &str,
        default: f64,
        ok: fn(f64) -> bool,
        expected: &str,
    ) -> Result<f64> {
        let Some(value) = self.get(key) else { return Ok(default) };
        real(value).filter(|&x| ok(x)).ok_or_else(|| self.wrong(key, expected))
    }

    /// A number above 0. Infinity means no limit; for pictures the largest f32 has the same effect.
    pub fn limit(&self, key: &str, default: f64) -> Result<f64> {
        let limit = self.number(key, default, |x| x > 0.0, "a number above 0")?;
        Ok(limit.min(f32::MAX.into()))
    }

    /// A flag. Null, 0 and 1 mean what they mean in Python.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => match value.as_u64() {
                Some(0) => Ok(false),
                Some(1) => Ok(true),
                _ => Err(self.wrong(key, "true or false")),
            },
        }
    }

    /// A string.
    pub fn text<'s>(&'s self, key: &str, default: &'s str) -> Result<&'s str> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| self.wrong(key, "a string")),
        }
    }

    /// A string or null.
    pub fn optional_text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(key, "").map(Some),
        }
    }

    /// What one of several names means. If the key is missing, it is the first one. `expected` lists the names.
    pub fn choice<T: Copy>(&self, key: &str, names: &[(&str, T)], expected: &str) -> Result<T> {
        named(names, self.text(key, names[0].0)?).ok_or_else(|| self.wrong(key, expected))
    }

    /// A list.
    pub fn list(&self, key: &str, expected: &str) -> Result<Option<&[Value]>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.wrong(key, expected)),
        }
    }
}

/// The object that a file holds.
fn object(text: &str, file: &str) -> Result<Map<String, Value>> {
    let error = |detail: String| ConfigError::Json { file: file.to_owned(), detail };
    if let Some(looks_like) = foreign(text.as_bytes()) {
        return Err(ConfigError::NotJson { file: file.to_owned(), looks_like });
    }
    // Editors on Windows put a byte-order mark first.
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(error("it is empty".to_owned()));
    }
    let parsed = serde_json::from_str(text).or_else(|strict| {
        let quoted = quote_non_finite(text).ok_or(strict)?;
        serde_json::from_str(&quoted)
    });
    match parsed {
        Ok(Value::Object(entries)) => Ok(entries),
        Ok(other) => Err(error(format!("found {}", show(&other)))),
        Err(e) => Err(error(match hint(text, &e) {
            Some(hint) => format!("{e}: {hint}"),
            None => e.to_string(),
        })),
    }
}

/// Python writes these numbers, but JSON does not have them.
const NON_FINITE: [(&str, f64); 3] =
    [("-Infinity", f64::NEG_INFINITY), ("Infinity", f64::INFINITY), ("NaN", f64::NAN)];

/// `text` with its non-finite numbers as strings, which [`real`] reads. `None` if there are none.
fn quote_non_finite(text: &str) -> Option<String> {
    let mut out = String::new();
    let (mut rest, mut in_string) = (text, false);
    while let Some(c) = rest.chars().next() {
        let number = NON_FINITE.iter().find(|(word, _)| !in_string && rest.starts_with(word));
        let taken = match number {
            Some((word, _)) => word.len(),
            // An escaped quote does not end a string.
            None if in_string && c == '\\' => {
                rest.char_indices().nth(2).map_or(rest.len(), |(i, _)| i)
            }
            None => c.len_utf8(),
        };
        in_string ^= c == '"';
        let quote = if number.is_some() { "\"" } else { "" };
        out.extend([quote, &rest[..taken], quote]);
        rest = &rest[taken..];
    }
    (out.len() > text.len()).then_some(out)
}

/// A number in Python's notation.
fn real(value: &Value) -> Option<f64> {
    let named = |text: &str| NON_FINITE.iter().find(|(word, _)| *word == text).map(|(_, x)| *x);
    value.as_f64().or_else(|| named(value.as_str()?))
}

/// What people write that is not quite JSON, recognised by the text where the parser stopped.
fn hint(text: &str, error: &serde_json::Error) -> Option<&'static str> {
    let line = text.lines().nth(error.line().saturating_sub(1))?.as_bytes();
    let rest = line.get(error.column().saturating_sub(1)..)?;
    let word = |word: &str| rest.starts_with(word.as_bytes());
    if error.to_string().starts_with("trailing comma") {
        Some("JSON has no comma after the last item")
    } else if word("//") || word("/*") || word("#") {
        Some("JSON has no comments")
    } else if word("'") {
        Some("JSON has double quotes only; Python's json.dumps writes them")
    } else if word("True") || word("False") || word("None") {
        Some("JSON has true, false and null; Python's json.dumps writes them")
    } else if error.to_string().starts_with("trailing characters") {
        Some("more follows the first value; the file should hold one object")
    } else if error.line() == 1
        && line.contains(&b':')
        && line.first().is_some_and(u8::is_ascii_alphabetic)
    {
        Some("it looks like YAML; the file should be JSON as diffusers writes it")
    } else {
        None
    }
}

/// What a name means.
pub(super) fn named<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// The (first) name of a value.
pub(super) fn name_of<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

/// A JSON value for an error message.
fn show(value: &Value) -> String {
    match value {
        // This does not descend, because a hostile file may nest deeply or run to megabytes.
        Value::Array(items) if items.len() > 16 => format!("a list of {} items", items.len()),
        Value::Object(entries) => format!("an object of {} keys", entries.len()),
        Value::String(text) if real(value).is_some() => text.clone(),
        _ => shorten(&value.to_string()),
    }
}

/// At most 80 characters of a text.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
