//! Settings of a training run: layers, refusals, and the file that a run writes.

use crate::common::files::repository;
use proptest::prelude::*;
use std::time::Duration;
use unnoise::config::scheduler::BetaSchedule;
use unnoise::kernels::Class;
use unnoise::train::config::{
    Change, Config, EmaWarmup, FLAGS, Fit, Layer, LossKind, LrScheduler, Resolution, SettingError,
    Weighting,
};
use unnoise::train::presets;

fn file(text: &str) -> Result<Config, SettingError> {
    Config::resolve(None, Some(("run.toml", text)), &[], "emoji-tiny")
}

fn set(assignments: &[&str]) -> Result<Config, SettingError> {
    let layers: Result<Vec<Layer>, _> = assignments.iter().map(|text| Layer::set(text)).collect();
    Config::resolve(None, None, &layers?, "emoji-tiny")
}

/// The message of a file that must be refused.
fn refused(text: &str) -> String {
    file(text).expect_err(text).to_string()
}

#[test]
fn nothing_given_is_the_default_preset() {
    let config = Config::resolve(None, None, &[], "emoji-tiny").expect("settings");
    assert_eq!(Some(config), presets::find("emoji-tiny"));
    assert_eq!(presets::for_class(Class::Software), "emoji-tiny");
    assert_eq!(presets::for_class(Class::Discrete), "emoji");
}

#[test]
fn flags_lie_over_the_file_and_the_file_over_its_preset() {
    let text =
        "preset = \"emoji\"\n[optimizer]\nlr = 1e-3\nbeta1 = 0.5\n[training]\nmax_steps = 7_000\n";
    let layers = [
        Layer::set("optimizer.lr = 2e-4").expect("an assignment"),
        Layer { at: "--seed".into(), key: "training.seed".into(), value: "5".into() },
        Layer { at: "--seed".into(), key: "training.seed".into(), value: "6".into() },
    ];
    let config =
        Config::resolve(None, Some(("a.toml", text)), &layers, "emoji-tiny").expect("settings");
    let preset = presets::find("emoji").expect("a preset");
    assert_eq!(config.model, preset.model);
    assert_eq!((config.optimizer.lr, config.optimizer.beta1), (2e-4, 0.5));
    assert_eq!((config.training.max_steps, config.training.seed), (7000, 6));
    assert_eq!(config.training.batch_size, preset.training.batch_size);
    // A preset requested by name overrides the file's.
    let mnist =
        Config::resolve(Some("mnist"), Some(("a.toml", "data.path = \"m\"")), &layers, "emoji");
    let mnist = mnist.expect("settings");
    assert_eq!((mnist.preset.as_str(), mnist.data.channels), ("mnist", 1));
}

#[test]
fn unknown_keys_are_refused_with_their_line_and_what_was_meant() {
    for (text, want) in [
        (
            "[optimizer]\nlr = 1e-3\n\nbetal = 0.9\n",
            "run.toml, line 4: there is no setting `optimizer.betal`; did you mean `optimizer.beta1`?",
        ),
        (
            "[optimiser]\nlr = 1e-3\n",
            "run.toml, line 1: there is no setting `optimiser`; did you mean `optimizer`?",
        ),
        (
            "learning_rate = 1e-3\n",
            "run.toml, line 1: there is no setting `learning_rate`; did you mean `optimizer.lr`?",
        ),
        (
            "[training]\ntrain_batch_size = 8\n",
            "run.toml, line 2: there is no setting `training.train_batch_size`; did you mean \
             `training.batch_size`?",
        ),
        (
            "[optimizer]\nbatch_size = 8\n",
            "run.toml, line 2: there is no setting `optimizer.batch_size`; did you mean \
             `training.batch_size`?",
        ),
        (
            "[lr]\nmomentum = 0.9",
            "run.toml, line 2: there is no setting `lr.momentum`; those of [lr] are scheduler, \
             warmup_steps.",
        ),
        (
            "preset = \"emojy\"",
            "run.toml, line 1: there is no preset `emojy`; did you mean `emoji`?",
        ),
    ] {
        assert_eq!(refused(text), want);
    }
    let text = refused("preset = \"imagenet\"");
    assert!(text.ends_with("improved-ddpm-cifar10, diffusers-unconditional."), "{text}");
    let error = set(&["optimizer.lrr=1"]).expect_err("unknown").to_string();
    assert_eq!(error, "--set: there is no setting `optimizer.lrr`; did you mean `optimizer.lr`?");
}

#[test]
fn wrong_types_are_named() {
    for (text, key, part) in [
        ("[optimizer]\nlr = \"fast\"", "optimizer.lr", "expected a number"),
        ("[training]\nbatch_size = -1", "training.batch_size", "expected a whole number from 0 on"),
        (
            "[training]\nbatch_size = 1.5",
            "training.batch_size",
            "expected a whole number from 0 on",
        ),
        ("[loss]\nkind = \"l3\"", "loss.kind", "expected one of `mse`, `l1`, `huber`"),
        ("[data]\nrandom_flip = 1", "data.random_flip", "expected true or false"),
        ("[data]\nresolution = -1", "data.resolution", "a number of pixels, or [height, width]"),
        ("[data]\nresolution = [1, 2, 3]", "data.resolution", "a number of pixels"),
        ("[model]\nblock_out_channels = 3", "model.block_out_channels", "expected a list"),
        ("[ema]\nmax_decay = \"x\"", "ema.max_decay", "a number, or a list of numbers"),
        ("\noptimizer = 3", "optimizer", "it is a section"),
    ] {
        let error = file(text).expect_err(text);
        let SettingError::Type { at, key: found, detail } = &error else { panic!("{error:?}") };
        assert_eq!((at.as_str(), found.as_str()), ("run.toml, line 2", key), "{error}");
        assert!(detail.contains(part), "{error}");
    }
    for text in ["[optimizer", "a = ", "[data]\npath = \"x\"\npath = \"y\"", "x"] {
        let error = file(text).expect_err(text);
        assert!(matches!(error, SettingError::Toml { .. }), "{error:?}");
        assert!(error.to_string().starts_with("run.toml, line "), "{error}");
    }
    assert!(matches!(set(&["optimizer.lr"]), Err(SettingError::Assignment { .. })));
    assert!(matches!(set(&["=3"]), Err(SettingError::Assignment { .. })));
}

#[test]
fn values_out_of_range_are_named_with_the_remedy() {
    for (assignment, part) in [
        (
            "data.path=",
            "`data.path` is empty; it should be a folder, archive or file (--data PATH)",
        ),
        ("data.channels=2", "1, 3 or 4"),
        ("data.background=red", "#rrggbb"),
        ("data.background=#12345g", "#rrggbb"),
        ("data.resolution=70000", "at most 65536"),
        ("optimizer.lr=0", "`optimizer.lr` is 0; it should be above 0; 1e-4 to 4e-4 is usual"),
        ("optimizer.lr=inf", "`optimizer.lr` is inf"),
        ("optimizer.lr=nan", "`optimizer.lr` is NaN"),
        ("optimizer.lr=1e39", "above 0"),
        ("optimizer.eps=1e-50", "above 0"),
        ("optimizer.beta1=1", "below 1"),
        ("optimizer.weight_decay=-0.1", "0 or more"),
        ("model.dropout=1", "below 1"),
        ("training.batch_size=0", "from 1 to 4294967295"),
        ("training.max_steps=5000000000", "from 1 to 4294967295"),
        ("training.gradient_accumulation_steps=0", "from 1 to 1024"),
        ("training.gradient_accumulation_steps=1025", "--train-batch-size"),
        ("output.dir=", "a folder for the run (--out DIR)"),
        ("training.max_time=soon", "2h or 1h30m"),
        ("ema.max_decay=1.0", "below 1"),
        ("ema.max_decay=[0.9, 0.9]", "at most 4 different rates"),
        ("ema.max_decay=[0.1, 0.2, 0.3, 0.4, 0.5]", "at most 4 different rates"),
        ("lr.warmup_steps=20000", "at most training.max_steps, which is 18000"),
        ("sampling.steps=1001", "from 1 to diffusion.num_train_timesteps, which is 1000"),
        ("diffusion.variance_type=learned_range", "fixed_small or fixed_large"),
        ("training.class_dropout=1.5", "a share from 0 to 1"),
    ] {
        let text = set(&[assignment]).expect_err(assignment).to_string();
        assert!(text.contains(part), "{assignment}: {text}");
        assert!(text.starts_with("--set: `"), "{assignment}: {text}");
    }
    // A plain number is a text where a text is expected: seconds, or a folder called 2024.
    let config = set(&["training.max_time=2", "data.path=2024"]).expect("settings");
    assert_eq!(
        (config.max_time(), config.data.path.as_str()),
        (Some(Duration::from_secs(2)), "2024")
    );
    let both = ["diffusion.prediction_type=epsilon", "diffusion.rescale_betas_zero_snr=true"];
    let text = set(&both).expect_err("nothing to learn at the last timestep").to_string();
    assert!(text.contains("v_prediction or sample"), "{text}");
    let text = refused("[optimizer]\n\nlr = -1\n");
    assert!(text.starts_with("run.toml, line 3: `optimizer.lr` is -1"), "{text}");
    let text = Config::resolve(Some("mnist"), None, &[], "").expect_err("no data").to_string();
    assert!(text.starts_with("preset mnist: `data.path` is empty"), "{text}");
}

#[test]
fn networks_that_cannot_be_built_are_refused_by_diffusers_names() {
    for (assignment, part) in [
        ("model.up_block_types=['UpBlock2D']", "`up_block_types` is 1 block"),
        ("model.norm_num_groups=7", "`norm_num_groups` is 7"),
        ("model.act_fn=tanh", "`act_fn`"),
        ("diffusion.beta_schedule=cosine", "`beta_schedule` is \"cosine\""),
        ("diffusion.prediction_type=eps", "`prediction_type`"),
        ("data.resolution=18", "must be multiples of 4"),
    ] {
        let error = set(&[assignment]).expect_err(assignment);
        assert!(matches!(error, SettingError::Network(_)), "{error:?}");
        assert!(error.to_string().contains(part), "{assignment}: {error}");
    }
    // Settings are the user's own: no file was damaged.
    let error = set(&["model.norm_num_groups=3"]).expect_err("no multiple").to_string();
    assert!(error.contains("`norm_num_groups` is 3"), "{error}");
    assert!(error.contains("Change one of the two") && !error.contains("damaged"), "{error}");
}

#[test]
fn what_is_written_reads_back() {
    for name in presets::NAMES {
        let mut config = presets::find(name).expect("a preset");
        config.data.path = "päth with \"quotes\"".to_owned();
        config.optimizer.lr = 1.0 / 3.0;
        config.data.resolution = match config.data.resolution.0 {
            Some([h, w]) if *name != "mnist" => Resolution(Some([h, 2 * w])),
            other => Resolution(other),
        };
        config.ema.max_decay = vec![0.9999, 0.999];
        let text = config.to_toml().expect("settings");
        assert!(text.starts_with("# The settings of this run"), "{text}");
        assert_eq!(file(&text).as_ref(), Ok(&config), "{text}");
        assert_eq!(file(&text).and_then(|c| c.to_toml()), Ok(text));
    }
}

#[test]
fn changes_are_told() {
    let before = set(&[]).expect("settings");
    let after = set(&["optimizer.lr=2e-4", "ema.max_decay=[]", "data.fit=pad"]).expect("settings");
    let change = |key: &str, before: &str, after: &str| Change {
        key: key.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    };
    let want = [
        change("data.fit", "\"crop\"", "\"pad\""),
        change("ema.max_decay", "[0.9995]", "[]"),
        change("optimizer.lr", "0.0008", "0.0002"),
    ];
    assert_eq!(before.changes(&after).expect("settings"), want);
    assert_eq!(before.changes(&before).expect("settings"), []);
}

#[test]
fn every_flag_sets_a_setting() {
    let value = |key: &str| match key {
        "data.path" | "output.dir" => "a b/c",
        "data.resolution" => "32x48",
        "training.max_time" => "2h",
        "lr.scheduler" => "linear",
        "diffusion.prediction_type" => "v_prediction",
        "diffusion.beta_schedule" => "squaredcos_cap_v2",
        "diffusion.num_train_timesteps" => "2000",
        "training.max_steps" => "777",
        key if key.starts_with("optimizer") || key.starts_with("ema") => "0.25",
        key if key.ends_with("dropout") || key.ends_with("gamma") => "0.125",
        _ => "12",
    };
    // A preset whose settings no flag repeats.
    let with = |more: Option<Layer>| {
        let base = ["data.fit=pad", "data.path=digits"].map(|text| Layer::set(text).expect(text));
        let layers: Vec<Layer> = base.into_iter().chain(more).collect();
        Config::resolve(Some("mnist"), None, &layers, "mnist")
    };
    let default = with(None).expect("settings");
    for flag in FLAGS {
        let value = flag.value.unwrap_or(value(flag.key));
        let layer =
            Layer { at: format!("--{}", flag.name), key: flag.key.into(), value: value.into() };
        let config = with(Some(layer)).expect(flag.name);
        let changes = default.changes(&config).expect("settings");
        // A gamma turns on the weighting that uses it.
        let more = usize::from(flag.name == "snr-gamma");
        assert_eq!(changes.len(), 1 + more, "--{}: {changes:?}", flag.name);
        assert_eq!(changes[0].key, flag.key);
        assert!(!flag.name.contains('_'), "dashes: {}", flag.name);
    }
    let config = set(&[
        "data.resolution=32x48",
        "data.fit=crop",
        "loss.kind=huber",
        "loss.weighting=min_snr",
        "lr.scheduler=constant_with_warmup",
        "ema.warmup=plain",
        "ema.max_decay=0.999",
        "training.max_time=1h30m",
        "data.background=#ff8000",
        "diffusion.beta_schedule=squaredcos_cap_v2",
    ])
    .expect("settings");
    assert_eq!(config.data.resolution, Resolution(Some([32, 48])));
    assert_eq!((config.data.fit, config.loss.kind), (Fit::Crop, LossKind::Huber));
    assert_eq!(config.loss.weighting, Weighting::MinSnr);
    assert_eq!(config.lr.scheduler, LrScheduler::ConstantWithWarmup);
    assert_eq!(
        (config.ema.warmup, config.ema.max_decay.as_slice()),
        (EmaWarmup::Plain, &[0.999][..])
    );
    assert_eq!(config.max_time().map(|time| time.as_secs()), Some(5400));
    assert_eq!(config.background(), Some([255, 128, 0]));
    assert_eq!(config.scheduler().map(|s| s.beta_schedule), Ok(BetaSchedule::SquaredcosCapV2));
}

/// The papers' settings give the parameter counts of their checkpoints, according to model cards and diffusers.
#[test]
fn presets_are_the_papers_networks() {
    let mut seen = Vec::new();
    for name in presets::NAMES {
        let mut config = presets::find(name).expect("a preset");
        assert_eq!(config.preset, *name);
        if config.data.path.is_empty() {
            config.data.path = "data".to_owned();
        }
        assert_eq!(
            file(&config.to_toml().expect("settings")),
            Ok(config.clone()),
            "{name} is within its own ranges"
        );
        let unet = config.unet(config.data.channels, config.data.resolution.0, None).expect(name);
        seen.push((*name, unnoise::model::parameters(&unet).expect(name)));
    }
    let of = |name| seen.iter().find(|(n, _)| *n == name).map(|(_, count)| *count);
    assert_eq!(of("ddpm-cifar10"), Some(35_746_307));
    assert_eq!(of("ddpm-256"), Some(113_673_219));
    assert_eq!(of("diffusers-unconditional"), Some(113_673_219));
    let size = |name| of(name).map(|count| count as f64 / 1e6).unwrap_or(0.0);
    assert!((1.8..1.9).contains(&size("emoji-tiny")), "{seen:?}");
    // 8 MB in f16.
    assert!((3.5..4.2).contains(&size("emoji")), "{seen:?}");
    assert!((52.0..53.0).contains(&size("improved-ddpm-cifar10")), "{seen:?}");
    assert!(size("mnist") < 1.5 && size("cifar10-small") < 8.0, "{seen:?}");
}

#[test]
fn a_short_run_shortens_the_warm_up_of_its_preset_only() {
    let warmup = |settings: &[&str]| set(settings).map(|config| config.warmup_steps());
    assert_eq!(warmup(&[]), Ok(100));
    assert_eq!(warmup(&["training.max_steps=100"]), Ok(100));
    assert_eq!(warmup(&["training.max_steps=50"]), Ok(5));
    let asked = warmup(&["training.max_steps=50", "lr.warmup_steps=51"]).expect_err("too long");
    assert!(asked.to_string().contains("at most training.max_steps, which is 50"), "{asked}");
}

/// docs/settings.md has every setting, with its default value.
#[test]
fn every_setting_is_documented() {
    let path = repository("docs/settings.md");
    let page = std::fs::read_to_string(path).expect("docs/settings.md");
    let (mut section, mut count) = (String::new(), 0);
    for line in Config::default().to_toml().expect("settings").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !section.is_empty()) {
            let row = page.lines().find(|row| row.starts_with(&format!("| `{section}.{key}` | ")));
            let row = row.unwrap_or_else(|| panic!("{section}.{key} is not in docs/settings.md"));
            let told = row.split(" | ").nth(1).unwrap_or_default().trim_matches('`');
            let number = |text: &str| text.parse::<f64>().ok();
            let same = told == value || number(told).is_some_and(|n| Some(n) == number(value));
            assert!(same, "{section}.{key}: {told} in docs/settings.md, and {value}");
            count += 1;
        }
    }
    assert_eq!(page.lines().filter(|row| row.starts_with("| `")).count(), count);
}

/// A preset made for emoji has no effect on a user's own pictures, unless it was requested.
#[test]
fn own_data_are_learned_as_they_are() {
    let data = |preset: Option<&str>, text: &str, settings: &[&str]| {
        let layers: Vec<Layer> = settings.iter().map(|s| Layer::set(s).expect(s)).collect();
        let file = (!text.is_empty()).then_some(("a.toml", text));
        let config = Config::resolve(preset, file, &layers, "emoji-tiny").expect("settings");
        (config.data.resolution, config.data.channels, config.data.random_flip)
    };
    let (own, emoji) = ((Resolution::default(), 0, false), (Resolution::square(16), 3, true));
    assert_eq!(data(None, "", &["data.path=digits"]), own);
    assert_eq!(data(None, "[data]\npath = 'digits'", &[]), own);
    let given =
        ["data.path=digits", "data.resolution=16", "data.channels=3", "data.random_flip=true"];
    assert_eq!(data(None, "", &given), emoji);
    assert_eq!(data(None, "", &[]), emoji);
    assert_eq!(data(None, "", &["data.path=builtin:emoji"]), emoji);
    // With a requested preset, only the channels are left to the data: gray stays gray.
    let gray = (emoji.0, 0, emoji.2);
    assert_eq!(data(Some("emoji-tiny"), "", &["data.path=digits"]), gray);
    assert_eq!(data(None, "preset = 'emoji-tiny'", &["data.path=digits"]), gray);
    assert_eq!(data(Some("emoji-tiny"), "", &["data.path=digits", "data.channels=3"]), emoji);
    assert_eq!(data(Some("emoji-tiny"), "[data]\nchannels = 3", &["data.path=digits"]), emoji);
    assert_eq!(data(Some("emoji-tiny"), "", &["data.path=builtin:emoji"]), emoji);
    // A preset for gray pictures makes all pictures gray.
    assert_eq!(data(Some("mnist"), "", &["data.path=digits"]).1, 1);
}

#[test]
fn widths_alone_decide_the_number_of_levels() {
    let levels = |widths: &str| {
        let model = set(&[&format!("model.block_out_channels={widths}")]).expect("settings").model;
        (model.down_block_types.join(" "), model.up_block_types.join(" "))
    };
    let (plain, attention) = ("DownBlock2D", "AttnDownBlock2D");
    assert_eq!(
        levels("[32, 64]"),
        (format!("{plain} {attention}"), "AttnUpBlock2D UpBlock2D".to_owned())
    );
    assert_eq!(levels("[8, 16, 16, 32]").0, format!("{plain} {attention} {attention} {attention}"));
    let text = set(&["model.block_out_channels=[8, 8]", "model.down_block_types=['DownBlock2D']"]);
    assert!(text.is_err());
}

#[test]
fn a_gamma_alone_turns_its_weighting_on() {
    use unnoise::train::config::Weighting;
    let weighting = |text: &str, settings: &[&str]| {
        let layers: Vec<Layer> = settings.iter().map(|s| Layer::set(s).expect(s)).collect();
        Config::resolve(Some("mnist"), Some(("a.toml", text)), &layers, "mnist")
            .map(|config| config.loss.weighting)
    };
    let data = "data.path = 'digits'\n";
    let gamma = format!("{data}loss.snr_gamma = 4.0\n");
    let plain = format!("{gamma}loss.weighting = 'none'\n");
    assert_eq!(weighting(data, &[]), Ok(Weighting::None));
    assert_eq!(weighting(&gamma, &[]), Ok(Weighting::MinSnr));
    assert_eq!(weighting(&plain, &[]), Ok(Weighting::None));
    // A run's config.toml says both, and a flag comes later.
    assert_eq!(weighting(&plain, &["loss.snr_gamma=5"]), Ok(Weighting::MinSnr));
    assert_eq!(weighting(&gamma, &["loss.weighting=none"]), Ok(Weighting::None));
}

#[test]
fn classes_have_a_row_for_none() {
    use unnoise::config::unet::ClassEmbedding::Table;
    let config = set(&[]).expect("settings");
    let rows = |config: &Config| config.unet(3, None, Some(10)).expect("a network").class_embedding;
    assert_eq!(rows(&config), Some(Table(11)));
    let never = set(&["training.class_dropout=0"]).expect("settings");
    assert_eq!(rows(&never), Some(Table(10)));
    assert_eq!(config.unet(3, None, None).expect("a network").class_embedding, None);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}", key in "[a-z_.]{0,20}", value in "\\PC{0,40}") {
        let _ = file(&text);
        let _ = set(&[&format!("{key}={value}")]);
    }

    /// A file that is correct except in one place.
    #[test]
    fn no_damage_panics(at in 0usize..3000, by in "\\PC{0,3}", cut in 0usize..40) {
        let text = presets::find("emoji").expect("a preset").to_toml().expect("settings");
        let mut damaged: Vec<char> = text.chars().collect();
        let at = at % damaged.len();
        let end = (at + cut).min(damaged.len());
        damaged.splice(at..end, by.chars());
        let _ = file(&damaged.into_iter().collect::<String>());
    }

    #[test]
    fn no_number_panics(key in 0usize..FLAGS.len(), x in any::<f64>(), n in any::<i64>()) {
        for value in [x.to_string(), n.to_string(), format!("[{n}, {x}]")] {
            let key = FLAGS[key].key.to_owned();
            let layer = Layer { at: "--flag".into(), key, value };
            let _ = Config::resolve(None, None, &[layer], "emoji-tiny");
        }
    }
}
