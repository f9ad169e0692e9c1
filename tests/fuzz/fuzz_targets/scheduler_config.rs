//! Any text as scheduler_config.json: what is accepted survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unnoise::config::SchedulerConfig;

fuzz_target!(|text: &str| {
    match SchedulerConfig::from_json(text, "f") {
        Ok(config) => assert_eq!(SchedulerConfig::from_json(&config.to_json(), "f"), Ok(config)),
        Err(error) => assert!(error.to_string().contains("`f`")),
    }
});
