//! The flags of `unnoise train`, named as in diffusers' `train_unconditional.py`, and the settings they set.

/// A flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flag {
    /// The name, without the leading dashes.
    pub name: &'static str,
    /// Another name for it.
    pub alias: Option<&'static str>,
    /// The setting.
    pub key: &'static str,
    /// The value that the flag sets if it is given without one; `None` for a flag that needs a value.
    pub value: Option<&'static str>,
    /// The text in the help.
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
        "Pixels along each side, or [height,width]; 0 keeps the size of the data",
    ),
    flag("center-crop", "data.fit", "Crop pictures of another aspect ratio to the middle")
        .with("crop"),
    flag(
        "random-flip",
        "data.random_flip",
        "Mirror pictures left to right, half of the time at random",
    )
    .with("true"),
    flag("class-conditional", "training.class_conditional", "Learn the classes of the data")
        .with("true"),
    flag("max-steps", "training.max_steps", "Updates of the weights in total")
        .alias("max-train-steps"),
    flag("max-time", "training.max_time", "Stop after this time: 90s, 30m, 2h, 1h30m"),
    flag("seed", "training.seed", "Seed of the order, timesteps, noise and initial weights"),
    flag("train-batch-size", "training.batch_size", "Pictures per micro-step"),
    flag(
        "gradient-accumulation-steps",
        "training.gradient_accumulation_steps",
        "Micro-steps per update",
    ),
    flag(
        "recompute",
        "training.recompute",
        "Halve the memory of activations, for a third more time",
    )
    .alias("gradient-checkpointing")
    .with("true"),
    flag("learning-rate", "optimizer.lr", "The highest learning rate"),
    flag("adam-beta1", "optimizer.beta1", "Decay of the gradient's moving average"),
    flag("adam-beta2", "optimizer.beta2", "Decay of the moving average of its square"),
    flag("adam-weight-decay", "optimizer.weight_decay", "Decoupled weight decay; 0 makes it Adam"),
    flag("adam-epsilon", "optimizer.eps", "Added to the root of the average square"),
    flag(
        "max-grad-norm",
        "optimizer.max_grad_norm",
        "Norm to which gradients are clipped; 0 turns clipping off",
    ),
    flag("lr-scheduler", "lr.scheduler", "constant, constant_with_warmup, linear or cosine"),
    flag("lr-warmup-steps", "lr.warmup_steps", "Steps over which the learning rate rises from 0"),
    flag(
        "ema-max-decay",
        "ema.max_decay",
        "Highest decay of the average that becomes the model; [0.9999,0.999] keeps two averages, [] none",
    ),
    flag("ema-inv-gamma", "ema.inv_gamma", "A constant of the power warm-up"),
    flag("ema-power", "ema.power", "The exponent of the power warm-up"),
    flag("dropout", "model.dropout", "Share of the activations that each resnet sets to zero"),
    flag(
        "prediction-type",
        "diffusion.prediction_type",
        "What the network predicts: epsilon, sample or v_prediction",
    ),
    flag("ddpm-num-steps", "diffusion.num_train_timesteps", "T, the number of timesteps"),
    flag(
        "ddpm-beta-schedule",
        "diffusion.beta_schedule",
        "linear, scaled_linear, squaredcos_cap_v2, sigmoid, laplace or exp",
    ),
    flag("snr-gamma", "loss.snr_gamma", "Weight timesteps by min-SNR with this gamma; 5 is usual"),
    flag("ddpm-num-inference-steps", "sampling.steps", "Steps of the sampler that draws the grids"),
    flag("eval-batch-size", "sampling.count", "Pictures per grid"),
    flag("checkpointing-steps", "checkpoints.every", "Steps between checkpoints"),
    flag(
        "checkpoints-total-limit",
        "checkpoints.keep",
        "How many checkpoints to keep; 0 keeps all",
    ),
    flag("out", "output.dir", "The run's folder").alias("output-dir"),
];

impl Flag {
    const fn with(self, value: &'static str) -> Self {
        Self { value: Some(value), ..self }
    }

    const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// The setting that diffusers calls `name`, with `_` or `-` between the words.
    pub(super) fn key_of(name: &str) -> Option<&'static str> {
        let name = name.replace('_', "-");
        let found = FLAGS.iter().find(|f| f.name == name || f.alias == Some(name.as_str()));
        found.map(|flag| flag.key)
    }
}

/// Flags of that script that have no setting here, and what to do instead.
pub const OTHERS: &[(&str, &str)] = &[
    ("dataset-name", "download the pictures and name their folder or archive with --data"),
    ("dataset-config-name", "download the pictures and name their folder or archive with --data"),
    ("model-config-name-or-path", "choose a network by --preset, or describe one by --set model.…"),
    ("num-epochs", "runs are counted in updates: --max-steps (epochs x pictures / batch)"),
    ("num-train-epochs", "runs are counted in updates: --max-steps (epochs x pictures / batch)"),
    ("use-ema", "an average is always kept; --set ema.max_decay=[] keeps none"),
    ("mixed-precision", "training uses 32-bit floats; `unnoise export --f16` halves the model"),
    ("save-images-epochs", "grids are counted in updates: --set sampling.every=N"),
    ("save-model-epochs", "checkpoints are counted in updates: --checkpointing-steps N"),
    ("overwrite-output-dir", "a run is never overwritten: name another folder with --out"),
    ("dataloader-num-workers", "pictures are decoded by as many threads as the machine has"),
    ("logger", "CSV, JSON lines and TensorBoard are all written; --dashboard shows a run"),
    ("logging-dir", "logs are in the run's folder (--out)"),
    ("cache-dir", "data are read where they are"),
    ("push-to-hub", "`unnoise export` writes a folder that can be uploaded"),
    ("hub-token", "`unnoise export` writes a folder that can be uploaded"),
    ("hub-model-id", "`unnoise export` writes a folder that can be uploaded"),
    ("enable-xformers-memory-efficient-attention", "there is only one attention; omit the flag"),
    ("local-rank", "training uses one device"),
];
