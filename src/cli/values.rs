//! Readers of flags' values that more than one group of flags needs.

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// A whole number from 1 on.
pub fn positive() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u32).range(1..).map(|n| n as usize)
}

/// Parses one of the names to its value.
pub fn named<T: Clone + Send + Sync + 'static>(
    values: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.iter().map(|(name, _)| *name)).try_map(|chosen| {
        let found = values.iter().find(|(name, _)| *name == chosen);
        found.map(|(_, value)| value.clone()).ok_or("unknown value")
    })
}
