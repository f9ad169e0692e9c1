//! Single `step` calls recorded from diffusers 0.42.1 (`fixtures/schedulers`), for the CPU twin and for
//! the shader.

use super::files::fixture;
use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde_json::Value;
use unnoise::config::SchedulerConfig;
use unnoise::diffusion::{
    Deviation, DiffusionError, SamplerKind, SamplerOptions, Schedule, StepCoefficients, Steps,
    Thresholding, ddim, ddpm,
};

/// A file of f32 tensors.
pub struct Tensors(BTreeMap<String, Vec<f32>>);

impl Tensors {
    /// `fixtures/schedulers/<name>`.
    pub fn open(name: &str) -> Self {
        let bytes = std::fs::read(path(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let value = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let values = |data: &[u8]| data.chunks_exact(4).map(value).collect();
        Self(file.tensors().into_iter().map(|(name, t)| (name, values(t.data()))).collect())
    }

    /// A tensor that must be there.
    pub fn need(&self, name: &str) -> Vec<f32> {
        self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}")).clone()
    }
}

fn path(name: &str) -> std::path::PathBuf {
    fixture("schedulers").join(name)
}

/// `fixtures/schedulers/<name>`.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

/// A fixture's `config`, over the constructor's defaults.
pub fn config(given: &Value) -> SchedulerConfig {
    SchedulerConfig::from_json(&given.to_string(), "fixture").unwrap()
}

/// A fixture's `scheduler`.
pub fn kind(name: &Value) -> SamplerKind {
    match name.as_str().unwrap() {
        "DDPM" => SamplerKind::Ddpm,
        "DDIM" => SamplerKind::Ddim,
        "DDIMInverse" => SamplerKind::DdimInverse,
        other => panic!("{other}"),
    }
}

/// Largest |have - want| as a share of max(1, max |want|).
pub fn distance(have: &[f64], want: &[f32]) -> f64 {
    assert_eq!(have.len(), want.len());
    let scale = want.iter().fold(1.0_f64, |m, &w| m.max(f64::from(w).abs()));
    let worst = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
    have.iter().zip(want).map(|(h, &w)| (h - f64::from(w)).abs()).fold(0.0, worst) / scale
}

/// What a step takes, `[2, 3, 4, 4]` each.
pub struct Inputs {
    /// x_t.
    pub x: Vec<f32>,
    /// The prediction.
    pub output: Vec<f32>,
    /// The output's second half.
    pub variance: Option<Vec<f32>>,
    /// z.
    pub noise: Option<Vec<f32>>,
}

/// One recorded call.
pub struct Case {
    /// Its name.
    pub id: String,
    /// Scheduler configuration.
    pub config: SchedulerConfig,
    /// Sampler and its options.
    pub options: SamplerOptions,
    /// Timestep.
    pub t: usize,
    /// What it took.
    pub inputs: Inputs,
    /// x_prev and pred_x0, or how diffusers failed.
    pub result: Result<[Vec<f32>; 2], Failure>,
}

/// How diffusers failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It raised.
    Refused,
    /// It returned NaN or infinities.
    NotFinite,
}

impl Case {
    /// 1e-5 of max(1, max |reference|), and 1e-4 where a level at timestep 0 or 1 enters, because
    /// diffusers computes 1 - alpha_cumprod in f32 there.
    pub fn tolerance(&self) -> f64 {
        let stride = self.config.num_train_timesteps / self.options.num_inference_steps;
        let inverse = self.options.kind == SamplerKind::DdimInverse;
        let lowest = if inverse { self.t.saturating_sub(stride) } else { self.t };
        if lowest <= 1 { 1e-4 } else { 1e-5 }
    }

    /// The row of this timestep, from the public interface: all steps, and the requested one.
    pub fn row(
        &self,
    ) -> Result<(StepCoefficients, Deviation, Option<Thresholding>), DiffusionError> {
        let Self { config, options, t, .. } = self;
        match Steps::new(config, options) {
            Ok(steps) => {
                let i = steps.timesteps.iter().position(|s| s == t).unwrap();
                Ok((steps.rows[i], steps.deviation, steps.thresholding))
            }
            // Another step of the list is impossible, but this one can be computed by itself.
            Err(error) => {
                let schedule = Schedule::new(config)?;
                let stride = config.num_train_timesteps / options.num_inference_steps;
                let below = t.checked_sub(stride);
                let row = match options.kind {
                    SamplerKind::Ddpm => ddpm::coefficients(&schedule, config, *t, below),
                    SamplerKind::Ddim => ddim::coefficients(&schedule, config, options, *t, below),
                    SamplerKind::DdimInverse => ddim::invert(&schedule, config, *t, below),
                };
                row.map(|row| (row, Deviation::Fixed, None)).inspect_err(|own| {
                    assert_eq!(std::mem::discriminant(own), std::mem::discriminant(&error));
                })
            }
        }
    }
}

/// All recorded calls.
pub fn cases() -> Vec<Case> {
    let (cases, file) = (json("steps.json"), Tensors::open("steps.safetensors"));
    let case = |case: &Value| {
        let id = case["id"].as_str().unwrap();
        let mut outputs = case["model_output"].as_str().unwrap().split('+');
        let mut output = || outputs.next().map(|name| file.need(&format!("in.{name}")));
        let result = if case.get("error").is_some() {
            Err(Failure::Refused)
        } else if case.get("nan").is_some() {
            Err(Failure::NotFinite)
        } else {
            let result = |what: &str| file.need(&format!("{id}.{what}"));
            Ok(["prev_sample", "pred_original_sample"].map(result))
        };
        Case {
            id: id.to_owned(),
            config: config(&case["config"]),
            options: SamplerOptions {
                kind: kind(&case["scheduler"]),
                // Without set_timesteps DDPM steps from t to t - 1, as with all T timesteps.
                num_inference_steps: case["num_inference_steps"].as_u64().unwrap_or(1000) as usize,
                eta: case["eta"].as_f64().unwrap_or(0.0),
                use_clipped_model_output: case["use_clipped_model_output"] == true,
                ..SamplerOptions::default()
            },
            t: case["t"].as_u64().unwrap() as usize,
            inputs: Inputs {
                x: file.need(&format!("in.{}", case["sample"].as_str().unwrap())),
                output: output().unwrap(),
                variance: output(),
                noise: case["noise"].as_str().map(|name| file.need(&format!("in.{name}"))),
            },
            result,
        }
    };
    let cases: Vec<Case> = cases["cases"].as_array().unwrap().iter().map(case).collect();
    assert_eq!(cases.len(), 571);
    cases
}
