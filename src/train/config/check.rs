//! The ranges and defaults of the settings, and combinations that are not allowed.

use super::*;
use crate::words::parse_duration;
use std::fmt::Display;
use std::time::Duration;

/// The most micro-steps of an update.
const MAX_ACCUMULATION: usize = 1024;

impl Config {
    /// Checks every setting. `at` says where a setting was given.
    pub(super) fn check(&self, at: &dyn Fn(&str) -> String) -> Result<(), SettingError> {
        let wrong = |key: &str, found: &dyn Display, expected: &str| {
            let (key, found, expected) = (key.to_owned(), found.to_string(), expected.to_owned());
            Err(SettingError::Value { at: at(&key), key, found, expected })
        };
        let Self { data, diffusion, loss, optimizer, lr, ema, training, sampling, .. } = self;
        if data.path.trim().is_empty() {
            return wrong(
                "data.path",
                &"empty",
                "a folder, archive or file (--data PATH), or builtin:emoji",
            );
        }
        let max = crate::config::MAX_SIDE;
        if let Some([h, w]) = data.resolution.0.filter(|sides| sides.iter().any(|&n| n > max)) {
            return wrong(
                "data.resolution",
                &format!("{h}x{w}"),
                &format!("at most {max} each way"),
            );
        }
        if !matches!(data.channels, 0 | 1 | 3 | 4) {
            return wrong("data.channels", &data.channels, "1, 3 or 4, or 0 for those of the data");
        }
        if self.background().is_none() {
            return wrong("data.background", &data.background, "a colour as #rrggbb");
        }

        // The GPU computes in 32 bits: a number that f32 cannot hold would become infinite or zero.
        let positive = |x: f64| x > 0.0 && (x as f32).is_normal();
        let not_negative = |x: f64| x.is_finite() && x >= 0.0;
        let below_one = |x: f64| (0.0..1.0).contains(&x);
        let any_share = |x: f64| (0.0..=1.0).contains(&x);
        type Rule<'r> = (&'r str, f64, &'r dyn Fn(f64) -> bool, &'r str);
        let rules: [Rule; 15] = [
            ("loss.huber_delta", loss.huber_delta, &positive, "above 0; 0.1 is usual"),
            ("loss.snr_gamma", loss.snr_gamma, &positive, "above 0; 5 is usual"),
            ("optimizer.lr", optimizer.lr, &positive, "above 0; 1e-4 to 4e-4 is usual"),
            ("optimizer.beta1", optimizer.beta1, &below_one, "from 0 to below 1; 0.9 is usual"),
            ("optimizer.beta2", optimizer.beta2, &below_one, "from 0 to below 1; 0.999 is usual"),
            ("optimizer.eps", optimizer.eps, &positive, "above 0; 1e-8 is usual"),
            ("optimizer.weight_decay", optimizer.weight_decay, &not_negative, "0 or more"),
            ("optimizer.max_grad_norm", optimizer.max_grad_norm, &not_negative, "0 (none) or more"),
            ("ema.inv_gamma", ema.inv_gamma, &positive, "above 0; 1 is usual"),
            ("ema.power", ema.power, &positive, "above 0; 0.75 is usual"),
            ("ema.min_decay", ema.min_decay, &below_one, "from 0 to below 1"),
            ("training.class_dropout", training.class_dropout, &any_share, "a share from 0 to 1"),
            ("model.dropout", self.model.dropout, &below_one, "a share from 0 to below 1"),
            ("sampling.eta", sampling.eta, &not_negative, "0 or more"),
            ("diffusion.beta_end", diffusion.beta_end, &below_one, "from 0 to below 1"),
        ];
        for (key, x, ok, expected) in rules {
            if !ok(x) {
                return wrong(key, &x, expected);
            }
        }
        if self.output.dir.trim().is_empty() {
            return wrong("output.dir", &"empty", "a folder for the run (--out DIR)");
        }
        let counts: [(&str, u64); 5] = [
            ("training.batch_size", training.batch_size as u64),
            ("training.max_steps", training.max_steps),
            ("training.log_every", training.log_every),
            ("sampling.count", sampling.count as u64),
            ("checkpoints.every", self.checkpoints.every),
        ];
        for (key, n) in counts {
            // Steps and pictures are counted in 32 bits on the GPU.
            if !(1..=u64::from(u32::MAX)).contains(&n) {
                return wrong(key, &n, "a whole number from 1 to 4294967295");
            }
        }
        // The tables of an update hold all its micro-steps.
        let accumulation = training.gradient_accumulation_steps;
        if !(1..=MAX_ACCUMULATION).contains(&accumulation) {
            let expected =
                format!("from 1 to {MAX_ACCUMULATION}; a larger --train-batch-size does the same");
            return wrong("training.gradient_accumulation_steps", &accumulation, &expected);
        }
        if let Some(rate) = ema.max_decay.iter().find(|rate| !below_one(**rate)) {
            return wrong("ema.max_decay", rate, "from 0 to below 1; 0.9999 is usual");
        }
        let distinct = |i: usize| !ema.max_decay[..i].contains(&ema.max_decay[i]);
        if ema.max_decay.len() > Ema::MAX_RATES || !(0..ema.max_decay.len()).all(distinct) {
            let expected = format!("at most {} different rates", Ema::MAX_RATES);
            return wrong("ema.max_decay", &format!("{:?}", ema.max_decay), &expected);
        }
        if !training.max_time.is_empty() && self.max_time().is_none() {
            return wrong(
                "training.max_time",
                &training.max_time,
                "a time such as 90s, 30m, 2h or 1h30m",
            );
        }
        // In a preset or file it may be meant for longer runs (`Config::warmup_steps`).
        let asked = at("lr.warmup_steps").starts_with("--");
        let warms = lr.scheduler != LrScheduler::Constant;
        if asked && warms && lr.warmup_steps > training.max_steps {
            let expected = format!("at most training.max_steps, which is {}", training.max_steps);
            return wrong("lr.warmup_steps", &lr.warmup_steps, &expected);
        }
        let timesteps = diffusion.num_train_timesteps;
        if !(1..=timesteps).contains(&sampling.steps) {
            let expected = format!("from 1 to diffusion.num_train_timesteps, which is {timesteps}");
            return wrong("sampling.steps", &sampling.steps, &expected);
        }
        // Trailing timesteps end at T / steps - 1, which must not be 0.
        if self.model.time_embedding_type == "fourier" && 2 * sampling.steps > timesteps {
            let expected = format!(
                "at most half of diffusion.num_train_timesteps, which is {timesteps}, with a fourier embedding"
            );
            return wrong("sampling.steps", &sampling.steps, &expected);
        }
        if diffusion.rescale_betas_zero_snr && diffusion.prediction_type == "epsilon" {
            // Where nothing is left of x_0, eps contains nothing about it.
            let expected = "false, or diffusion.prediction_type v_prediction or sample";
            return wrong("diffusion.rescale_betas_zero_snr", &true, expected);
        }
        if diffusion.variance_type.starts_with("learned") {
            return wrong(
                "diffusion.variance_type",
                &diffusion.variance_type,
                "fixed_small or fixed_large",
            );
        }
        self.scheduler()?;
        let channels = if data.channels == 0 { 3 } else { data.channels };
        let classes = training.class_conditional.then_some(1);
        self.unet(channels, data.resolution.0, classes)?;
        Ok(())
    }

    /// After which time to stop.
    pub fn max_time(&self) -> Option<Duration> {
        parse_duration(&self.training.max_time)
    }

    /// `data.background` as RGB; `None` if it is not a colour.
    pub fn background(&self) -> Option<[u8; 3]> {
        let digits = self.data.background.strip_prefix('#')?;
        let hex = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let [_, r, g, b] = u32::from_str_radix(digits, 16).ok().filter(|_| hex)?.to_be_bytes();
        Some([r, g, b])
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            path: String::new(),
            resolution: Resolution(None),
            channels: 0,
            fit: Fit::Crop,
            background: "#ffffff".to_owned(),
            random_flip: false,
            max_broken: 100,
            cache_mib: 4096,
        }
    }
}

impl Default for Model {
    /// A small network for 32x32. The other keys have the defaults of diffusers' constructor.
    fn default() -> Self {
        let names = |list: [&str; 3]| list.map(str::to_owned).to_vec();
        Self {
            block_out_channels: vec![32, 64, 96],
            down_block_types: names(["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"]),
            up_block_types: names(["AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"]),
            layers_per_block: 1,
            attention_head_dim: 8,
            add_attention: true,
            norm_num_groups: 8,
            attn_norm_num_groups: 0,
            norm_eps: 1e-5,
            act_fn: "silu".to_owned(),
            dropout: 0.0,
            resnet_time_scale_shift: "default".to_owned(),
            time_embedding_type: "positional".to_owned(),
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            downsample_padding: 1,
            downsample_type: "conv".to_owned(),
            upsample_type: "conv".to_owned(),
        }
    }
}

impl Default for Diffusion {
    /// Those of DDPM.
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_schedule: "linear".to_owned(),
            beta_start: 1e-4,
            beta_end: 0.02,
            prediction_type: "epsilon".to_owned(),
            variance_type: "fixed_small".to_owned(),
            clip_sample: true,
            rescale_betas_zero_snr: false,
        }
    }
}

impl Default for Loss {
    /// L_simple.
    fn default() -> Self {
        Self { kind: LossKind::Mse, huber_delta: 0.1, weighting: Weighting::None, snr_gamma: 5.0 }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            lr: 1e-4,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
        }
    }
}

impl Default for Lr {
    fn default() -> Self {
        Self { scheduler: LrScheduler::ConstantWithWarmup, warmup_steps: 500 }
    }
}

impl Default for Ema {
    /// Those of diffusers' train_unconditional.py.
    fn default() -> Self {
        Self {
            max_decay: vec![0.9999],
            warmup: EmaWarmup::Power,
            inv_gamma: 1.0,
            power: 0.75,
            min_decay: 0.0,
            update_after_step: 0,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            batch_size: 16,
            gradient_accumulation_steps: 1,
            max_steps: 10_000,
            max_time: String::new(),
            seed: 0,
            class_conditional: false,
            class_dropout: 0.1,
            recompute: false,
            log_every: 10,
            max_skipped: 50,
        }
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self { every: 500, count: 16, sampler: Sampler::Ddim, steps: 50, eta: 0.0, seed: 42 }
    }
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { every: 500, keep: 3 }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self { dir: "runs/default".to_owned(), csv: true, jsonl: true, tensorboard: true }
    }
}
