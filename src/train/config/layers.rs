//! Settings in layers: a preset, a file over it, flags over the file.

use super::nearest::nearest;
use super::{Config, Data, Flag, SettingError, Weighting};
use crate::train::dataset::builtin;
use crate::train::presets;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// A setting that is given outside of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layer {
    /// How it was given, for errors: `--set`, `--learning-rate`.
    pub at: String,
    /// `optimizer.lr`
    pub key: String,
    /// TOML. Anything else is taken as a string.
    pub value: String,
}

impl Layer {
    /// From `KEY=VALUE`, as in `--set`.
    ///
    /// # Errors
    /// [`SettingError::Assignment`].
    pub fn set(text: &str) -> Result<Self, SettingError> {
        let wrong = || SettingError::Assignment { text: text.to_owned() };
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if key.is_empty() {
            return Err(wrong());
        }
        Ok(Self { at: "--set".to_owned(), key, value })
    }

    /// The value as text: the contents of a TOML string, or the value as it is.
    pub fn text(&self) -> String {
        let parsed = format!("x = {}", self.value).parse::<Table>().ok();
        let text = parsed.as_ref().and_then(|table| table.get("x")).and_then(Value::as_str);
        text.unwrap_or(&self.value).to_owned()
    }
}

/// A setting that differs between two configurations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The setting.
    pub key: String,
    /// Its value before, as TOML.
    pub before: String,
    /// Its value after, as TOML.
    pub after: String,
}

impl Config {
    /// The settings of `preset` (if it is `None`, of the file's preset or of `default`), with those of a file `(name,
    /// text)` and then `layers` over them. A preset's warm-up that is longer than the run becomes a tenth of it.
    /// `loss.snr_gamma` without `loss.weighting` turns min-SNR weighting on.
    ///
    /// # Errors
    /// [`SettingError`], which says where the wrong setting was given.
    pub fn resolve(
        preset: Option<&str>,
        file: Option<(&str, &str)>,
        layers: &[Layer],
        default: &str,
    ) -> Result<Self, SettingError> {
        let mut over = Table::new();
        let mut origin = BTreeMap::new();
        if let Some((name, text)) = file {
            let at = |offset: usize| {
                let line = text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
                format!("{name}, line {line}")
            };
            add(&mut over, &mut origin, text, &at)?;
        }
        // A gamma is given to be used, as with diffusers' --snr_gamma.
        let given = |key: &str| layers.iter().any(|layer| layer.key == key);
        let by_file =
            origin.contains_key("loss.snr_gamma") && !origin.contains_key("loss.weighting");
        let weighted = (by_file || given("loss.snr_gamma")) && !given("loss.weighting");
        // Settings that are strings, since a folder may be called 2024.
        let mut texts = BTreeMap::new();
        flatten(&table(&Self::default())?, "", &mut texts);
        texts.retain(|_, value| value.starts_with(['"', '\'']));
        for layer in layers {
            // A dotted key is TOML too. A value that is not TOML is a string.
            let Layer { at, key, value } = layer;
            let mut text = format!("{key} = {value}");
            let quoted = value.starts_with(['"', '\'']);
            if DeTable::parse(&text).is_err() || (texts.contains_key(key) && !quoted) {
                text = format!("{key} = {}", Value::String(value.clone()));
            }
            add(&mut over, &mut origin, &text, &|_| at.clone())?;
        }
        let named = match (preset, over.get("preset").and_then(Value::as_str)) {
            (Some(name), _) => Some((name.to_owned(), "--preset")),
            (None, Some(name)) if !name.is_empty() => {
                Some((name.to_owned(), origin.get("preset").map_or("", String::as_str)))
            }
            _ => None,
        };
        let nobody_chose = named.is_none();
        let (name, at) = named.unwrap_or_else(|| (default.to_owned(), "--preset"));
        let mut base = presets::find(&name).ok_or_else(|| {
            let near = nearest(&name, presets::NAMES.iter().copied());
            let remedy = remedy(near, "the presets", presets::NAMES);
            SettingError::Preset { at: at.to_owned(), name: name.clone(), remedy }
        })?;
        if nobody_chose
            && origin.contains_key("data.path")
            && !path_of(&over).starts_with(builtin::PREFIX)
        {
            // The user's own data are learned as they are; the preset's settings for its data do not apply.
            base.data = Data::default();
        }
        if base.data.channels == 3
            && origin.contains_key("data.path")
            && !path_of(&over).starts_with(builtin::PREFIX)
        {
            // Gray data stay gray, also under a preset that was made for pictures in colour.
            base.data.channels = 0;
        }
        let widths = over.get("model").and_then(|model| model.get("block_out_channels"));
        if let Some(levels) = widths.and_then(Value::as_array).map(Vec::len)
            && !origin.contains_key("model.down_block_types")
            && !origin.contains_key("model.up_block_types")
        {
            base.model.set_levels(levels);
        }
        let mut table = table(&base)?;
        overlay(&mut table, over);
        table.insert("preset".to_owned(), name.clone().into());
        let mut config = Self::deserialize(table).map_err(|e| SettingError::Toml {
            at: "settings".to_owned(),
            detail: e.message().to_owned(),
        })?;
        if weighted {
            config.loss.weighting = Weighting::MinSnr;
        }
        config
            .check(&|key| origin.get(key).cloned().unwrap_or_else(|| format!("preset {name}")))?;
        Ok(config)
    }

    /// A TOML file that [`Config::resolve`] reads back as these settings.
    ///
    /// # Errors
    /// [`SettingError::Toml`] for a number that TOML does not have, such as a seed of 2^63.
    pub fn to_toml(&self) -> Result<String, SettingError> {
        let version = env!("CARGO_PKG_VERSION");
        let text = toml::to_string(self).map_err(|e| unwritable(&e))?;
        Ok(format!("# The settings of this run, by unnoise {version}.\n\n{text}"))
    }

    /// What changes from these settings to others.
    ///
    /// # Errors
    /// As for [`Config::to_toml`].
    pub fn changes(&self, to: &Self) -> Result<Vec<Change>, SettingError> {
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        flatten(&table(self)?, "", &mut before);
        flatten(&table(to)?, "", &mut after);
        let differs = |(key, after): (&String, &String)| {
            let before = before.get(key).filter(|before| *before != after)?;
            Some(Change { key: key.clone(), before: before.clone(), after: after.clone() })
        };
        Ok(after.iter().filter_map(differs).collect())
    }
}

/// The path of the data in the settings.
fn path_of(over: &Table) -> &str {
    let path = over.get("data").and_then(|data| data.get("path"));
    path.and_then(Value::as_str).unwrap_or_default()
}

fn table(config: &Config) -> Result<Table, SettingError> {
    Table::try_from(config).map_err(|e| unwritable(&e))
}

fn unwritable(error: &toml::ser::Error) -> SettingError {
    SettingError::Toml { at: "settings".to_owned(), detail: error.to_string() }
}

/// Every setting by its dotted key.
fn flatten(table: &Table, prefix: &str, out: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => flatten(inner, &format!("{prefix}{key}."), out),
            other => drop(out.insert(format!("{prefix}{key}"), other.to_string())),
        }
    }
}

fn overlay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => overlay(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

/// A setting in a text: its key, and where its value is.
type Entry = (String, Range<usize>);

/// Lays a text over `under`, after checking that it contains only settings of the right types. `at` turns an offset in
/// the text into a place for messages.
fn add(
    under: &mut Table,
    origin: &mut BTreeMap<String, String>,
    text: &str,
    at: &dyn Fn(usize) -> String,
) -> Result<(), SettingError> {
    let syntax = |e: toml::de::Error| SettingError::Toml {
        at: at(e.span().map_or(0, |span| span.start)),
        detail: e.message().trim_end_matches('.').replace('\n', ", "),
    };
    let parsed = DeTable::parse(text).map_err(syntax)?;
    let mut entries = Vec::new();
    known(parsed.get_ref(), &table(&Config::default())?, "", at, &mut entries)?;
    let typed = toml::from_str::<Config>(text).map(drop);
    typed.map_err(|e| {
        let start = e.span().map_or(0, |span| span.start);
        let key = entries.iter().find(|(_, span)| span.contains(&start));
        let key = key.map_or_else(|| "settings".to_owned(), |(key, _)| key.clone());
        SettingError::Type { at: at(start), key, detail: plain(e.message()) }
    })?;
    overlay(under, text.parse::<Table>().map_err(syntax)?);
    origin.extend(entries.into_iter().map(|(key, span)| (key, at(span.start))));
    Ok(())
}

/// Collects the settings of a table, and refuses those that are not in `schema`.
fn known(
    table: &DeTable<'_>,
    schema: &Table,
    prefix: &str,
    at: &dyn Fn(usize) -> String,
    entries: &mut Vec<Entry>,
) -> Result<(), SettingError> {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        match (schema.get(name.get_ref().as_ref()), value.get_ref()) {
            (None, _) => {
                let at = at(name.span().start);
                let remedy = suggest(name.get_ref(), prefix, schema)?;
                return Err(SettingError::Unknown { at, key, remedy });
            }
            (Some(Value::Table(schema)), DeValue::Table(inner)) => {
                known(inner, schema, &format!("{key}."), at, entries)?;
            }
            (Some(Value::Table(_)), other) => {
                let detail = format!("it is a section, not {}", other.type_str());
                return Err(SettingError::Type { at: at(value.span().start), key, detail });
            }
            _ => entries.push((key, value.span())),
        }
    }
    Ok(())
}

/// What an unknown key may mean: a setting of another section, diffusers' name of one, or a typing error in this
/// section or another.
fn suggest(name: &str, prefix: &str, schema: &Table) -> Result<String, SettingError> {
    let mut all = BTreeMap::new();
    flatten(&table(&Config::default())?, "", &mut all);
    let last = |key: &'_ str| key.rsplit('.').next().is_some_and(|last| last == name);
    let elsewhere = || all.keys().map(String::as_str).find(|key| last(key));
    let here =
        || nearest(name, schema.keys().map(String::as_str)).map(|key| format!("{prefix}{key}"));
    let slip = || {
        let near = nearest(name, all.keys().filter_map(|key| key.rsplit('.').next()))?;
        all.keys().find(|key| key.rsplit('.').next() == Some(near)).cloned()
    };
    let found =
        Flag::key_of(name).or_else(elsewhere).map(str::to_owned).or_else(here).or_else(slip);
    let keys: Vec<&str> = schema.keys().map(String::as_str).collect();
    let of = match prefix.trim_end_matches('.') {
        "" => "the sections".to_owned(),
        section => format!("those of [{section}]"),
    };
    Ok(remedy(found.as_deref(), &of, &keys))
}

fn remedy(near: Option<&str>, of: &str, all: &[&str]) -> String {
    match near {
        Some(name) => format!("; did you mean `{name}`?"),
        None => format!("; {of} are {}.", all.join(", ")),
    }
}

/// The message of the parser, for people who do not write Rust.
fn plain(message: &str) -> String {
    let mut text = message.trim_end_matches('.').replace('\n', ", ");
    for (rust, words) in [
        ("expected usize", "expected a whole number from 0 on"),
        ("expected u64", "expected a whole number from 0 on"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("unknown variant", "unknown value"),
        ("expected a sequence", "expected a list"),
    ] {
        text = text.replace(rust, words);
    }
    text
}
