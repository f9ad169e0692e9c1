//! How pictures become items of one size.

use super::DatasetError;
use serde::{Deserialize, Serialize};

/// How to turn the pictures found into items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Rows and columns of an item. By default, the size of all pictures.
    pub resolution: Option<(usize, usize)>,
    /// How a picture with other proportions is fitted.
    pub fit: Fit,
    /// 1 (gray), 3 (RGB) or 4 (RGBA); by default gray if all pictures are, RGB otherwise.
    pub channels: Option<usize>,
    /// The colour under transparent pixels and around padded pictures (RGB).
    pub background: [u8; 3],
    /// How many broken pictures may be skipped.
    pub broken_limit: usize,
    /// Bytes of memory for data. If all items fit, they are decoded once; otherwise they are decoded as they are
    /// needed. Compressed arrays and tars must fit.
    pub memory: u64,
    /// Threads that decode.
    pub threads: usize,
}

/// How a picture is fitted if its proportions differ from those of an item. It is resized with the filter that
/// [`super`] names.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The picture covers the item, and the excess on both sides is cut off.
    #[default]
    Crop,
    /// The whole picture is shown, centred on [`Options::background`].
    Pad,
}

/// The largest side of an item.
pub const MAX_SIDE: usize = 4096;

impl Default for Options {
    /// The pictures' own size and channels, a white background, 100 broken pictures, 2 GiB, and a thread per processor,
    /// up to 8.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
        Self {
            resolution: None,
            fit: Fit::Crop,
            channels: None,
            background: [255; 3],
            broken_limit: 100,
            memory: 2 << 30,
            threads,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<(), DatasetError> {
        if let Some((h, w)) = self.resolution
            && !((1..=MAX_SIDE).contains(&h) && (1..=MAX_SIDE).contains(&w))
        {
            let have = format!("{h}x{w}");
            return Err(DatasetError::Option { option: "resolution", have, need: "1 to 4096" });
        }
        match self.channels {
            None | Some(1 | 3 | 4) => Ok(()),
            Some(other) => Err(DatasetError::Option {
                option: "channels",
                have: other.to_string(),
                need: "1 (gray), 3 (RGB) or 4 (RGBA)",
            }),
        }
    }
}
