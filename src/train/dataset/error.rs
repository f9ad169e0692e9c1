//! What can be wrong with a data set.

/// A data set that cannot be used.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// There is nothing at this path.
    #[error("There is no file or folder `{path}` to train on.")]
    NotFound {
        /// Path given.
        path: String,
    },
    /// The operating system refused to read it.
    #[error("`{file}` cannot be read: {detail}.")]
    Io {
        /// File or folder.
        file: String,
        /// The system's words.
        detail: String,
    },
    /// The name after `builtin:` is unknown.
    #[error("There is no built-in data set `{name}`. The built-in ones are {known}.")]
    Builtin {
        /// What was asked for.
        name: String,
        /// All names.
        known: &'static str,
    },
    /// An option is out of its range.
    #[error("{option} is {have}; it must be {need}.")]
    Option {
        /// Which.
        option: &'static str,
        /// Its value.
        have: String,
        /// What is accepted.
        need: &'static str,
    },
    /// The path is that of one picture.
    #[error("`{file}` is one picture. Give the folder that holds it.")]
    OnePicture {
        /// File.
        file: String,
    },
    /// There are neither pictures nor arrays of pictures.
    #[error(
        "`{path}` holds nothing to train on; found: {found}. A data set is a folder, zip or tar of \
         pictures (PNG, JPEG, WebP, GIF, BMP, TIFF, ICO, PNM), or MNIST's IDX, CIFAR's binary (not its Python version), \
         npy or npz files."
    )]
    Empty {
        /// Path given.
        path: String,
        /// What is there instead, by kind.
        found: String,
    },
    /// A zip or tar that cannot be read.
    #[error("`{file}` is a damaged {kind}: {detail}. Download or pack it again.")]
    Archive {
        /// File.
        file: String,
        /// zip, tar or gzip.
        kind: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// There is more than is accepted.
    #[error("`{file}` {what} {have}; at most {limit} are accepted. {remedy}")]
    TooLarge {
        /// File or folder.
        file: String,
        /// What there is too much of, as a verb and its object: "has more files than are read,".
        what: &'static str,
        /// How many.
        have: u64,
        /// The most that is accepted.
        limit: u64,
        /// What to do.
        remedy: String,
    },
    /// An array does not have the type, shape or length of pictures.
    #[error("`{file}` holds {found}; {expected}.")]
    Array {
        /// File or member.
        file: String,
        /// What there is.
        found: String,
        /// What is expected, as a clause with the remedy.
        expected: String,
    },
    /// Several arrays could be the pictures.
    #[error(
        "`{path}` holds more than one array of pictures: {found}. Give the path of one of them."
    )]
    Ambiguous {
        /// Path given.
        path: String,
        /// Their names.
        found: String,
    },
    /// There are several arrays of class labels.
    #[error(
        "`{path}` holds more than one array of labels: {found}. Move those that should not be learned to another folder."
    )]
    Labels {
        /// Path given.
        path: String,
        /// Their names.
        found: String,
    },
    /// A class label is out of its range.
    #[error(
        "`{file}`: label {index} is {found}; labels go from 0 to {max}. To train without classes, keep that array elsewhere."
    )]
    Label {
        /// File or member.
        file: String,
        /// Position.
        index: usize,
        /// Its value.
        found: String,
        /// The largest accepted.
        max: u32,
    },
    /// The pictures have several sizes, and no size was requested.
    #[error(
        "The pictures of `{path}` have different sizes: `{first}` is {first_size}, `{other}` is \
         {other_size} (height x width). Choose one with --resolution."
    )]
    Sizes {
        /// Path given.
        path: String,
        /// A picture.
        first: String,
        /// Its height x width.
        first_size: String,
        /// One that differs.
        other: String,
        /// Its height x width.
        other_size: String,
    },
    /// There are more broken pictures than may be skipped.
    #[error(
        "More than {limit} pictures of `{path}` are broken, the first of them `{first}`: {why}. \
         Repair or remove them, or let more be left out: --set data.max_broken=N."
    )]
    Broken {
        /// Path given.
        path: String,
        /// How many are skipped.
        limit: usize,
        /// A broken picture.
        first: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A picture that was left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Its file or entry.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

impl DatasetError {
    pub(super) fn io(file: impl Into<String>, error: &std::io::Error) -> Self {
        Self::Io { file: file.into(), detail: error.to_string() }
    }
}
