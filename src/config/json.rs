//! Reading diffusers' flat JSON objects key by key.
//!
//! By hand rather than by serde's derive: a missing key and a null mean different things here, and every
//! error names its key. The first error is kept and asked for at the end ([`Keys::check`]); whatever is
//! read after it is of no consequence.

use super::ConfigError;
use crate::json::{self, Value};
use crate::lean;
use std::cell::RefCell;

/// The keys of one file.
pub(super) struct Keys<'a> {
    file: &'a str,
    entries: Vec<(String, Value)>,
    error: RefCell<Option<ConfigError>>,
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
        Ok(Self { file, entries, error: RefCell::new(None) })
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

    /// Keeps an error, unless there is one.
    pub fn fail(&self, error: ConfigError) {
        self.error.borrow_mut().get_or_insert(error);
    }

    /// Nothing, if all that was read so far was right.
    ///
    /// # Errors
    /// The first thing that was wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Something is wrong with a value that should have been something else.
    pub fn wrong(&self, key: &str, expected: &str) {
        self.wrong_value(key, self.found(key), expected);
    }

    /// The same of an item of a list.
    pub fn wrong_item(&self, key: &str, index: usize, item: &Value, expected: &str) {
        self.wrong_value(&format!("{key}[{index}]"), shorten(&json::text(item)), expected);
    }

    fn wrong_value(&self, key: &str, found: String, expected: &str) {
        let (file, key, expected) = (self.file(), key.to_owned(), expected.to_owned());
        self.fail(ConfigError::Value { file, key, found, expected });
    }

    /// A value that another key excludes; `other` is a clause.
    pub fn contradiction(&self, key: &str, found: String, other: String) {
        let (file, key) = (self.file(), key.to_owned());
        self.fail(ConfigError::Contradiction { file, key, found, other });
    }

    /// Something diffusers has and we have not.
    pub fn unsupported(&self, key: &str, found: &str, remedy: &'static str) {
        let (file, key) = (self.file(), key.to_owned());
        let found = format!("\"{}\"", shorten(found));
        self.fail(ConfigError::Unsupported { file, key, found, remedy });
    }

    /// More than anyone can mean.
    pub fn too_large(&self, key: &str, need: u64, max: usize) {
        let (file, key, max) = (self.file(), key.to_owned(), max as u64);
        self.fail(ConfigError::TooLarge { file, key, need, max });
    }

    /// An integer in `min..=max`, or null where `default` is `None`-able: see [`Keys::integer`].
    pub fn optional_integer(
        &self,
        key: &str,
        default: Option<usize>,
        min: usize,
        max: usize,
    ) -> Option<usize> {
        match self.get(key) {
            None => default,
            Some(Value::Null) => None,
            Some(value) => Some(self.count(key, value, min, max)),
        }
    }

    /// An integer in `min..=max`.
    pub fn integer(&self, key: &str, default: usize, min: usize, max: usize) -> usize {
        self.get(key).map_or(default, |value| self.count(key, value, min, max))
    }

    /// `value`, found under `key`, as an integer in `min..=max`.
    pub fn count(&self, key: &str, value: &Value, min: usize, max: usize) -> usize {
        let Some(need) = value.as_u64().filter(|&n| n >= min as u64) else {
            self.wrong_value(key, show(value), &format!("a whole number from {min} on"));
            return min;
        };
        match usize::try_from(need) {
            Ok(n) if n <= max => n,
            _ => {
                self.too_large(key, need, max);
                min
            }
        }
    }

    /// A number for which `ok` holds; `expected` describes those.
    pub fn number(&self, key: &str, default: f64, ok: fn(f64) -> bool, expected: &str) -> f64 {
        let Some(value) = self.get(key) else { return default };
        value.as_f64().filter(|&x| ok(x)).unwrap_or_else(|| {
            self.wrong(key, expected);
            default
        })
    }

    /// A flag. Null, 0 and 1 count as Python takes them.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            None => default,
            Some(Value::Null | Value::Unsigned(0)) => false,
            Some(Value::Unsigned(1)) => true,
            Some(Value::Bool(b)) => *b,
            Some(_) => {
                self.wrong(key, "true or false");
                default
            }
        }
    }

    /// A string.
    pub fn text<'s>(&'s self, key: &str, default: &'s str) -> &'s str {
        match self.get(key) {
            None => default,
            Some(Value::String(s)) => s,
            Some(_) => {
                self.wrong(key, "a string");
                default
            }
        }
    }

    /// A string or null.
    pub fn optional_text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            None | Some(Value::Null) => None,
            Some(_) => Some(self.text(key, "")),
        }
    }

    /// What one of several names stands for, the first one where the key is missing; `expected` lists them.
    pub fn choice<T: Copy>(&self, key: &str, names: &[(&str, T)], expected: &str) -> T {
        let name = self.text(key, names[0].0);
        named(names, name).unwrap_or_else(|| {
            self.wrong(key, expected);
            names[0].1
        })
    }

    /// A list.
    pub fn list(&self, key: &str, expected: &str) -> Option<&[Value]> {
        match self.get(key) {
            None => None,
            Some(Value::Array(items)) => Some(items),
            Some(_) => {
                self.wrong(key, expected);
                None
            }
        }
    }
}

/// What a name stands for.
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
        Value::Object(pairs) => format!("an object of {} keys", pairs.len()),
        _ => shorten(&json::text(value)),
    }
}

/// At most 80 characters of a text.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
    }
}
