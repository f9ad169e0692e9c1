//! The weight of an item in the loss, by its noise level.

use crate::config::scheduler::PredictionType;
use crate::diffusion::NoiseLevel;

/// How timesteps are weighted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Weighting {
    /// All alike: L_simple (DDPM, eq. 14) where eps is predicted.
    None,
    /// min(SNR, gamma) as a weight on x_0's error, whatever is predicted (Hang et al. 2023, section
    /// 3.4), with SNR = a_t / (1 - a_t).
    MinSnr {
        /// Caps the signal-to-noise ratio; the paper takes 5.
        gamma: f64,
    },
}

impl Weighting {
    /// w of an item at this noise level. An error of x_0 is sqrt(1 - a) / sqrt(a) times one of eps and
    /// sqrt(1 - a) times one of v, so that min(SNR, gamma) on x_0's square is
    /// * eps: min(SNR, gamma) / SNR, which is 1 where no signal is left;
    /// * x_0: min(SNR, gamma);
    /// * v: min(SNR, gamma) / (SNR + 1).
    pub fn weight(self, level: NoiseLevel, predicted: PredictionType) -> f64 {
        let Self::MinSnr { gamma } = self else { return 1.0 };
        let snr = (level.signal / level.noise).powi(2);
        match predicted {
            PredictionType::Epsilon => (gamma / snr).min(1.0),
            PredictionType::Sample => snr.min(gamma),
            PredictionType::VPrediction => snr.min(gamma) / (snr + 1.0),
        }
    }
}
