//! The numbers that training's tables hold, against torch and diffusers: learning rates, AdamW's constants,
//! EMA decays, loss weights.

use crate::common::files;
use serde_json::Value;
use unnoise::config::SchedulerConfig;
use unnoise::config::scheduler::PredictionType;
use unnoise::diffusion::{NoiseLevel, Schedule};
use unnoise::train::config::{Ema, EmaWarmup, LrScheduler, Optimizer};
use unnoise::train::lr::LrSchedule;
use unnoise::train::optimizer::Row;
use unnoise::train::weighting::Weighting;

fn fixture(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(files::fixture(path)).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn learning_rates_are_diffusers() {
    let rates = &fixture("train/optim.json")["lr"];
    for (kind, name) in [
        (LrScheduler::Constant, "constant"),
        (LrScheduler::ConstantWithWarmup, "constant_with_warmup"),
        (LrScheduler::Linear, "linear"),
        (LrScheduler::Cosine, "cosine"),
    ] {
        let lr = LrSchedule { kind, base: 3e-4, warmup_steps: 7, total_steps: 30 };
        let want = numbers(&rates[name]);
        assert!(want.len() > 30);
        for (step, want) in want.into_iter().enumerate() {
            let have = lr.at(step as u64);
            assert!((have - 3e-4 * want).abs() < 1e-18, "{name} {step}: {have}");
        }
    }
    let given = fixture("schedulers/lr_cosine_with_warmup.json");
    let lr = LrSchedule { kind: LrScheduler::Cosine, base: 1.0, warmup_steps: 5, total_steps: 50 };
    for (step, want) in numbers(&given["lr"]).into_iter().enumerate() {
        assert!((lr.at(step as u64) - want).abs() < 1e-15, "{step}");
    }
}

/// Where diffusers' formulas would rise again, divide by zero, or never begin.
#[test]
fn learning_rates_have_ends() {
    let lr =
        |kind, warmup_steps, total_steps| LrSchedule { kind, base: 1.0, warmup_steps, total_steps };
    for kind in [LrScheduler::Linear, LrScheduler::Cosine] {
        assert_eq!(lr(kind, 5, 50).at(50), 0.0);
        assert_eq!(lr(kind, 5, 50).at(u64::MAX), 0.0);
        assert_eq!(lr(kind, 0, 50).at(0), 1.0);
        assert_eq!(lr(kind, 10, 5).at(4), 0.4);
        assert_eq!(lr(kind, 0, 0).at(0), 1.0);
    }
    assert_eq!(lr(LrScheduler::ConstantWithWarmup, 5, 10).at(u64::MAX), 1.0);
}

#[test]
fn ema_decays_are_diffusers() {
    let kinds = fixture("train/optim.json")["ema"].clone();
    for case in kinds.as_array().unwrap() {
        let kind = &case["kind"];
        let number = |name: &str, default| kind[name].as_f64().unwrap_or(default);
        let warms = kind["use_ema_warmup"] == true;
        let ema = Ema {
            max_decay: vec![number("decay", 0.9999)],
            min_decay: number("min_decay", 0.0),
            update_after_step: number("update_after_step", 0.0) as u64,
            warmup: if warms { EmaWarmup::Power } else { EmaWarmup::Plain },
            inv_gamma: number("inv_gamma", 1.0),
            power: number("power", 2.0 / 3.0),
        };
        for (k, want) in numbers(&case["k"]).into_iter().zip(numbers(&case["decay"])) {
            let have = ema.decays(k as u64)[0];
            assert!((have - want).abs() < 1e-15, "{ema:?} {k}: {want}");
        }
    }
    // The issue's own fixture: the decays of a run.
    let meta = fixture("train/meta.json");
    for (kind, ema) in
        [("warmup", Ema::default()), ("plain", Ema { warmup: EmaWarmup::Plain, ..Ema::default() })]
    {
        for (want, k) in numbers(&meta["ema_decays"][kind]).into_iter().zip(1..) {
            assert!((ema.decays(k)[0] - want).abs() < 1e-15, "{kind} {k}");
        }
    }
}

#[test]
fn a_constant_ema_never_warms_up() {
    let ema = Ema { warmup: EmaWarmup::None, max_decay: vec![0.99], ..Ema::default() };
    assert_eq!([1, 2, 1000].map(|k| ema.decays(k)[0]), [0.99; 3]);
    let late = Ema { update_after_step: 5, ..ema };
    assert_eq!([1, 5, 6].map(|k| late.decays(k)[0]), [0.0, 0.0, 0.99]);
}

/// The bias corrections as torch computes them, at the first step and when they have vanished.
#[test]
fn adamw_rows_hold_torchs_constants() {
    let adamw = Optimizer { weight_decay: 1e-2, ..Optimizer::default() };
    let first = Row::new(&adamw, &Ema::default().decays(1), 1e-4, 1);
    assert!((first.step_size - 1e-3).abs() < 1e-17);
    assert!((first.root_scale - 1e-3f64.sqrt().recip()).abs() < 1e-11);
    assert_eq!(first.keep, 1.0 - 1e-6);
    assert_eq!(first.ema_shares, [1.0, 0.0, 0.0, 0.0], "the first update copies");
    assert_eq!(first.to_words()[..2], [1e-4, 0.999_999]);
    let all = Ema { max_decay: vec![0.9999; Ema::MAX_RATES], ..Ema::default() };
    let late = Row::new(&adamw, &all.decays(u64::MAX), 1e-4, u64::MAX);
    assert_eq!([late.step_size, late.root_scale], [1e-4, 1.0]);
    assert!(late.ema_shares.iter().all(|share| (share - 1e-4).abs() < 1e-16));
}

#[test]
fn min_snr_weights_are_diffusers() {
    let given = &fixture("train/optim.json")["min_snr"];
    let gamma = given["gamma"].as_f64().unwrap();
    assert_eq!(gamma, 5.0, "as the limits below have it");
    let schedule = Schedule::new(&SchedulerConfig::from_json("{}", "defaults").unwrap()).unwrap();
    for (predicted, name) in [
        (PredictionType::Epsilon, "epsilon"),
        (PredictionType::Sample, "sample"),
        (PredictionType::VPrediction, "v_prediction"),
    ] {
        for (t, want) in numbers(&given["t"]).into_iter().zip(numbers(&given[name])) {
            let level = schedule.noise_level(t as usize).unwrap();
            let have = Weighting::MinSnr.weight(gamma, level, predicted);
            // diffusers computes in f32, where 1 - a_t cancels at small t.
            let tolerance = if t <= 1.0 { 1e-3 } else { 1e-5 };
            assert!((have / want - 1.0).abs() < tolerance, "{name} {t}: {have} {want}");
            assert_eq!(Weighting::None.weight(gamma, level, predicted), 1.0);
        }
    }
    // With nothing but noise, and with no noise at all, the weights are finite and equal to the limits.
    let weights = |signal, noise| {
        [PredictionType::Epsilon, PredictionType::Sample, PredictionType::VPrediction].map(
            |predicted| Weighting::MinSnr.weight(gamma, NoiseLevel { signal, noise }, predicted),
        )
    };
    assert_eq!(weights(0.0, 1.0), [1.0, 0.0, 0.0]);
    assert_eq!(weights(1.0, 0.0), [0.0, 5.0, 0.0]);
}
