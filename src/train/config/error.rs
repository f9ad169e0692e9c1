//! What can be wrong with settings.

use crate::config::ConfigError;

/// Settings that cannot be used: the key, where it was set, its value, what is allowed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Not TOML.
    #[error("{at}: {detail}.")]
    Toml {
        /// File and line.
        at: String,
        /// The message of the parser.
        detail: String,
    },
    /// A key that is not a setting.
    #[error("{at}: there is no setting `{key}`{remedy}")]
    Unknown {
        /// File and line, or flag.
        at: String,
        /// The key, with its section.
        key: String,
        /// `; did you mean …?` or a list of what exists.
        remedy: String,
    },
    /// A value of the wrong type, or an unknown word.
    #[error("{at}: `{key}`: {detail}.")]
    Type {
        /// File and line, or flag.
        at: String,
        /// The key.
        key: String,
        /// What was found and what was expected.
        detail: String,
    },
    /// A value out of its range.
    #[error("{at}: `{key}` is {found}; it should be {expected}.")]
    Value {
        /// File and line, flag, or preset.
        at: String,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// A preset that does not exist.
    #[error("{at}: there is no preset `{name}`{remedy}")]
    Preset {
        /// File and line, or flag.
        at: String,
        /// The name given.
        name: String,
        /// `; did you mean …?` or a list of what exists.
        remedy: String,
    },
    /// An assignment without a `=`.
    #[error("--set {text}: write it as SECTION.KEY=VALUE, for example --set optimizer.lr=2e-4.")]
    Assignment {
        /// The text given.
        text: String,
    },
    /// `[model]` or `[diffusion]` describes something that cannot be built.
    #[error(transparent)]
    Network(#[from] ConfigError),
}
