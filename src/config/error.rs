//! What can be wrong with a checkpoint's JSON files.

/// A configuration that cannot be used, with everything a message needs: which file, which key,
/// what is there and what should be.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or not an object.
    #[error("`{file}`: not a JSON object: {detail}.")]
    Json {
        /// File the text came from.
        file: String,
        /// The parser's words, with line and column.
        detail: String,
    },
    /// A key has the wrong type, or a value that has no meaning.
    #[error("`{file}`: `{key}` is {found}; it should be {expected}.")]
    Value {
        /// File with the key.
        file: String,
        /// diffusers' key (or its older name, where the file uses that).
        key: String,
        /// The JSON found, shortened.
        found: String,
        /// What would do.
        expected: String,
    },
    /// Something diffusers has and this crate has not.
    #[error("`{file}`: `{key}` is {found}, which is not supported. {remedy}")]
    Unsupported {
        /// File with the key.
        file: String,
        /// diffusers' key.
        key: String,
        /// The JSON found, shortened.
        found: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Two keys that exclude each other: diffusers fails on them too, when building or running.
    #[error("`{file}`: `{key}` is {found}, but {other}. The file may have been edited or damaged.")]
    Contradiction {
        /// File with the keys.
        file: String,
        /// One of the keys.
        key: String,
        /// Its value.
        found: String,
        /// The other side, as a clause: "`norm_num_groups` is 3, which does not divide it".
        other: String,
    },
    /// A number nobody can mean, refused before anything is allocated for it.
    #[error("`{file}`: `{key}` asks for {need}; the limit is {max}.")]
    TooLarge {
        /// File with the key.
        file: String,
        /// diffusers' key.
        key: String,
        /// What the file asks for.
        need: u64,
        /// The largest number accepted.
        max: u64,
    },
    /// Keys that are right each on its own, and describe no network together.
    #[error("`{file}` describes a network that cannot be built: {detail}.")]
    Network {
        /// File with the keys.
        file: String,
        /// What does not fit.
        detail: String,
    },
    /// A picture size that does not halve evenly down to the lowest level.
    #[error(
        "This network cannot make pictures of {height}x{width} (height x width): with {levels} levels, both \
         must be multiples of {multiple}."
    )]
    Size {
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
        /// Levels of the network.
        levels: usize,
        /// `2^(levels - 1)`.
        multiple: usize,
    },
}
