//! Twin of `shaders/train/batch.wgsl`.

use unnoise::config::scheduler::PredictionType;
use unnoise::diffusion::NoiseLevel;
use unnoise::diffusion::philox::{Stream, noise};
use unnoise::kernels::train::items::Item;
use unnoise::shape::Shape;

/// x_t and the target, `[h, w, 4]`, of one item of pictures `[h, w, c]` in bytes.
pub fn item(
    item: Item,
    data: &[u8],
    picture: Shape,
    seed: u64,
    step: u32,
    prediction_type: PredictionType,
) -> (Vec<f64>, Vec<f64>) {
    let Shape { w, c, .. } = picture;
    let level = NoiseLevel { signal: item.signal.into(), noise: item.noise.into() };
    let data = &data[item.data_index as usize * picture.pixels() * c..][..picture.pixels() * c];
    let eps = noise(seed, Stream::Train, step, item.number, Shape { n: 1, ..picture });
    let (mut x_t, mut target) = (Vec::new(), Vec::new());
    for pixel in 0..picture.pixels() {
        let (y, x) = (pixel / w, pixel % w);
        let from = y * w + if item.flip { w - 1 - x } else { x };
        for lane in 0..4 {
            if lane >= c {
                x_t.push(0.0);
                target.push(0.0);
                continue;
            }
            let x_0 = f64::from(data[from * c + lane]) / 127.5 - 1.0;
            let eps = f64::from(eps[pixel * 4 + lane]);
            x_t.push(level.q_sample(x_0, eps));
            target.push(match prediction_type {
                PredictionType::Epsilon => eps,
                PredictionType::Sample => x_0,
                PredictionType::VPrediction => level.velocity(x_0, eps),
            });
        }
    }
    (x_t, target)
}
