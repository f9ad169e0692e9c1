//! `*.safetensors.index.json`: which files hold the tensors of split weights.

use super::ConfigError;
use super::json::Keys;
use serde_json::Value;
use std::collections::BTreeSet;

/// The names of the files, without their folder.
///
/// # Errors
/// [`ConfigError`] if the file is not an index.
pub(crate) fn shards(text: &str, file: &str) -> Result<BTreeSet<String>, ConfigError> {
    let k = Keys::parse(text, file)?;
    let expected = "an object of tensor names with the file of each";
    let map = k.get("weight_map").and_then(Value::as_object);
    let map = map.filter(|map| !map.is_empty()).ok_or_else(|| k.wrong("weight_map", expected))?;
    let shard = |value: &Value| value.as_str().map(str::to_owned);
    map.values().map(shard).collect::<Option<_>>().ok_or_else(|| k.wrong("weight_map", expected))
}
