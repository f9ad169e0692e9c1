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
    /// What it does.
    pub help: &'static str,
}

const fn flag(name: &'static str, key: &'static str, help: &'static str) -> Flag {
    Flag { name, alias: None, key, value: None, help }
}

/// All of them.
pub const FLAGS: &[Flag] = &[
    flag("data", "data.path", "Pictures: a folder, archive or file, or builtin:emoji")
        .alias("train-data-dir"),
    flag(
        "resolution",
        "data.resolution",
        "Pixels along each side, or [height,width]; 0 leaves it to the data",
    ),
    flag("center-crop", "data.fit", "Cut pictures of another shape to the middle").with("crop"),
    flag("random-flip", "data.random_flip", "Mirror half of the pictures, at random").with("true"),
    flag("class-conditional", "training.class_conditional", "Learn the data's classes")
        .with("true"),
    flag("max-steps", "training.max_steps", "Updates of the weights in all")
        .alias("max-train-steps"),
    flag("max-time", "training.max_time", "Stop after this time: 90s, 30m, 2h, 1h30m"),
    flag("seed", "training.seed", "Of order, timesteps, noise and initial weights"),
    flag("train-batch-size", "training.batch_size", "Pictures computed at once"),
    flag(
        "gradient-accumulation-steps",
        "training.gradient_accumulation_steps",
        "Batches of an update",
    ),
    flag("recompute", "training.recompute", "Half the activations' memory, a third more time")
        .alias("gradient-checkpointing")
        .with("true"),
    flag("learning-rate", "optimizer.lr", "Learning rate, at its highest"),
    flag("adam-beta1", "optimizer.beta1", "Decay of the gradient's average"),
    flag("adam-beta2", "optimizer.beta2", "Decay of its square's"),
    flag("adam-weight-decay", "optimizer.weight_decay", "Decoupled weight decay; 0 makes it Adam"),
    flag("adam-epsilon", "optimizer.eps", "Added to the root of the square's average"),
    flag(
        "max-grad-norm",
        "optimizer.max_grad_norm",
        "Norm that gradients are clipped to; 0 leaves them",
    ),
    flag("lr-scheduler", "lr.scheduler", "constant, constant_with_warmup, linear or cosine"),
    flag("lr-warmup-steps", "lr.warmup_steps", "Steps over which the learning rate rises from 0"),
    flag(
        "ema-max-decay",
        "ema.max_decay",
        "Of the average that becomes the model; [0.9999,0.999] keeps two; [] none",
    ),
    flag("ema-inv-gamma", "ema.inv_gamma", "Of the decay's power warm-up"),
    flag("ema-power", "ema.power", "Of the decay's power warm-up"),
    flag("dropout", "model.dropout", "Share of activations zeroed in each resnet"),
    flag(
        "prediction-type",
        "diffusion.prediction_type",
        "What the network learns: epsilon, sample or v_prediction",
    ),
    flag("ddpm-num-steps", "diffusion.num_train_timesteps", "T"),
    flag(
        "ddpm-beta-schedule",
        "diffusion.beta_schedule",
        "linear, scaled_linear, squaredcos_cap_v2 or sigmoid",
    ),
    flag("snr-gamma", "loss.snr_gamma", "Weigh timesteps by min-SNR with this gamma; 5 is usual"),
    flag("ddpm-num-inference-steps", "sampling.steps", "Steps of a grid's sampler"),
    flag("eval-batch-size", "sampling.count", "Pictures of a grid"),
    flag("checkpointing-steps", "checkpoints.every", "Steps between two checkpoints"),
    flag("checkpoints-total-limit", "checkpoints.keep", "Checkpoints that stay; 0 keeps all"),
    flag("out", "output.dir", "The run's folder").alias("output-dir"),
];

impl Flag {
    const fn with(self, value: &'static str) -> Self {
        Self { value: Some(value), ..self }
    }

    const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// The setting of a name that diffusers has for it, `_` or `-` between its words.
    pub(super) fn key_of(name: &str) -> Option<&'static str> {
        let name = name.replace('_', "-");
        let found = FLAGS.iter().find(|f| f.name == name || f.alias == Some(name.as_str()));
        found.map(|flag| flag.key)
    }
}

/// Flags of that script which have no setting here, and what to do instead.
pub const OTHERS: &[(&str, &str)] = &[
    ("dataset-name", "download the pictures and name their folder or archive with --data"),
    ("dataset-config-name", "download the pictures and name their folder or archive with --data"),
    (
        "model-config-name-or-path",
        "the network is the preset's (--preset) or that of --set model.…",
    ),
    ("num-epochs", "runs are counted in updates: --max-steps (epochs x pictures / batch)"),
    ("num-train-epochs", "runs are counted in updates: --max-steps (epochs x pictures / batch)"),
    ("use-ema", "the average is always kept; --set ema.max_decay=[] keeps none"),
    ("mixed-precision", "training is in 32-bit floats; `unnoise export --f16` halves the model"),
    ("save-images-epochs", "grids are counted in updates: --set sampling.every=N"),
    ("save-model-epochs", "checkpoints are counted in updates: --checkpointing-steps N"),
    ("overwrite-output-dir", "a run is never overwritten: name another folder with --out"),
    ("dataloader-num-workers", "as many threads decode as the machine has"),
    ("logger", "CSV, JSON lines and TensorBoard are all written; --dashboard shows a run"),
    ("logging-dir", "logs are in the run's folder (--out)"),
    ("cache-dir", "data are read where they are"),
    ("push-to-hub", "`unnoise export` writes a folder that can be uploaded"),
    ("hub-token", "`unnoise export` writes a folder that can be uploaded"),
    ("hub-model-id", "`unnoise export` writes a folder that can be uploaded"),
    ("enable-xformers-memory-efficient-attention", "there is one attention; leave it out"),
    ("local-rank", "training is on one device"),
];
