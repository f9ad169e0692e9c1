//! The samplers as mathematics: no GPU here. A scheduler configuration and a request become a list of
//! timesteps and one small table of coefficients ([`Steps`]), computed in f64; a shader executes a row
//! of it per step. Names are those of the papers and of diffusers.
//!
//! * [`schedule`]: betas and their running products; also what training needs (`q_sample`).
//! * [`timesteps`]: which of the T training timesteps are visited.
//! * [`ddpm`], [`ddim`]: a step's coefficients, by the papers' equations.
//! * [`coefficients`]: the universal step that both reduce to, and its CPU twin.
//! * [`philox`]: the noise, the same on every device.

pub mod coefficients;
pub mod ddim;
pub mod ddpm;
pub mod error;
pub mod philox;
pub mod schedule;
pub mod steps;
pub mod timesteps;

pub use coefficients::{Deviation, StepCoefficients};
pub use error::DiffusionError;
pub use schedule::{NoiseLevel, Schedule};
pub use steps::{SamplerKind, SamplerOptions, Steps, Thresholding};
pub use timesteps::PreviousTimestep;
