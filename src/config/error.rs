//! What can be wrong with a checkpoint's JSON files.

/// A configuration that cannot be used. Each variant has everything that a message needs: the file, the key, what was
/// found and what was expected.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not JSON, or not an object.
    #[error("`{file}`: not a JSON object: {detail}.")]
    Json {
        /// File the text came from.
        file: String,
        /// The parser's words, with line and column.
        detail: String,
    },
    /// The file has another format instead of JSON.
    #[error("`{file}` is not JSON but {looks_like}.")]
    NotJson {
        /// File.
        file: String,
        /// What its first bytes look like, and what to do about it.
        looks_like: &'static str,
    },
    /// A value has the wrong type, or no meaning.
    #[error("`{file}`: `{key}` is {found}; it should be {expected}.")]
    Value {
        /// File with the key.
        file: String,
        /// diffusers' key, or its older name if the file uses that.
        key: String,
        /// The JSON found, shortened.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// diffusers supports it, but this crate does not.
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
    /// Two keys exclude each other. diffusers fails on them too, when it builds or runs the network.
    #[error("`{file}`: `{key}` is {found}, but {other}. {}", contradicted(.file))]
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
    /// A number is so large that it must be a mistake. It is refused before anything is allocated.
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
    /// The keys are valid on their own, but together they do not describe a network.
    #[error("`{file}` describes a network that cannot be built: {detail}.")]
    Network {
        /// File with the keys.
        file: String,
        /// What does not fit.
        detail: String,
    },
    /// The picture size cannot be halved evenly down to the lowest level.
    #[error(
        "This network cannot make pictures of {height}x{width} (height x width): with {levels} levels, both \
         must be multiples of {multiple}."
    )]
    Size {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// Levels of the network.
        levels: usize,
        /// `2^(levels - 1)`.
        multiple: usize,
    },
}

/// What to do about keys that exclude each other. Files come from elsewhere, but settings and flags from the user.
fn contradicted(file: &str) -> &'static str {
    if file.ends_with(".json") {
        "The file may have been edited or damaged."
    } else {
        "Change one of the two."
    }
}
