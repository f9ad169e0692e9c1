//! What can be wrong with settings.

use crate::config::ConfigError;

/// Settings that cannot be used: which key, where it was set, what is there, what would do.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Not TOML.
    #[error("{at}: {detail}.")]
    Toml {
        /// File and line.
        at: String,
        /// The parser's words.
        detail: String,
    },
    /// A key that is no setting.
    #[error("{at}: there is no setting `{key}`{remedy}")]
    Unknown {
        /// File and line, or flag.
        at: String,
        /// The key, with its section.
        key: String,
        /// `; did you mean …?` or what there is.
        remedy: String,
    },
    /// A value of another type, or a word that is not among those known.
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
        /// What would do.
        expected: String,
    },
    /// A preset that is not there.
    #[error("{at}: there is no preset `{name}`{remedy}")]
    Preset {
        /// File and line, or flag.
        at: String,
        /// Name given.
        name: String,
        /// `; did you mean …?` or what there is.
        remedy: String,
    },
    /// An assignment without a `=`.
    #[error("--set {text}: write it as SECTION.KEY=VALUE, for example --set optimizer.lr=2e-4.")]
    Assignment {
        /// Text given.
        text: String,
    },
    /// `[model]` or `[diffusion]` describe what cannot be built.
    #[error(transparent)]
    Network(#[from] ConfigError),
}
