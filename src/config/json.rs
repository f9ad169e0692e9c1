//! Reading diffusers' flat JSON objects key by key.
//!
//! By hand rather than by serde's derive: a missing key and a null mean different things here, and every
//! error names its key.

use super::ConfigError;
use crate::json::{self, Value};
use crate::lean;

/// The keys of one file.
pub(super) struct Keys<'a> {
    file: &'a str,
    entries: Vec<(String, Value)>,
}

impl<'a> Keys<'a> {
    /// Parses `text`. Keys named in `_use_default_values` are dropped: diffusers lists there what the
    /// author never set, and takes the constructor's default whatever the file says.
    pub fn parse(text: &str, file: &'a str) -> Result<Self, ConfigError> {
        let error = |detail: String| ConfigError::Json { file: file.to_owned(), detail };
        let value = json::parse(text).map_err(error)?;
        let Value::Object(mut entries) = value else {
            return Err(error(format!("found {}", show(&value))));
        };
        let unset: Vec<Value> = match entries.iter().find(|(key, _)| key == "_use_default_values") {
            Some((_, Value::Array(names))) => names.clone(),
            _ => Vec::new(),
        };
        let unset: Vec<&str> = unset.iter().filter_map(Value::as_str).collect();
        let order = lean::order(unset.len(), &|a, b| unset[a].cmp(unset[b]));
        entries.retain(|(key, _)| order.binary_search_by(|&i| unset[i].cmp(key.as_str())).is_err());
        Ok(Self { file, entries })
    }

    /// The file's name, for errors.
    pub fn file(&self) -> String {
        self.file.to_owned()
    }

    /// The value of a key; `None` when it is missing, `Some(Null)` when it is null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Whether the file has this key.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.entries.iter().map(|(key, value)| (key, value))
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
        ConfigError::Value {
            file: self.file(),
            key: key.to_owned(),
            found: self.found(key),
            expected: expected.to_owned(),
        }
    }

    /// The error for a value that another key excludes; `other` is a clause.
    pub fn contradiction(&self, key: &str, other: String) -> ConfigError {
        let (file, key, found) = (self.file(), key.to_owned(), self.found(key));
        ConfigError::Contradiction { file, key, found, other }
    }

    /// The error for something diffusers has and we have not.
    pub fn unsupported(&self, key: &str, found: &str, remedy: &'static str) -> ConfigError {
        let (file, key) = (self.file(), key.to_owned());
        ConfigError::Unsupported { file, key, found: format!("\"{}\"", shorten(found)), remedy }
    }

    /// An integer in `min..=max`, or null where `default` is `None`-able: see [`Keys::integer`].
    pub fn optional_integer(
        &self,
        key: &str,
        default: Option<usize>,
        min: usize,
        max: usize,
    ) -> Result<Option<usize>, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(None),
            Some(value) => self.count(key, value, min, max).map(Some),
        }
    }

    /// An integer in `min..=max`.
    pub fn integer(
        &self,
        key: &str,
        default: usize,
        min: usize,
        max: usize,
    ) -> Result<usize, ConfigError> {
        self.get(key).map_or(Ok(default), |value| self.count(key, value, min, max))
    }

    /// `value`, found under `key`, as an integer in `min..=max`.
    pub fn count(
        &self,
        key: &str,
        value: &Value,
        min: usize,
        max: usize,
    ) -> Result<usize, ConfigError> {
        let need = value.as_u64().filter(|&n| n >= min as u64).ok_or_else(|| {
            let (file, key, found) = (self.file(), key.to_owned(), show(value));
            ConfigError::Value {
                file,
                key,
                found,
                expected: format!("a whole number from {min} on"),
            }
        })?;
        match usize::try_from(need) {
            Ok(n) if n <= max => Ok(n),
            _ => Err(ConfigError::TooLarge {
                file: self.file(),
                key: key.to_owned(),
                need,
                max: max as u64,
            }),
        }
    }

    /// A number for which `ok` holds; `expected` describes those.
    pub fn number(
        &self,
        key: &str,
        default: f64,
        ok: fn(f64) -> bool,
        expected: &str,
    ) -> Result<f64, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => {
                value.as_f64().filter(|&x| ok(x)).ok_or_else(|| self.wrong(key, expected))
            }
        }
    }

    /// A flag. Null, 0 and 1 count as Python takes them.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(value) => match value.as_u64() {
                Some(n @ (0 | 1)) => Ok(n == 1),
                _ => Err(self.wrong(key, "true or false")),
            },
        }
    }

    /// A string.
    pub fn text<'s>(&'s self, key: &str, default: &'s str) -> Result<&'s str, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::String(s)) => Ok(s),
            Some(_) => Err(self.wrong(key, "a string")),
        }
    }

    /// A string or null.
    pub fn optional_text(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(key, "").map(Some),
        }
    }

    /// A list.
    pub fn list(&self, key: &str, expected: &str) -> Result<Option<&[Value]>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.wrong(key, expected)),
        }
    }
}

/// A JSON value for an error message.
fn show(value: &Value) -> String {
    match value {
        // Written without descending: a hostile file may nest deeply or run to megabytes.
        Value::Array(items) if items.len() > 16 => format!("a list of {} items", items.len()),
        Value::Object(pairs) => format!("an object of {} keys", pairs.len()),
        _ => shorten(&json::text(value)),
    }
}

/// At most 80 characters of a text.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
