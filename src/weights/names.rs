//! Names of tensors: comparison with those of a network, and the old names of attention layers.

use super::{Weights, WeightsError, WrongShape};
use crate::plan::graph::Param;
use std::collections::HashSet;

impl Weights {
    /// Checks that the file has exactly the parameters of a network: every tensor and no other, with the right shape
    /// and of a float type. Values are checked when they are [read](Weights::read).
    ///
    /// # Errors
    /// [`WeightsError::Mismatch`] with all differences, or [`WeightsError::Dtype`].
    pub fn check(&self, expected: &[Param]) -> Result<(), WeightsError> {
        let (mut wrong, mut missing) = (Vec::new(), Vec::new());
        for param in expected {
            match self.shape(&param.name) {
                None => missing.push(param.name.clone()),
                Some(found) if found != param.shape => wrong.push(WrongShape {
                    name: param.name.clone(),
                    expected: param.shape.clone(),
                    found: found.to_vec(),
                }),
                Some(_) => {}
            }
        }
        let wanted: HashSet<&str> = expected.iter().map(|param| param.name.as_str()).collect();
        let extra: Vec<String> =
            self.names().filter(|name| !wanted.contains(name)).map(str::to_owned).collect();
        if !(wrong.is_empty() && missing.is_empty() && extra.is_empty()) {
            let file = self.file().to_owned();
            return Err(WeightsError::Mismatch { file, wrong, missing, extra });
        }
        expected.iter().try_for_each(|param| self.check_float(&param.name))
    }
}

/// The current name of an attention's tensor that was saved before diffusers 0.13. `None` for any other tensor.
///
/// As in diffusers, only tensors directly under an attention are renamed: `….attentions.<n>.query.weight`.
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
