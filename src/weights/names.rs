//! Names of tensors: the list a network wants, and the old names of attention's.

use super::{Weights, WeightsError, WrongShape};
use std::collections::HashSet;

/// A parameter as diffusers names and shapes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParamSpec {
    /// For example `down_blocks.1.attentions.0.to_q.weight`.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
}

impl Weights {
    /// Compares the file with what a network wants: every tensor, no other, each of its shape and of
    /// floats. Values are looked at when they are [read](Weights::read).
    ///
    /// # Errors
    /// [`WeightsError::Mismatch`] with all differences, or [`WeightsError::Dtype`].
    pub fn check(&self, expected: &[ParamSpec]) -> Result<(), WeightsError> {
        let (mut wrong, mut missing) = (Vec::new(), Vec::new());
        for spec in expected {
            match self.shape(&spec.name) {
                None => missing.push(spec.name.clone()),
                Some(found) if found != spec.shape => wrong.push(WrongShape {
                    name: spec.name.clone(),
                    expected: spec.shape.clone(),
                    found: found.to_vec(),
                }),
                Some(_) => {}
            }
        }
        let wanted: HashSet<&str> = expected.iter().map(|spec| spec.name.as_str()).collect();
        let extra: Vec<String> =
            self.names().filter(|name| !wanted.contains(name)).map(str::to_owned).collect();
        if !(wrong.is_empty() && missing.is_empty() && extra.is_empty()) {
            let file = self.file().to_owned();
            return Err(WeightsError::Mismatch { file, wrong, missing, extra });
        }
        expected.iter().try_for_each(|spec| self.check_float(&spec.name))
    }
}

/// Today's name of a tensor of an attention saved before diffusers 0.13, or `None` for any other.
///
/// As in diffusers, only directly under an attention: `….attentions.<n>.query.weight`.
pub(super) fn todays(name: &str) -> Option<String> {
    let (path, kind) = name.rsplit_once('.')?;
    if kind != "weight" && kind != "bias" {
        return None;
    }
    let (attention, old) = path.rsplit_once('.')?;
    let new = match old {
        "query" => "to_q",
        "key" => "to_k",
        "value" => "to_v",
        "proj_attn" => "to_out.0",
        _ => return None,
    };
    let (parent, index) = attention.rsplit_once('.')?;
    let numbered = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
    let listed = parent == "attentions" || parent.ends_with(".attentions");
    (numbered && listed).then(|| format!("{attention}.{new}.{kind}"))
}
