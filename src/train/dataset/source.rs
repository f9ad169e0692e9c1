//! Sources of pictures, which are read one at a time.

use super::decode::Raster;
use sha2::{Digest, Sha256};

/// Pictures that any thread can read by number, in a fixed order.
pub(super) trait Source: Send + Sync {
    /// How many.
    fn len(&self) -> usize;

    /// The file, entry or place of a picture.
    fn name(&self, index: usize) -> String;

    /// Its pixels.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without a subject.
    fn load(&self, index: usize) -> Result<Raster, String>;

    /// Adds what distinguishes these pictures from others to `hash`, without decoding them all.
    ///
    /// # Errors
    /// What cannot be read, as a sentence.
    fn fingerprint(&self, hash: &mut Sha256) -> Result<(), String>;
}

/// Adds a number to a hash, with a fixed length.
pub(super) fn hash_number(hash: &mut Sha256, number: usize) {
    hash.update((number as u64).to_le_bytes());
}

/// Adds a text to a hash, with its length.
pub(super) fn hash_text(hash: &mut Sha256, text: &str) {
    hash_number(hash, text.len());
    hash.update(text);
}
