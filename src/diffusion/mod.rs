//! The samplers as mathematics: no GPU here. A scheduler configuration and a request become a list of timesteps and one
//! small table of coefficients ([`Steps`]), computed in f64; a shader executes one row of it per step. The names are
//! those of the papers and of diffusers.
//!
//! * [`schedule`]: betas and their running products; also what training needs (`q_sample`).
//! * [`timesteps`]: which of the T training timesteps are visited.
//! * [`ddpm`], [`ddim`]: the coefficients of a step, by the papers' equations.
//! * [`options`], [`steps`]: what the caller chooses, and the table that it becomes.
//! * [`coefficients`]: the universal step that both reduce to, and its CPU twin.
//! * [`philox`]: the noise, the same on every device.
//!
//! A whole sampler is a loop. This is DDIM (Song et al. 2021, eq. 12) for one value, with a network that predicts the
//! noise; DDPM is its case eta = 1 with `fixed_small` variances (eq. 16):
//!
//! ```
//! use unnoise::config::SchedulerConfig;
//! use unnoise::diffusion::{Deviation, SamplerOptions, Schedule, Steps};
//!
//! /// x_0 from x_T. `alpha_cumprod` is 1 where there is no timestep left.
//! fn ddim(
//!     network: impl Fn(f64, usize) -> f64,
//!     alpha_cumprod: impl Fn(Option<usize>) -> f64,
//!     timesteps: &[usize],
//!     eta: f64,
//!     noise: impl Fn(usize) -> f64,
//!     x_t: f64,
//! ) -> f64 {
//!     let mut x = x_t;
//!     for (i, &t) in timesteps.iter().enumerate() {
//!         let a = alpha_cumprod(Some(t));
//!         let a_prev = alpha_cumprod(timesteps.get(i + 1).copied());
//!         let pred_epsilon = network(x, t);
//!         let pred_x0 = ((x - (1.0 - a).sqrt() * pred_epsilon) / a.sqrt()).clamp(-1.0, 1.0);
//!         let sigma = eta * ((1.0 - a_prev) / (1.0 - a) * (1.0 - a / a_prev)).sqrt();
//!         let direction = (1.0 - a_prev - sigma * sigma).sqrt() * pred_epsilon;
//!         x = a_prev.sqrt() * pred_x0 + direction + sigma * noise(i);
//!     }
//!     x
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The same by the table that the GPU is given.
//! let config = SchedulerConfig::default();
//! let schedule = Schedule::new(&config)?;
//! let network = |x: f64, t: usize| (0.7 * x).sin() + t as f64 / 1e4;
//! let noise = |i: usize| (i as f64).cos();
//! let x_t = 0.8;
//! for eta in [0.0, 0.5, 1.0] {
//!     let options = SamplerOptions { num_inference_steps: 50, eta, ..SamplerOptions::default() };
//!     let steps = Steps::new(&config, &options)?;
//!     let mut x = x_t;
//!     for (i, (&t, row)) in steps.timesteps.iter().zip(&steps.rows).enumerate() {
//!         (x, _) = row.apply(Deviation::Fixed, None, [x, network(x, t), 0.0, noise(i)]);
//!     }
//!     let alpha_cumprod = |t: Option<usize>| t.map_or(1.0, |t| schedule.alpha_cumprod(t).unwrap());
//!     let x_0 = ddim(network, alpha_cumprod, &steps.timesteps, eta, noise, x_t);
//!     assert!((x - x_0).abs() < 1e-12, "{x} and {x_0}");
//! }
//! # Ok(())
//! # }
//! ```

pub mod coefficients;
pub mod ddim;
pub mod ddpm;
pub mod error;
pub mod options;
pub mod philox;
pub mod schedule;
pub mod steps;
pub mod timesteps;

pub use coefficients::{Deviation, StepCoefficients};
pub use error::DiffusionError;
pub use options::{SamplerKind, SamplerOptions};
pub use schedule::{NoiseLevel, Schedule};
pub use steps::{Steps, Thresholding};
pub use timesteps::PreviousTimestep;
