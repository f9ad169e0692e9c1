//! Flags of `unnoise train`: the names of diffusers' `train_unconditional.py`, and the settings they set.

/// A flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flag {
    /// Without the leading dashes.
    pub name: &'static str,
    /// Another name for it.
    pub alias: Option<&'static str>,
    /// The setting.
    pub key: &'static str,
    /// What the flag alone sets it to; `None` for a flag that takes a value.
    pub value: Option<&'static str>,
}

const fn flag(name: &'static str, key: &'static str) -> Flag {
    Flag { name, alias: None, key, value: None }
}

const fn alias(name: &'static str, alias: &'static str, key: &'static str) -> Flag {
    Flag { name, alias: Some(alias), key, value: None }
}

const fn switch(name: &'static str, key: &'static str, value: &'static str) -> Flag {
    Flag { name, alias: None, key, value: Some(value) }
}

/// All of them.
pub const FLAGS: &[Flag] = &[
    alias("data", "train-data-dir", "data.path"),
    flag("resolution", "data.resolution"),
    switch("center-crop", "data.fit", "crop"),
    switch("random-flip", "data.random_flip", "true"),
    switch("class-conditional", "training.class_conditional", "true"),
    alias("max-steps", "max-train-steps", "training.max_steps"),
    flag("max-time", "training.max_time"),
    flag("seed", "training.seed"),
    flag("train-batch-size", "training.batch_size"),
    flag("gradient-accumulation-steps", "training.gradient_accumulation_steps"),
    alias("recompute", "gradient-checkpointing", "training.recompute").with("true"),
    flag("learning-rate", "optimizer.lr"),
    flag("adam-beta1", "optimizer.beta1"),
    flag("adam-beta2", "optimizer.beta2"),
    flag("adam-weight-decay", "optimizer.weight_decay"),
    flag("adam-epsilon", "optimizer.eps"),
    flag("max-grad-norm", "optimizer.max_grad_norm"),
    flag("lr-scheduler", "lr.scheduler"),
    flag("lr-warmup-steps", "lr.warmup_steps"),
    flag("ema-max-decay", "ema.max_decay"),
    flag("ema-inv-gamma", "ema.inv_gamma"),
    flag("ema-power", "ema.power"),
    flag("dropout", "model.dropout"),
    flag("prediction-type", "diffusion.prediction_type"),
    flag("ddpm-num-steps", "diffusion.num_train_timesteps"),
    flag("ddpm-beta-schedule", "diffusion.beta_schedule"),
    flag("snr-gamma", "loss.snr_gamma"),
    flag("ddpm-num-inference-steps", "sampling.steps"),
    flag("eval-batch-size", "sampling.count"),
    flag("checkpointing-steps", "checkpoints.every"),
    flag("checkpoints-total-limit", "checkpoints.keep"),
    alias("out", "output-dir", "output.dir"),
];

impl Flag {
    const fn with(self, value: &'static str) -> Self {
        Self { value: Some(value), ..self }
    }

    /// The setting of a name that diffusers has for it, `_` or `-` between its words.
    pub(super) fn key_of(name: &str) -> Option<&'static str> {
        let name = name.replace('_', "-");
        let found = FLAGS.iter().find(|f| f.name == name || f.alias == Some(name.as_str()));
        found.map(|flag| flag.key)
    }
}
