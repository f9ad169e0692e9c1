//! Checks every variant of every shader without a GPU: it must be valid WGSL, and its `struct Params` and storage
//! bindings must agree with the kernel's Rust.
//!
//! A new kernel is added to the list here; [`every_shader_is_on_the_list`] demands it.

use crate::common::valid::assert_valid;
use std::collections::{BTreeSet, HashSet};
use unnoise::config::unet::Activation;
use unnoise::diffusion::Deviation;
use unnoise::gpu::probe::{copy_call, fma_call};
use unnoise::kernels::add::Add;
use unnoise::kernels::advance::Advance;
use unnoise::kernels::affine_act::AffineAct;
use unnoise::kernels::attention::{Attention, Rows, Softmax};
use unnoise::kernels::center_input::CenterInput;
use unnoise::kernels::concat::Concat;
use unnoise::kernels::conv2d::{Conv2d, Family, Fetch, Tile};
use unnoise::kernels::embedding::Embedding;
use unnoise::kernels::group_norm::{GroupNorm, ScaleShift};
use unnoise::kernels::resample::{Kind, Resample};
use unnoise::kernels::rgba::Rgba;
use unnoise::kernels::sampler_step::SamplerStep;
use unnoise::kernels::scale_items::ScaleItems;
use unnoise::kernels::select::Select;
use unnoise::kernels::sources;
use unnoise::kernels::threshold::Threshold;
use unnoise::kernels::{Call, ChannelAdd, Class};
use unnoise::shape::Shape;

const SHAPE: Shape = Shape::new(2, 4, 6, 4);
const ROWS: Rows = Rows { stride4: 2, offset4: 0 };
const AT: ChannelAdd = ChannelAdd { stride4: 4, offset4: 0 };
const SCALE_SHIFT: ScaleShift = ScaleShift { stride4: 4, offset: 0 };

/// Row lengths for which a softmax takes different numbers of invocations.
const LENGTHS: [usize; 4] = [1, 20, 100, 256];

fn activations() -> impl Iterator<Item = Option<Activation>> {
    use Activation::{Gelu, Mish, Relu, Silu};
    [Silu, Mish, Gelu, Relu].map(Some).into_iter().chain([None])
}

#[test]
fn every_variant_is_valid_and_has_the_parameters_of_its_call() {
    calls().iter().for_each(assert_valid);
}

#[test]
fn every_shader_is_on_the_list() {
    let listed: BTreeSet<&str> = calls().iter().map(|call| call.shader.name).collect();
    let is_kernel = |name: &&str| !name.split('/').any(|part| part == "lib");
    let files: BTreeSet<&str> = sources::names().filter(is_kernel).collect();
    assert_eq!(listed, files, "the list of this test, and the files under shaders/");
}

/// Every kernel in all its forms, each variant once.
fn calls() -> Vec<Call> {
    let mut calls = vec![fma_call(1, 1), copy_call(1)];
    for class in Class::ALL {
        calls.extend(network(class));
        calls.extend(sampling(class));
        #[cfg(feature = "train")]
        {
            calls.extend(training::adjoints(class));
            calls.extend(training::step(class));
        }
    }
    calls.extend(convolutions());
    // Most classes share most variants.
    let mut seen = HashSet::new();
    calls.retain(|call| seen.insert(format!("{:?}", call.shader)));
    calls
}

fn network(class: Class) -> Vec<Call> {
    let mut calls = Vec::new();
    for (second, on) in [(None, false), (None, true), (Some(4), false), (Some(4), true)] {
        let scale_shift = on.then_some(SCALE_SHIFT);
        for stats in [false, true] {
            let norm = GroupNorm { input: SHAPE, second, groups: 2, eps: 1e-5, scale_shift, stats };
            calls.extend([norm.call(class), norm.partials(), norm.finish()]);
        }
        for act in activations() {
            for rows in [2, 4] {
                let op = AffineAct { input: SHAPE, second, affine: on, rows, act };
                calls.push(op.call(class));
            }
        }
        let (second, channel_add) = (second.is_some(), on.then_some(AT));
        calls.push(Add { shape: SHAPE, second, channel_add, scale: 1.0 }.call(class));
    }
    for kind in [Kind::Upsample, Kind::AvgPool] {
        calls.push(Resample { input: SHAPE, kind }.call(class));
    }
    for head_dim in [3, 4] {
        let op = Attention { n: 1, heads: 2, head_dim, tokens: 4, q: ROWS, k: ROWS, v: ROWS };
        calls.extend([op.scores(class), op.softmax(class), op.mix(class)]);
        let widths = (1..=16).map(|d| Attention { head_dim: d * head_dim, ..op });
        calls.extend(widths.filter_map(|op| op.fused(class)));
    }
    calls.extend(LENGTHS.map(|c| Softmax { rows: 1, c }.call(class)));
    calls.push(Concat { input: SHAPE, second: 3 }.call(class));
    calls.push(CenterInput { shape: SHAPE }.call(class));
    calls.push(ScaleItems { shape: SHAPE }.call(class));
    calls.push(Embedding { n: 1, rows: 2, c: 3 }.call(class));
    calls
}

fn convolutions() -> Vec<Call> {
    let half = Shape::new(2, 2, 3, 12);
    let plain = Conv2d::new(SHAPE, SHAPE.with_c(12), 3, 1, 1);
    let all = Conv2d {
        second: Some(4),
        output: Shape::new(2, 8, 12, 12),
        upsample: true,
        bias: true,
        prologue: Some(Some(Activation::Silu)),
        channel_add: Some(AT),
        residual: true,
        act: Some(Activation::Silu),
        ..plain
    };
    let ops = [
        Conv2d { prologue: Some(None), ..all.clone() },
        all,
        Conv2d { bias: true, ..Conv2d::new(SHAPE, half, 3, 2, 1) },
        Conv2d::new(SHAPE, half, 1, 2, 0),
        Conv2d::new(SHAPE, SHAPE.with_c(12), 1, 1, 0),
        plain,
    ];
    let families = [
        Family::Direct(Fetch::Looped),
        Family::Direct(Fetch::Unrolled),
        Family::Direct(Fetch::Subgroups),
        Family::Tiled(Tile { bm: 64, bn4: 16, tm: 8 }),
        Family::Tiled(Tile { bm: 16, bn4: 4, tm: 1 }),
    ];
    let mut calls: Vec<Call> =
        ops.iter().flat_map(|op| families.map(|family| op.call_with(family))).collect();
    // Sums in parts, and their second dispatch.
    let tile = Tile { bm: 32, bn4: 16, tm: 4 };
    calls.extend(ops.iter().flat_map(|op| [op.parts_with(tile), op.finish()]));
    calls
}

fn sampling(class: Class) -> Vec<Call> {
    let shape = Shape::new(2, 5, 7, 3);
    let mut calls = Vec::new();
    for deviation in [Deviation::Fixed, Deviation::Learned, Deviation::LearnedRange] {
        let out_channels = if deviation == Deviation::Fixed { 3 } else { 6 };
        for (given_noise, threshold) in [(false, false), (false, true), (true, false), (true, true)]
        {
            let op = SamplerStep { shape, out_channels, deviation, given_noise, threshold };
            calls.push(op.call(class));
        }
    }
    calls.push(Threshold { shape, out_channels: 3, ratio: 0.995, max: 1.0 }.call(class));
    calls.push(Rgba { shape }.call(class));
    calls.push(Select { n: 2, row4: 3 }.call(class));
    calls.push(Advance.call(class));
    calls
}

#[cfg(feature = "train")]
mod training {
    use super::{AT, LENGTHS, ROWS, SCALE_SHIFT, SHAPE, activations};
    use unnoise::config::scheduler::PredictionType;
    use unnoise::kernels::attention::Attention;
    use unnoise::kernels::dropout::Dropout;
    use unnoise::kernels::embedding::Embedding;
    use unnoise::kernels::grad::act::ActGrad;
    use unnoise::kernels::grad::attention::{AttentionGrad, SoftmaxGrad};
    use unnoise::kernels::grad::channels::{Place, Slice};
    use unnoise::kernels::grad::conv2d::{Conv2dWeight, Family, Tile, TransposeWeight};
    use unnoise::kernels::grad::embedding::EmbeddingGrad;
    use unnoise::kernels::grad::group_norm::GroupNormGrad;
    use unnoise::kernels::grad::resample::{Kind, ResampleGrad};
    use unnoise::kernels::grad::sum::{BatchSum, ImageSum};
    use unnoise::kernels::optim::adamw::AdamW;
    use unnoise::kernels::optim::ema::Ema;
    use unnoise::kernels::optim::grad_norm::{GradNorm, GradNormFinish};
    use unnoise::kernels::train::batch::Batch;
    use unnoise::kernels::train::items::Items;
    use unnoise::kernels::train::loss::{Loss, LossKind};
    use unnoise::kernels::train::metrics::Metrics;
    use unnoise::kernels::{Call, Class};

    pub fn adjoints(class: Class) -> Vec<Call> {
        let input = SHAPE;
        let mut calls = Vec::new();
        for act in activations() {
            let op = GroupNormGrad { input, groups: 2, scale_shift: None, act };
            calls.extend([op.sums(class), op.input(false), op.input(true)]);
            calls.extend(act.map(|act| ActGrad { shape: input, act }.call(class)));
        }
        for scale_shift in [None, Some(SCALE_SHIFT)] {
            let op = GroupNormGrad { input, groups: 2, scale_shift, act: None };
            calls.extend([op.params(), op.vector(AT)]);
        }
        for head_dim in [3, 4] {
            let forward =
                Attention { n: 1, heads: 2, head_dim, tokens: 4, q: ROWS, k: ROWS, v: ROWS };
            let op = AttentionGrad { forward, d_q: ROWS, d_k: ROWS, d_v: ROWS };
            calls.extend([op.d_p(), op.d_v(), op.d_s(class), op.d_q(), op.d_k()]);
        }
        calls.extend(LENGTHS.map(|c| SoftmaxGrad { rows: 1, c, scale: 1.0 }.call(class)));
        for kind in [Kind::Upsample, Kind::AvgPool, Kind::Dilate] {
            calls.push(ResampleGrad { input, output: input, kind }.call(class));
        }
        let families =
            [Family::Direct, Family::Subgroups, Family::Tiled(Tile { bm4: 16, bn4: 16, tm: 2 })];
        for (k, stride) in [(1, 1), (3, 1), (3, 2)] {
            let op = Conv2dWeight { input, output: input, k, stride, pad: k / 2 };
            calls.extend(families.map(|family| op.call_with(family, 1)));
            calls.extend(families.map(|family| op.call_with(family, 2)));
        }
        // Enough pixels that the sum is made in parts, in every class.
        let large = SHAPE.with_c(4);
        let large = unnoise::shape::Shape { n: 64, h: 32, w: 32, ..large };
        let op = Conv2dWeight { input: large, output: large, k: 1, stride: 1, pad: 0 };
        calls.extend(op.sum(class));
        calls.push(TransposeWeight { k: 3, c4: 1, co4: 2 }.call(class));
        calls.push(EmbeddingGrad { forward: Embedding { n: 1, rows: 2, c: 3 } }.call(class));
        calls.push(ImageSum { input, at: AT, scale: 1.0 }.call(class));
        calls.push(BatchSum { n: 1, c: 3, at: AT, scale: 1.0 }.call(class));
        calls.push(Slice { input, offset: 1, c: 2 }.call(class));
        calls.push(Place { input, stride4: 2, offset4: 1 }.call(class));
        calls
    }

    pub fn step(class: Class) -> Vec<Call> {
        let mut calls = Vec::new();
        calls.extend([false, true].map(|class_too| Items { n: 2, class: class_too }.call(class)));
        for prediction_type in
            [PredictionType::Epsilon, PredictionType::Sample, PredictionType::VPrediction]
        {
            let op = Batch { shape: SHAPE, prediction_type, first: 0, pictures: 2 };
            calls.push(op.call(class));
        }
        for kind in [LossKind::Mse, LossKind::L1, LossKind::Huber] {
            calls.push(
                Loss { output: SHAPE, channels: 3, kind, delta: 0.5, factor: 1.0 }.call(class),
            );
        }
        let ring = Metrics { n: 2, accumulation: 1, capacity: 1, num_train_timesteps: 1000 };
        calls.extend([ring.losses(class), ring.norm(class)]);
        calls.push(Dropout { shape: SHAPE, p: 0.1, layer: 3 }.call(class));
        calls.push(GradNorm { len4: 5000, first: 3 }.call(class));
        calls.push(GradNormFinish { parts: 5, max_norm: 1.0 }.call(class));
        for ema_lane in [None, Some(2)] {
            let op = AdamW { len4: 3, beta1: 0.9, beta2: 0.999, eps: 1e-8, ema_lane };
            calls.push(op.call(class));
        }
        calls.push(Ema { len4: 3, lane: 1 }.call(class));
        calls
    }
}
