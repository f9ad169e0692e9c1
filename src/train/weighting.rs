//! The weight of an item in the loss, a function of its noise level.

use crate::config::scheduler::PredictionType;
use crate::diffusion::NoiseLevel;
use serde::{Deserialize, Serialize};

/// How timesteps are weighted; `loss.weighting` of the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// All have the same weight. With eps prediction this is L_simple (DDPM, eq. 14).
    None,
    /// min(SNR, gamma) as the weight of x_0's error, no matter what the network predicts (Hang et al. 2023, section
    /// 3.4), with SNR = a_t / (1 - a_t). The paper uses gamma = 5.
    MinSnr,
}

impl Weighting {
    /// w of an item at this noise level. An error of x_0 is sqrt(1 - a) / sqrt(a) times the error of eps, and sqrt(1 -
    /// a) times the error of v. A weight of min(SNR, gamma) on x_0's squared error is therefore, for
    /// * eps: min(SNR, gamma) / SNR, which is 1 where no signal is left;
    /// * x_0: min(SNR, gamma);
    /// * v: min(SNR, gamma) / (SNR + 1).
    pub fn weight(self, gamma: f64, level: NoiseLevel, predicted: PredictionType) -> f64 {
        if self == Self::None {
            return 1.0;
        }
        let snr = (level.signal / level.noise).powi(2);
        match predicted {
            PredictionType::Epsilon => (gamma / snr).min(1.0),
            PredictionType::Sample => snr.min(gamma),
            PredictionType::VPrediction => snr.min(gamma) / (snr + 1.0),
        }
    }
}
