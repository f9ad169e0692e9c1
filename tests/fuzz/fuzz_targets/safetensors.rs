//! Any bytes as a weights file: read every tensor, compare with a network that has none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use unnoise::weights::Weights;

fuzz_target!(|bytes: &[u8]| {
    let Ok(weights) = Weights::from_bytes(bytes.to_vec(), "f") else { return };
    for name in weights.names() {
        let count: usize = weights.shape(name).map_or(0, |shape| shape.iter().product());
        if let Ok(values) = weights.read(name) {
            assert_eq!(values.len(), count);
        }
        let _ = weights.read_numbers(name);
    }
    if let Err(error) = weights.check(&[]) {
        assert!(error.to_string().len() < 2000);
    }
});
