//! Any text as config.json and model_index.json: what is accepted survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unnoise::config::{MAX_PARAMETERS, PipelineConfig, UNetConfig};

fuzz_target!(|text: &str| {
    let _ = PipelineConfig::from_json(text, "f");
    match UNetConfig::from_json(text, "f") {
        Ok(config) => {
            assert!(unnoise::model::parameters(&config).expect("a network") <= MAX_PARAMETERS);
            assert_eq!(UNetConfig::from_json(&config.to_json(), "f"), Ok(config));
        }
        Err(error) => assert!(error.to_string().contains("`f`")),
    }
});
