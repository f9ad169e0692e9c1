//! Classes in files beside the pictures, as in WebDataset: `000.jpg` and `000.cls`, or `000.json`.

use super::files::Files;
use super::labels::Class;
use std::collections::HashMap;

/// The largest file with a class.
const MAX_FILE: u64 = 64 << 10;
/// Keys for the class in a JSON file.
const KEYS: [&str; 5] = ["label", "class", "cls", "class_name", "target"];

/// The classes of pictures, from files beside them.
#[derive(Default)]
pub(super) struct Found {
    /// The class of each picture, if all have one.
    pub classes: Option<Vec<Class>>,
    /// Why they are not used, if only some have one.
    pub note: Option<String>,
    /// Extension of the files that they come from.
    pub ending: Option<&'static str>,
}

/// What the paths of a picture and its files have in common: everything up to the first dot in the last part.
pub(super) fn key(path: &str) -> &str {
    let name = path.rfind('/').map_or(0, |at| at + 1);
    path[name..].find('.').map_or(path, |dot| &path[..name + dot])
}

/// The classes of the pictures with these paths, from the files among some others.
pub(super) fn find(files: &Files, pictures: &[&str]) -> Found {
    for ending in ["cls", "json"] {
        let beside = files.entries.iter().enumerate().filter_map(|(entry, e)| {
            let stem = e.name.strip_suffix(ending)?.strip_suffix('.')?;
            Some((key(stem), entry))
        });
        let beside: HashMap<&str, usize> = beside.collect();
        let entries: Vec<Option<usize>> =
            pictures.iter().map(|path| beside.get(key(path)).copied()).collect();
        let (Some(first), Some(some)) =
            (entries.iter().position(Option::is_some), entries.iter().flatten().next())
        else {
            continue;
        };
        let example = &files.entries[*some].name;
        let because = |why: String| Found {
            note: Some(format!("The classes in files such as {example} are not used: {why}")),
            ..Found::default()
        };
        let mut classes = Vec::with_capacity(pictures.len());
        for (index, entry) in entries.iter().enumerate() {
            let Some(entry) = *entry else {
                return because(format!("{} has none", pictures[index]));
            };
            match class(files, entry, ending) {
                Ok(class) => classes.push(class),
                // Other programs also describe pictures in JSON.
                Err(_) if ending == "json" && index == first => return Found::default(),
                Err(why) => return because(format!("{}: {why}", files.entries[entry].name)),
            }
        }
        return Found { classes: Some(classes), note: None, ending: Some(ending) };
    }
    Found::default()
}

fn class(files: &Files, entry: usize, ending: &str) -> Result<Class, String> {
    let text = String::from_utf8(files.read(entry, MAX_FILE)?);
    let text = text.map_err(|_| "it is no text".to_owned())?;
    if ending == "cls" {
        return Some(text.trim())
            .filter(|text| !text.is_empty())
            .map(Class::parse)
            .ok_or_else(|| "it is empty".to_owned());
    }
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let found = KEYS.iter().find_map(|key| match value.get(key)? {
        serde_json::Value::Number(number) => number.as_f64().map(Class::Number),
        serde_json::Value::String(name) => Some(Class::Name(name.clone())),
        _ => None,
    });
    found.ok_or_else(|| format!("it has none of {} as a number or text", KEYS.join(", ")))
}
