//! Reading diffusers' flat JSON objects key by key.
//!
//! Not by serde's derive: a missing key and a null mean different things here, and every error names its key.

use super::ConfigError;
use serde_json::{Map, Value};
use std::collections::HashSet;

type Result<T> = std::result::Result<T, ConfigError>;

/// The keys of one file.
pub(super) struct Keys<'a> {
    file: &'a str,
    entries: Map<String, Value>,
}

impl<'a> Keys<'a> {
    /// Parses `text`. Keys named in `_use_default_values` are dropped: diffusers lists there what the author never set,
    /// and takes the constructor's default whatever the file says.
    pub fn parse(text: &str, file: &'a str) -> Result<Self> {
        let error = |detail: String| ConfigError::Json { file: file.to_owned(), detail };
        let mut entries = match serde_json::from_str(text).map_err(|e| error(e.to_string()))? {
            Value::Object(entries) => entries,
            other => return Err(error(format!("found {}", show(&other)))),
        };
        if let Some(Value::Array(names)) = entries.get("_use_default_values").cloned() {
            let unset: HashSet<&str> = names.iter().filter_map(Value::as_str).collect();
            entries.retain(|key, _| !unset.contains(key.as_str()));
        }
        Ok(Self { file, entries })
    }

    /// The file's name, for errors.
    pub fn file(&self) -> String {
        self.file.to_owned()
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

    /// `key`, or its name in diffusers before 0.3 where the file has only that.
    pub fn name<'k>(&self, key: &'k str, old: &'k str) -> &'k str {
        if !self.has(key) && self.has(old) { old } else { key }
    }

    /// A value as the file has it, shortened.
    pub fn found(&self, key: &str) -> String {
        self.get(key).map_or_else(|| "missing".to_owned(), show)
    }

    /// The error for a value that should have been something else.
    pub fn wrong(&self, key: &str, expected: &str) -> ConfigError {
        self.wrong_value(key, self.found(key), expected)
    }

    /// The same for an item of a list.
    pub fn wrong_item(&self, key: &str, index: usize, item: &Value, expected: &str) -> ConfigError {
        self.wrong_value(&format!("{key}[{index}]"), shorten(&item.to_string()), expected)
    }

    fn wrong_value(&self, key: &str, found: String, expected: &str) -> ConfigError {
        let (key, expected) = (key.to_owned(), expected.to_owned());
        ConfigError::Value { file: self.file(), key, found, expected }
    }

    /// The error for a value that another key excludes; `other` is a clause.
    pub fn contradiction(&self, key: &str, found: String, other: String) -> ConfigError {
        ConfigError::Contradiction { file: self.file(), key: key.to_owned(), found, other }
    }

    /// The error for something that diffusers has and we do not.
    pub fn unsupported(&self, key: &str, found: &str, remedy: &'static str) -> ConfigError {
        let found = format!("\"{}\"", shorten(found));
        ConfigError::Unsupported { file: self.file(), key: key.to_owned(), found, remedy }
    }

    /// The error for more than anyone can mean.
    pub fn too_large(&self, key: &str, need: u64, max: usize) -> ConfigError {
        ConfigError::TooLarge { file: self.file(), key: key.to_owned(), need, max: max as u64 }
    }

    /// An integer in `min..=max`, or null; `default` where the key is missing.
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

    /// A number for which `ok` holds; `expected` describes those.
    pub fn number(
        &self,
        key: &str,
        default: f64,
        ok: fn(f64) -> bool,
        expected: &str,
    ) -> Result<f64> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_f64().filter(|&x| ok(x)).ok_or_else(|| self.wrong(key, expected))
    }

    /// A flag. Null, 0 and 1 count as Python takes them.
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

    /// What one of several names means, the first one where the key is missing; `expected` lists them.
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
        // Written without descending: a hostile file may nest deeply or run to megabytes.
        Value::Array(items) if items.len() > 16 => format!("a list of {} items", items.len()),
        Value::Object(entries) => format!("an object of {} keys", entries.len()),
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
