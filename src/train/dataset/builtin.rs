//! The crate's own data set: the bitmaps of Noto Emoji at 32x32 over white, made by `scripts/make-emoji.py`.

use super::DatasetError;
use super::decode::{self, Raster};
use super::labels::Labels;
use super::source::Source;
use sha2::{Digest, Sha256};

/// One lossless WebP with the pictures stacked in columns.
const PICTURES: &[u8] = include_bytes!("../../../assets/emoji-32.webp");
/// One line per picture: code points, Unicode's group, whether it is in the curated set, Unicode's name.
const TABLE: &str = include_str!("../../../assets/emoji-32.tsv");
pub(super) const SIDE: usize = 32;

pub(super) struct Emoji {
    /// All pictures, decoded.
    stack: Raster,
    chosen: Vec<Line>,
}

struct Line {
    /// Its place in the stack.
    place: usize,
    points: &'static str,
    group: &'static str,
    name: &'static str,
}

/// Paths of built-in data begin with this.
pub const PREFIX: &str = "builtin:";

/// `emoji` has all 3,926, `emoji-curated` one for each motif. The classes are Unicode's groups.
///
/// # Errors
/// [`DatasetError::Builtin`].
pub(super) fn open(name: &str) -> Result<(Emoji, Labels), DatasetError> {
    let curated = match name {
        "emoji" => false,
        "emoji-curated" => true,
        _ => {
            let (name, known) = (name.to_owned(), "builtin:emoji and builtin:emoji-curated");
            return Err(DatasetError::Builtin { name, known });
        }
    };
    let io = |detail| DatasetError::Io { file: format!("builtin:{name}"), detail };
    let stack = decode::decode(PICTURES).map_err(io)?;
    let mut chosen = Vec::new();
    for (place, line) in TABLE.lines().enumerate() {
        let mut fields = line.split('\t');
        let mut field = || fields.next().unwrap_or_default();
        let (points, group, kept, name) = (field(), field(), field() == "yes", field());
        if kept || !curated {
            chosen.push(Line { place, points, group, name });
        }
    }
    let groups: Vec<String> = chosen.iter().map(|line| format!("{}/", line.group)).collect();
    let labels = Labels::of_paths(groups.iter().map(String::as_str));
    let labels = labels.ok_or_else(|| io("its table has no groups".to_owned()))?;
    Ok((Emoji { stack, chosen }, labels))
}

impl Source for Emoji {
    fn len(&self) -> usize {
        self.chosen.len()
    }

    /// `1f600 grinning face`.
    fn name(&self, index: usize) -> String {
        let Line { points, name, .. } = self.chosen[index];
        format!("{points} {name}").trim_end().to_owned()
    }

    fn load(&self, index: usize) -> Result<Raster, String> {
        let Raster { h, w, c, data } = &self.stack;
        let column = h / SIDE;
        let place = self.chosen[index].place;
        let (top, left) = (place % column * SIDE, place / column * SIDE);
        let mut out = Vec::with_capacity(SIDE * SIDE * c);
        for y in top..top + SIDE {
            let row = data.get((y * w + left) * c..(y * w + left + SIDE) * c);
            out.extend_from_slice(row.ok_or("the table is longer than the pictures")?);
        }
        Ok(Raster { h: SIDE, w: SIDE, c: *c, data: out })
    }

    fn fingerprint(&self, hash: &mut Sha256) -> Result<(), String> {
        hash.update(PICTURES);
        for line in &self.chosen {
            hash.update(line.points);
        }
        Ok(())
    }
}
