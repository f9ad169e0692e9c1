//! The bundled model against diffusers: 50 steps of DDIM and 20 of DDPM from the same x_T (and the
//! same variance noise), as 8-bit pictures. `tests/fixtures/emoji-16/make_samples.py` made the other side.

use crate::common::files::{fixture, repository};
use pollster::block_on;
use unnoise::checkpoint::Checkpoint;
use unnoise::config::scheduler::SchedulerKind;
use unnoise::generate::{Model, Noise, Request};
use unnoise::picture::to_u8;
use unnoise::weights::Weights;

fn compare(sampler: SchedulerKind, steps: usize, prefix: &str) {
    let Some(gpu) = crate::common::gpu() else { return };
    let file = fixture("emoji-16/samples.safetensors");
    let samples = Weights::from_bytes(std::fs::read(file).unwrap(), "samples").unwrap();
    let checkpoint = Checkpoint::open(&repository("www/models/emoji-16")).unwrap();
    let model = Model::load(&gpu, checkpoint).unwrap();
    let variance = match sampler {
        SchedulerKind::Ddim => None,
        SchedulerKind::Ddpm => Some(samples.read(&format!("{prefix}.variance_noise")).unwrap()),
    };
    let noise = Some(Noise { x_t: samples.read("x_T").unwrap(), variance });
    let request = Request { sampler: Some(sampler), steps, count: 4, noise, ..Request::default() };
    let run = block_on(model.start(request)).unwrap();
    while !block_on(run.advance()).unwrap().done {}
    let got = run.x_0().unwrap();
    let want = samples.read(&format!("{prefix}.x_0")).unwrap();
    assert_eq!(got.len(), want.len());
    let off = |by: u8| {
        let pairs = got.iter().zip(&want);
        pairs.filter(|(g, w)| to_u8(**g).abs_diff(to_u8(**w)) > by).count()
    };
    println!("{prefix}: {} of {} values differ, {} by more than 1", off(0), got.len(), off(1));
    // reliability.md's figure: 99.9 % of the values within 1 of 255, none beyond 3.
    assert!(off(1) * 1000 <= got.len(), "{} of {} values off by more than 1", off(1), got.len());
    assert_eq!(off(3), 0, "values off by more than 3");
}

#[test]
fn ddim_50_steps_is_diffusers_picture() {
    compare(SchedulerKind::Ddim, 50, "ddim50");
}

#[test]
fn ddpm_20_steps_is_diffusers_picture() {
    compare(SchedulerKind::Ddpm, 20, "ddpm20");
}
