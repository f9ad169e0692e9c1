//! What can be wrong with a safetensors file.

use crate::config::shorten;

/// A weights file that cannot be used: the file, the tensor, what was expected and what was found.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file is too short to hold even the header's length.
    #[error("`{file}` is {have} bytes long: empty, or cut off while it was copied.")]
    TooShort {
        /// File.
        file: String,
        /// The file's length in bytes.
        have: usize,
    },
    /// The file has another format, which is recognised.
    #[error("`{file}` is not a safetensors file but {looks_like}.")]
    NotSafetensors {
        /// File.
        file: String,
        /// What its first bytes look like.
        looks_like: &'static str,
    },
    /// The header's length points past the end of the file, or past any sensible header.
    #[error(
        "`{file}`: the header should be {need} bytes, of at most {limit}. The file is cut off, \
         damaged, or not safetensors."
    )]
    HeaderLength {
        /// File.
        file: String,
        /// The header's length according to the file.
        need: u64,
        /// The largest possible length.
        limit: u64,
    },
    /// The header is not UTF-8, not JSON, or not an object.
    #[error("`{file}`: the header cannot be read: {detail}.")]
    Header {
        /// File.
        file: String,
        /// The parser's words.
        detail: String,
    },
    /// Two tensors have the same name.
    #[error("`{file}`: tensor `{name}` appears twice.")]
    Duplicate {
        /// File.
        file: String,
        /// Tensor.
        name: String,
    },
    /// A tensor's entry in the header is malformed.
    #[error("`{file}`: tensor `{name}`: `{key}` is {found}; it should be {expected}.")]
    Entry {
        /// File.
        file: String,
        /// Tensor.
        name: String,
        /// `dtype`, `shape` or `data_offsets`.
        key: &'static str,
        /// The JSON found, shortened.
        found: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// The number of values of a shape overflows.
    #[error("`{file}`: tensor `{name}` has the absurd shape {shape:?}.")]
    Absurd {
        /// File.
        file: String,
        /// Tensor.
        name: String,
        /// Its shape.
        shape: Vec<u64>,
    },
    /// The shape and the byte range of a tensor do not agree.
    #[error("`{file}`: tensor `{name}` needs {expected} bytes for its shape and has {found}.")]
    Bytes {
        /// File.
        file: String,
        /// Tensor.
        name: String,
        /// Bytes according to the shape and type.
        expected: u64,
        /// Bytes according to the offsets.
        found: u64,
    },
    /// Tensors overlap or leave a hole.
    #[error("`{file}`: tensor `{name}` should begin at byte {expected} of the data, not {found}.")]
    Offsets {
        /// File.
        file: String,
        /// Tensor.
        name: String,
        /// End of the tensor before it.
        expected: u64,
        /// Its own beginning.
        found: u64,
    },
    /// The file is shorter or longer than its header says.
    #[error("`{file}` should be {need} bytes long and is {have}. Copy or download it again.")]
    Length {
        /// File.
        file: String,
        /// Bytes according to the header.
        need: u64,
        /// Bytes in the file.
        have: u64,
    },
    /// The file does not have the tensor.
    #[error("`{file}` has no tensor `{name}`.")]
    NoTensor {
        /// File.
        file: String,
        /// Tensor.
        name: String,
    },
    /// A tensor whose type cannot be used here.
    #[error("`{file}`: tensor `{name}` is {found}; it should be {expected}.")]
    Dtype {
        /// File.
        file: String,
        /// Tensor.
        name: String,
        /// Its type.
        found: String,
        /// Types that are accepted.
        expected: &'static str,
    },
    /// NaN or infinity.
    #[error(
        "`{file}`: tensor `{name}` holds {value} at {position:?}. The file is damaged, or was saved \
         after its training had diverged."
    )]
    NonFinite {
        /// File.
        file: String,
        /// Tensor.
        name: String,
        /// `NaN`, `inf` or `-inf`.
        value: String,
        /// Where the first one is.
        position: Vec<usize>,
    },
    /// The tensors are not those of the network that config.json describes.
    #[error("`{file}`: {} The config may belong to another checkpoint.", differences(.wrong, .missing, .extra))]
    Mismatch {
        /// File.
        file: String,
        /// Tensors with another shape.
        wrong: Vec<WrongShape>,
        /// Tensors that the network has and the file does not.
        missing: Vec<String>,
        /// Tensors that the file has and the network does not.
        extra: Vec<String>,
    },
    /// The values to be written do not fill their shape.
    #[error("tensor `{name}` of shape {shape:?} cannot be written from {values} values.")]
    Write {
        /// Tensor.
        name: String,
        /// Shape given.
        shape: Vec<usize>,
        /// Values given.
        values: usize,
    },
    /// A value exceeds f16's range.
    #[cfg(not(target_arch = "wasm32"))]
    #[error("tensor `{name}` holds {value}, and f16 ends at 65504. Keep the weights in f32.")]
    Half {
        /// Tensor.
        name: String,
        /// Its value.
        value: String,
    },
}

/// A tensor that does not have the shape that the configuration requires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WrongShape {
    /// Tensor.
    pub name: String,
    /// Shape according to config.json.
    pub expected: Vec<usize>,
    /// Shape in the file.
    pub found: Vec<usize>,
}

/// The number of tensors that a message names before it says "and more".
const FEW: usize = 3;

/// A sentence for each kind of difference, naming a few tensors of each.
fn differences(wrong: &[WrongShape], missing: &[String], extra: &[String]) -> String {
    let mut text = String::new();
    for w in wrong.iter().take(FEW) {
        let WrongShape { name, expected, found } = w;
        text += &format!("tensor `{name}` has shape {found:?}; config.json says {expected:?}. ");
    }
    if wrong.len() > FEW {
        text += &format!("{} more tensors have another shape. ", wrong.len() - FEW);
    }
    for (kind, names) in [("missing", missing), ("not part of the network", extra)] {
        if names.is_empty() {
            continue;
        }
        let count = names.len();
        let tensors = if count == 1 { "tensor is" } else { "tensors are" };
        let few: Vec<String> =
            names.iter().take(FEW).map(|name| format!("`{}`", shorten(name))).collect();
        text += &format!("{count} {tensors} {kind}: {}", few.join(", "));
        text += if count > FEW { " and more. " } else { ". " };
    }
    text.truncate(text.trim_end().len());
    text
}
