//! Schedules, timestep lists and single steps against numbers made by running diffusers 0.42.1.

use crate::common::scheduler_cases::{
    Failure, Inputs, Tensors, cases, config, distance, json, kind,
};
use serde_json::json;
use unnoise::config::SchedulerConfig;
use unnoise::config::scheduler::{PredictionType, TimestepSpacing, VarianceType};
use unnoise::diffusion::coefficients::threshold;
use unnoise::diffusion::timesteps::timesteps;
use unnoise::diffusion::{
    Deviation, DiffusionError, PreviousTimestep, SamplerKind, SamplerOptions, Schedule,
    StepCoefficients, Steps, Thresholding, ddim, ddpm,
};

fn assert_bits(what: &str, have: &[f32], want: &[f32]) {
    assert_eq!(have.len(), want.len(), "{what}");
    for (t, (h, w)) in have.iter().zip(want).enumerate() {
        assert_eq!(h.to_bits(), w.to_bits(), "{what}[{t}]: {h} for {w}");
    }
}

#[test]
fn tables_are_bit_exact() {
    let file = Tensors::open("tables.safetensors");
    let check = |key: &str, config: &SchedulerConfig| {
        let schedule = Schedule::new(config).unwrap();
        assert_bits(key, &schedule.betas, &file.need(&format!("{key}.betas")));
        let want = file.need(&format!("{key}.alphas_cumprod"));
        assert_bits(key, &schedule.alphas_cumprod, &want);
    };
    for name in ["linear", "scaled_linear", "squaredcos_cap_v2"] {
        check(name, &config(&json!({"beta_schedule": name})));
    }
    for count in [100, 200, 4000] {
        let name = "squaredcos_cap_v2";
        let config = config(&json!({"beta_schedule": name, "num_train_timesteps": count}));
        check(&format!("{name}.T{count}"), &config);
    }
    let sd = json!({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012});
    check("scaled_linear.sd", &config(&sd));
    // Explicit betas are treated in the same way, and override the schedule.
    let given = SchedulerConfig {
        trained_betas: Some(file.need("scaled_linear.sd.betas")),
        ..SchedulerConfig::default()
    };
    check("scaled_linear.sd", &given);
}

/// `fixtures/schedulers/make_schedules.py` made them with the two classes of diffusers that have these schedules.
#[test]
fn laplace_and_exp_are_diffusers_to_the_bit() {
    let file = Tensors::open("schedules.safetensors");
    for name in ["laplace", "exp"] {
        for count in [1000, 100] {
            let given = config(&json!({"beta_schedule": name, "num_train_timesteps": count}));
            let schedule = Schedule::new(&given).unwrap();
            let key = format!("{name}.T{count}");
            assert_bits(&key, &schedule.betas, &file.need(&format!("{key}.betas")));
            let want = file.need(&format!("{key}.alphas_cumprod"));
            assert_bits(&key, &schedule.alphas_cumprod, &want);
        }
    }
}

/// A class of diffusers refuses a schedule that it does not know, so the betas themselves are written.
#[test]
fn schedules_that_a_class_does_not_know_are_written_as_betas() {
    for (class, name, listed) in [
        ("DDPMScheduler", "laplace", false),
        ("DDIMScheduler", "laplace", true),
        ("DDIMScheduler", "sigmoid", true),
        ("DDPMScheduler", "exp", true),
        ("DDIMScheduler", "squaredcos_cap_v2", false),
    ] {
        let before = config(&json!({"_class_name": class, "beta_schedule": name}));
        let text = before.to_json();
        let after = SchedulerConfig::from_json(&text, "written").unwrap();
        assert_eq!(after.trained_betas.is_some(), listed, "{class} {name}");
        let written: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written["beta_schedule"], if listed { "linear" } else { name });
        assert_eq!(Schedule::new(&after), Schedule::new(&before), "{class} {name}");
    }
}

/// torch's vectorised f32 exponential differs from a correctly rounded one in some last bits.
#[test]
fn sigmoid_tables_agree_to_two_ulps() {
    let file = Tensors::open("tables.safetensors");
    let schedule = Schedule::new(&config(&json!({"beta_schedule": "sigmoid"}))).unwrap();
    let mut equal = 0;
    for (have, want) in schedule.betas.iter().zip(&file.need("sigmoid.betas")) {
        assert!(have.to_bits().abs_diff(want.to_bits()) <= 2, "{have} for {want}");
        equal += usize::from(have == want);
    }
    assert!(equal > 950, "{equal} of 1000 betas are equal");
    for (have, want) in schedule.alphas_cumprod.iter().zip(&file.need("sigmoid.alphas_cumprod")) {
        assert!((have - want).abs() <= 4e-7 * want, "{have} for {want}");
    }
}

/// Rescaled betas are 1 - (a quotient near 1) of differences of f32 square roots: an ulp of a root is
/// up to 4e-6 of a beta near the end, where roots are small, and no order of correctly rounded f32
/// operations gives diffusers' bits. What counts is exact: it ends at 0.
#[test]
fn zero_terminal_snr_tables_agree() {
    let file = Tensors::open("tables.safetensors");
    for name in ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"] {
        let config = json!({"beta_schedule": name, "rescale_betas_zero_snr": true});
        let schedule = Schedule::new(&crate::common::scheduler_cases::config(&config)).unwrap();
        let check = |table: &[f32], key: &str, limit: f32| {
            for (t, (have, want)) in
                table.iter().zip(&file.need(&format!("{name}.zero_snr.{key}"))).enumerate()
            {
                assert!((have - want).abs() <= limit, "{name} {key}[{t}]: {have} for {want}");
            }
        };
        check(&schedule.betas, "betas", 5e-6);
        check(&schedule.alphas_cumprod, "alphas_cumprod", 6e-7);
        assert_eq!((schedule.betas[999], schedule.alphas_cumprod[999]), (1.0, 0.0));
    }
}

/// `_get_variance` of the fixed types (before `step` makes a deviation of it).
#[test]
fn fixed_variances_agree() {
    let file = Tensors::open("tables.safetensors");
    for name in ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"] {
        for variance in ["fixed_small", "fixed_small_log", "fixed_large"] {
            let config = config(&json!({"beta_schedule": name, "variance_type": variance}));
            let schedule = Schedule::new(&config).unwrap();
            let want = file.need(&format!("{name}.variance.{variance}"));
            for t in 1..1000 {
                let row = ddpm::coefficients(&schedule, &config, t, Some(t - 1)).unwrap();
                let log = variance == "fixed_small_log";
                let have = if log { row.sigma } else { row.sigma * row.sigma };
                let (want, level) = (f64::from(want[t]), schedule.alpha_cumprod(t).unwrap());
                // f32 cancellation in 1 - a_t / a_prev and in 1 - a, in diffusers.
                let cancels = 1.2e-7 / (1.0 - level) + 1.2e-7 / f64::from(schedule.betas[t]);
                assert!(
                    (have / want - 1.0).abs() < 1e-6 + 2.0 * cancels,
                    "{name} {variance} {t}: {have} for {want}"
                );
            }
        }
    }
}

#[test]
fn timestep_lists_are_equal() {
    let lists = json("timesteps.json");
    let lists = lists["timesteps"].as_object().unwrap();
    assert_eq!(lists.len(), 60);
    for (key, want) in lists {
        let want: Vec<usize> =
            want.as_array().unwrap().iter().map(|t| t.as_u64().unwrap() as usize).collect();
        let (inverse, rest) = match key.strip_prefix("inverse.") {
            Some(rest) => (true, rest),
            None => (false, key.as_str()),
        };
        let mut parts = rest.split('.');
        let spacing = parts.next().unwrap();
        let count: usize = parts.next().unwrap()[1..].parse().unwrap();
        let steps_offset: usize = parts.next().unwrap()[6..].parse().unwrap();
        let config = json!({"timestep_spacing": spacing, "steps_offset": steps_offset});
        let config = crate::common::scheduler_cases::config(&config);
        if want.contains(&1000) {
            // diffusers makes the list and fails with an IndexError in step.
            let error = timesteps(&config, count).unwrap_err();
            let expected = DiffusionError::TimestepRange {
                t: 1000,
                num_train_timesteps: 1000,
                steps_offset: 1,
            };
            assert_eq!(error, expected, "{key}");
            continue;
        }
        let kinds: &[SamplerKind] = if inverse {
            &[SamplerKind::DdimInverse]
        } else {
            &[SamplerKind::Ddim, SamplerKind::Ddpm]
        };
        for &kind in kinds {
            let options =
                SamplerOptions { kind, num_inference_steps: count, ..SamplerOptions::default() };
            assert_eq!(Steps::new(&config, &options).unwrap().timesteps, want, "{key}");
        }
    }
}

/// The CPU twin on tensors of shape `[2, C, 4, 4]`: x_prev and pred_x0.
fn run(
    row: &StepCoefficients,
    deviation: Deviation,
    thresholding: Option<Thresholding>,
    inputs: &Inputs,
) -> [Vec<f64>; 2] {
    let (mut x_prev, mut pred_x0) = (Vec::new(), Vec::new());
    let per_image = inputs.x.len() / 2;
    for n in 0..2 {
        let range = n * per_image..(n + 1) * per_image;
        let limit = thresholding.map(|Thresholding { ratio, max }| {
            let raw = |i| row.raw_x0(f64::from(inputs.x[i]), f64::from(inputs.output[i])) as f32;
            threshold(&range.clone().map(raw).collect::<Vec<_>>(), ratio, max)
        });
        for i in range {
            let at = |list: &Option<Vec<f32>>| list.as_ref().map_or(f64::NAN, |l| f64::from(l[i]));
            let element = [
                f64::from(inputs.x[i]),
                f64::from(inputs.output[i]),
                at(&inputs.variance),
                at(&inputs.noise),
            ];
            let (prev, x0) = row.apply(deviation, limit, element);
            x_prev.push(prev);
            pred_x0.push(x0);
        }
    }
    [x_prev, pred_x0]
}

#[test]
fn steps_agree_with_diffusers() {
    let (mut compared, mut refused, mut worst) = (0, 0, [0.0_f64; 2]);
    for case in cases() {
        let (id, t, row) = (&case.id, case.t, case.row());
        let want = match &case.result {
            Ok(want) => want,
            Err(failure) => {
                let error = row.expect_err(id);
                match (failure, case.options.kind) {
                    (Failure::Refused, _) => {
                        assert!(matches!(error, DiffusionError::TimestepRange { t: 1000, .. }));
                    }
                    (Failure::NotFinite, SamplerKind::Ddpm) => {
                        assert_eq!(error, DiffusionError::FixedLargeLog, "{id}");
                    }
                    (Failure::NotFinite, _) => {
                        assert_eq!(error, DiffusionError::NoNoise { t }, "{id}");
                    }
                }
                refused += 1;
                continue;
            }
        };
        let (row, deviation, thresholding) = row.unwrap_or_else(|e| panic!("{id}: {e}"));
        let have = run(&row, deviation, thresholding, &case.inputs);
        let tolerance = case.tolerance();
        for (what, (have, want)) in ["x_prev", "pred_x0"].iter().zip(have.iter().zip(want)) {
            let error = distance(have, want);
            assert!(error <= tolerance, "{id} {what}: {error:e}, {:?}", case.config);
            let slot = &mut worst[usize::from(tolerance < 5e-5)];
            *slot = slot.max(error);
        }
        compared += 1;
    }
    assert_eq!((compared, refused), (550, 21));
    println!("worst: t <= 1 {:.1e}, elsewhere {:.1e}", worst[0], worst[1]);
}

#[test]
fn traces_agree_with_diffusers() {
    let (cases, file) = (json("steps.json"), Tensors::open("steps.safetensors"));
    let traces = cases["traces"].as_array().unwrap();
    assert_eq!(traces.len(), 13);
    let (x0, outputs, noises) =
        (file.need("trace.x0"), file.need("trace.model_outputs"), file.need("trace.noises"));
    for trace in traces {
        let id = trace["id"].as_str().unwrap();
        let config = config(&trace["config"]);
        let options = SamplerOptions {
            kind: kind(&trace["scheduler"]),
            num_inference_steps: 10,
            eta: trace["eta"].as_f64().unwrap_or(0.0),
            ..SamplerOptions::default()
        };
        let steps = Steps::new(&config, &options).unwrap();
        let want: Vec<u64> =
            trace["timesteps"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap()).collect();
        assert_eq!(steps.timesteps.iter().map(|&t| t as u64).collect::<Vec<_>>(), want, "{id}");
        let want = file.need(&format!("{id}.x"));
        let mut x = x0.clone();
        let len = x.len();
        for (i, row) in steps.rows.iter().enumerate() {
            let inputs = Inputs {
                x,
                output: outputs[i * len..][..len].to_vec(),
                variance: None,
                noise: Some(noises[i * len..][..len].to_vec()),
            };
            let [x_prev, _] = run(row, steps.deviation, None, &inputs);
            let error = distance(&x_prev, &want[i * len..][..len]);
            // Ten steps' roundings; the first of the inversion and the last of the others touch t = 0.
            assert!(error <= 1e-4, "{id} step {i}: {error:e}");
            x = x_prev.into_iter().map(|v| v as f32).collect();
        }
    }
}

#[test]
fn q_sample_and_velocity_agree() {
    let (cases, file) = (json("steps.json"), Tensors::open("steps.safetensors"));
    let (x0, noise) = (file.need("in.sample"), file.need("in.noise"));
    let keys = cases["add_noise_keys"].as_array().unwrap();
    assert_eq!(keys.len(), 16);
    for key in keys {
        let key = key.as_str().unwrap();
        let (schedule, times) = key.rsplit_once(".t").unwrap();
        let zero_snr = schedule.ends_with(".zero_snr");
        let name = schedule.trim_end_matches(".zero_snr");
        let config = json!({"beta_schedule": name, "rescale_betas_zero_snr": zero_snr});
        let schedule = Schedule::new(&crate::common::scheduler_cases::config(&config)).unwrap();
        let times: Vec<usize> = times.split('_').map(|t| t.parse().unwrap()).collect();
        let (mut noised, mut velocity) = (Vec::new(), Vec::new());
        for (i, (&x, &z)) in x0.iter().zip(&noise).enumerate() {
            let level = schedule.noise_level(times[i / (x0.len() / 2)]).unwrap();
            noised.push(level.q_sample(f64::from(x), f64::from(z)));
            velocity.push(level.velocity(f64::from(x), f64::from(z)));
        }
        // t = 0 is among them: sqrt(1 - a) of an f32 difference.
        let limit = if times.contains(&0) { 1e-4 } else { 1e-5 };
        for (what, have) in [("add_noise", &noised), ("get_velocity", &velocity)] {
            let error = distance(have, &file.need(&format!("{what}.{key}")));
            assert!(error <= limit, "{what}.{key}: {error:e}");
        }
    }
}

#[test]
fn previous_timestep_switch() {
    // trailing, 7 of 1000: t - 1000 // 7 = 857 is not the list's 856.
    let config = SchedulerConfig {
        timestep_spacing: TimestepSpacing::Trailing,
        ..SchedulerConfig::default()
    };
    let schedule = Schedule::new(&config).unwrap();
    let options = SamplerOptions { num_inference_steps: 7, ..SamplerOptions::default() };
    let corrected =
        SamplerOptions { previous_timestep: PreviousTimestep::NextInList, ..options.clone() };
    let step = |to| ddim::coefficients(&schedule, &config, &options, 999, Some(to)).unwrap();
    assert_eq!(Steps::new(&config, &options).unwrap().rows[0], step(857));
    assert_eq!(Steps::new(&config, &corrected).unwrap().rows[0], step(856));
    // A given list is walked entry by entry, no matter what the switch says, and ends at x_0.
    let given = SamplerOptions { timesteps: Some(vec![999, 400, 17]), ..options.clone() };
    let steps = Steps::new(&config, &given).unwrap();
    assert_eq!(steps.timesteps, [999, 400, 17]);
    assert_eq!(steps.rows[0], step(400));
    let last = ddim::coefficients(&schedule, &config, &options, 17, None).unwrap();
    assert_eq!(steps.rows[2], last);
    assert_eq!(last.p0, 1.0);
}

#[test]
fn quadratic_spacing_is_the_papers() {
    let config = SchedulerConfig {
        timestep_spacing: TimestepSpacing::Quadratic,
        ..SchedulerConfig::default()
    };
    let list = timesteps(&config, 10).unwrap();
    assert_eq!(list, [800, 632, 483, 355, 246, 158, 88, 39, 9, 0]);
    // Entries that coincide are visited once.
    let long = timesteps(&config, 1000).unwrap();
    assert!(long.len() < 1000 && long.windows(2).all(|pair| pair[0] > pair[1]));
    // diffusers' stride has no meaning here: a step ends at the next entry.
    let options = SamplerOptions { num_inference_steps: 10, ..SamplerOptions::default() };
    let schedule = Schedule::new(&config).unwrap();
    let want = ddim::coefficients(&schedule, &config, &options, 800, Some(632)).unwrap();
    assert_eq!(Steps::new(&config, &options).unwrap().rows[0], want);
}

#[test]
fn sampler_extensions() {
    // DDIM at eta 1 is DDPM with the posterior variance (DDIM, section 4.1), where neither clips.
    let config = SchedulerConfig { clip_sample: false, ..SchedulerConfig::default() };
    let options = SamplerOptions { num_inference_steps: 20, eta: 1.0, ..SamplerOptions::default() };
    let ancestral = SamplerOptions { kind: SamplerKind::Ddpm, ..options.clone() };
    let (a, b) = (Steps::new(&config, &options).unwrap(), Steps::new(&config, &ancestral).unwrap());
    for (i, (a, b)) in a.rows.iter().zip(&b.rows).enumerate().take(19) {
        let x = [0.3, -0.7, 0.0, 0.9];
        let (a, b) = (a.apply(Deviation::Fixed, None, x).0, b.apply(Deviation::Fixed, None, x).0);
        assert!((a - b).abs() < 1e-9 * a.abs().max(1.0), "step {i}: {a} {b}");
    }
    // sigma-hat changes only the noise, to the larger variance.
    let hat = SamplerOptions { sigma_hat: true, ..options };
    for (hat, eta) in Steps::new(&config, &hat).unwrap().rows.iter().zip(&a.rows) {
        assert!(hat.sigma > eta.sigma);
        assert_eq!(StepCoefficients { sigma: eta.sigma, ..*hat }, *eta);
    }
    // At eta 0 these steps add no noise.
    assert!(!Steps::new(&config, &SamplerOptions::default()).unwrap().noisy());
    // A table is VEC4 vec4s a step, and rounds once.
    let table = a.table();
    assert_eq!(table.len(), 20 * StepCoefficients::VEC4 * 4);
    assert_eq!(table[12], a.rows[1].kx as f32);
}

#[test]
fn requests_that_cannot_be_met_are_refused_by_name() {
    use DiffusionError as E;
    let base = SchedulerConfig::default();
    let ddim = SamplerOptions::default();
    let ddpm = SamplerOptions { kind: SamplerKind::Ddpm, ..ddim.clone() };
    let fails = |config: &SchedulerConfig, options: &SamplerOptions| {
        Steps::new(config, options).expect_err("this request cannot be met")
    };
    let steps = |n| SamplerOptions { num_inference_steps: n, ..ddim.clone() };
    assert_eq!(fails(&base, &steps(0)), E::StepCount { have: 0, max: 1000 });
    assert_eq!(fails(&base, &steps(1001)), E::StepCount { have: 1001, max: 1000 });
    let offset = SchedulerConfig { steps_offset: 1, ..base.clone() };
    assert_eq!(
        fails(&offset, &steps(1000)),
        E::TimestepRange { t: 1000, num_train_timesteps: 1000, steps_offset: 1 }
    );
    let given = |list: &[usize]| SamplerOptions { timesteps: Some(list.to_vec()), ..ddim.clone() };
    assert_eq!(fails(&base, &given(&[])), E::StepCount { have: 0, max: 1000 });
    assert_eq!(fails(&base, &given(&[5, 5])), E::TimestepOrder { t: 5, next: 5 });
    assert_eq!(
        fails(&base, &given(&[1000, 5])),
        E::TimestepRange { t: 1000, num_train_timesteps: 1000, steps_offset: 0 }
    );
    let large_log = SchedulerConfig { variance_type: VarianceType::FixedLargeLog, ..base.clone() };
    assert_eq!(fails(&large_log, &ddpm), E::FixedLargeLog);
    assert!(Steps::new(&large_log, &ddim).is_ok(), "DDIM has no variance_type");
    let zero = SchedulerConfig {
        rescale_betas_zero_snr: true,
        clip_sample: false,
        timestep_spacing: TimestepSpacing::Trailing,
        ..base.clone()
    };
    assert_eq!(fails(&zero, &ddim), E::ZeroSnr { t: 999 });
    assert_eq!(fails(&zero, &ddpm), E::ZeroSnr { t: 999 });
    let eta = |eta| SamplerOptions { eta, ..ddim.clone() };
    assert_eq!(fails(&base, &eta(-0.1)), E::Eta { eta: -0.1 });
    assert!(matches!(fails(&base, &eta(f64::NAN)), E::Eta { .. }));
    assert!(matches!(fails(&base, &eta(3.0)), E::EtaTooLarge { .. }));
    let inverse = SamplerOptions { kind: SamplerKind::DdimInverse, ..ddim.clone() };
    let linspace = SchedulerConfig { timestep_spacing: TimestepSpacing::Linspace, ..base.clone() };
    assert_eq!(fails(&linspace, &inverse), E::InverseSpacing);
    let sample = SchedulerConfig { prediction_type: PredictionType::Sample, ..base.clone() };
    assert_eq!(fails(&sample, &inverse), E::NoNoise { t: 0 });
    let empty = SchedulerConfig { num_train_timesteps: 0, ..base.clone() };
    assert!(matches!(fails(&empty, &ddim), E::TrainTimesteps { have: 0, .. }));
    let betas = |list: &[f32]| SchedulerConfig {
        num_train_timesteps: 4,
        trained_betas: Some(list.to_vec()),
        ..base.clone()
    };
    assert_eq!(fails(&betas(&[0.1; 3]), &steps(4)), E::TrainedBetas { need: 4, have: 3 });
    assert_eq!(fails(&betas(&[0.1, 1.5, 0.1, 0.1]), &steps(4)), E::Beta { t: 1, beta: 1.5 });
    assert!(matches!(fails(&betas(&[f32::NAN; 4]), &steps(4)), E::Beta { t: 0, .. }));
    // No noise in the schedule's first step: 0 / 0 in the posterior.
    let ddpm4 = SamplerOptions { num_inference_steps: 4, ..ddpm.clone() };
    let noiseless = SchedulerConfig { clip_sample: false, ..betas(&[0.0, 0.1, 0.1, 0.1]) };
    assert!(matches!(fails(&noiseless, &ddpm4), E::NotFinite { t: 0, .. }));
    let setting = |config: SchedulerConfig| match fails(&config, &ddim) {
        E::Setting { key, .. } => key,
        other => panic!("{other}"),
    };
    assert_eq!(
        setting(SchedulerConfig { clip_sample_range: 0.0, ..base.clone() }),
        "clip_sample_range"
    );
    let thresholding = SchedulerConfig { thresholding: true, ..base.clone() };
    assert_eq!(
        setting(SchedulerConfig { sample_max_value: f64::NAN, ..thresholding.clone() }),
        "sample_max_value"
    );
    assert_eq!(
        setting(SchedulerConfig { dynamic_thresholding_ratio: 1.1, ..thresholding }),
        "dynamic_thresholding_ratio"
    );
}

#[test]
fn the_networks_channels_must_fit_the_variance() {
    let check = |variance_type, kind, out_channels| {
        let config = SchedulerConfig { variance_type, ..SchedulerConfig::default() };
        let options = SamplerOptions { kind, ..SamplerOptions::default() };
        Steps::new(&config, &options).unwrap().check_model(&config, &options, 3, out_channels)
    };
    let (small, range) = (VarianceType::FixedSmall, VarianceType::LearnedRange);
    assert_eq!(check(small, SamplerKind::Ddpm, 3), Ok(()));
    assert_eq!(check(range, SamplerKind::Ddpm, 6), Ok(()));
    assert_eq!(check(range, SamplerKind::Ddim, 6), Ok(()));
    assert_eq!(check(range, SamplerKind::Ddim, 3), Ok(()));
    let refusal = |variance, need, have| {
        Err(DiffusionError::OutputChannels { variance, channels: 3, need, have })
    };
    assert_eq!(check(range, SamplerKind::Ddpm, 3), refusal("learned_range", 6, 3));
    assert_eq!(check(small, SamplerKind::Ddpm, 6), refusal("fixed_small", 3, 6));
    assert_eq!(check(small, SamplerKind::Ddim, 4), refusal("of DDIM", 3, 4));
}

/// Improved DDPM's learned range (eq. 15), mean and clipped x_0, against f64 numbers from the paper's
/// formulas. diffusers' alphas_cumprod are f32, so beta, a difference of them, is known to 1.2e-7.
#[test]
fn learned_range_agrees_with_improved_ddpm() {
    let file = Tensors::open("../improved_ddpm/vlb.safetensors");
    let (v, eps) = (file.need("in.vlb.v"), file.need("in.vlb.eps_pred"));
    let per_item = v.len() / 5;
    for (name, schedule) in [("linear", "linear"), ("cosine", "squaredcos_cap_v2")] {
        let x_t = file.need(&format!("out.vlb.{name}.x_t"));
        for clip in [false, true] {
            let config = config(&json!({
                "beta_schedule": schedule, "variance_type": "learned_range", "clip_sample": clip,
            }));
            let key = format!("out.vlb.{name}.clip{}", u8::from(clip));
            let want = |what: &str| file.need(&format!("{key}.{what}"));
            let (mean, logvar, x_0) =
                (want("model_mean"), want("model_logvar"), want("pred_xstart"));
            let schedule = Schedule::new(&config).unwrap();
            // Item 0 is t = 0, where diffusers adds no noise and the paper's code borrows beta~_1.
            for (item, t) in [(1, 1), (2, 37), (3, 500), (4, 999)] {
                let row = ddpm::coefficients(&schedule, &config, t, Some(t - 1)).unwrap();
                let known = 1.2e-7 / f64::from(schedule.betas[t])
                    + 1.2e-7 / (1.0 - f64::from(schedule.alphas_cumprod[t - 1]));
                for i in item * per_item..(item + 1) * per_item {
                    let at = |values: &[f32]| f64::from(values[i]);
                    let step = |z| {
                        row.apply(Deviation::LearnedRange, None, [at(&x_t), at(&eps), at(&v), z])
                    };
                    let ((quiet, x0), (noisy, _)) = (step(0.0), step(1.0));
                    let log = 2.0 * (noisy - quiet).ln();
                    let near = |what: &str, have: f64, want: f64, limit: f64| {
                        let limit = limit * want.abs().max(1.0);
                        assert!((have - want).abs() <= limit, "{key} {what} {t}: {have} {want}");
                    };
                    // A range in v up to 1.2 stretches the logarithms' errors by 1.1.
                    near("log variance", log, at(&logvar), 1e-6 + 2.2 * known);
                    near("mean", quiet, at(&mean), 1e-5 + known);
                    near("pred_x0", x0, at(&x_0), 3e-5);
                }
            }
        }
    }
}
