//! The kernels that surround the network in a training step, against f64 twins: items, batch, loss, metrics, dropout.

use crate::common::files;
use crate::common::{Bind, assert_close, assert_within, gpu, run_bindings};
use crate::reference::train::{batch, dropout, loss, metrics};
use serde_json::Value;
use unnoise::config::scheduler::PredictionType;
use unnoise::diffusion::philox::{Stream, noise};
use unnoise::kernels::Class;
use unnoise::kernels::dropout::Dropout;
use unnoise::kernels::sampler_step::STATE_WORDS;
use unnoise::kernels::train::batch::Batch;
use unnoise::kernels::train::initial_state;
use unnoise::kernels::train::items::{Item, Items};
use unnoise::kernels::train::loss::{Loss, LossKind};
use unnoise::kernels::train::metrics::{Metrics, Row};
use unnoise::shape::{Shape, nchw_to_nhwc4};
use unnoise::weights::Weights;

const CLASSES: [Class; 2] = [Class::Software, Class::Discrete];
const SEED: u64 = 0x1234_5678_9abc_def0;
const PREDICTIONS: [PredictionType; 3] =
    [PredictionType::Epsilon, PredictionType::Sample, PredictionType::VPrediction];
/// More items than a row of workgroups.
const FOLDED: usize = 32_770;
const LOSSES: [LossKind; 3] = [LossKind::Mse, LossKind::L1, LossKind::Huber];

/// Where the Huber loss turns into a line.
const DELTA: f32 = 0.7;

/// Normal values that are exact in f32, from a separate stream.
fn values(stream: u32, count: usize) -> Vec<f32> {
    let shape = Shape::vector(1, count.next_multiple_of(4));
    noise(7, Stream::Step, 2_000_000 + stream, 0, shape)[..count].to_vec()
}

/// The state at row `at` of `rows`; row 0 is step `first_step`.
fn state(at: u32, rows: u32, first_step: u32) -> [u32; STATE_WORDS] {
    let mut state = initial_state(rows, SEED, first_step);
    state[0] = at;
    state
}

/// Items that differ in everything, with small and large words.
fn items(n: usize, pictures: u32) -> Vec<Item> {
    let item = |i: u32| {
        let angle = f64::from(i * 37 % 100) / 100.0;
        Item {
            data_index: i * 7 % pictures,
            flip: i % 3 == 1,
            t: (i * 131 % 1000) as f32,
            class: (i % 10) as f32,
            signal: angle.sqrt() as f32,
            noise: (1.0 - angle).sqrt() as f32,
            weight: 0.25 + (i % 5) as f32,
            number: [i, u32::MAX - i, 1 << (i % 32)][i as usize % 3],
        }
    };
    (0..n as u32).map(item).collect()
}

fn words(items: &[Item]) -> Vec<u32> {
    items.iter().flat_map(|item| item.to_words()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&word| f32::from_bits(word)).collect()
}

#[test]
fn items_are_the_current_row() {
    let Some(gpu) = gpu() else { return };
    for (n, rows, at) in [(1, 1, 0), (3, 5, 2), (70, 3, 2), (1000, 2, 1)] {
        let all = items(n * rows, 50);
        let table = words(&all);
        let row = &all[n * at..][..n];
        let lane = |value: fn(&Item) -> f32| -> Vec<f32> {
            row.iter().flat_map(|item| [value(item), 0.0, 0.0, 0.0]).collect()
        };
        for class in [false, true] {
            let state = state(at as u32, rows as u32, 9);
            let mut bindings = vec![Bind::Bits(&state), Bind::Bits(&table), Bind::Out(4 * n)];
            if class {
                bindings.push(Bind::Out(4 * n));
            }
            bindings.push(Bind::Out(8 * n));
            let mut out = run_bindings(&gpu, &Items { n, class }.call(CLASSES[0]), &bindings);
            // Words that are not floats are also exact to the bit.
            assert_eq!(bits(&out.pop().unwrap()), words(row));
            assert_eq!(out[0], lane(|item| item.t));
            if class {
                assert_eq!(out[1], lane(|item| item.class));
            }
        }
    }
}

/// A kernel whose data is all five pictures.
fn all_data(shape: Shape, prediction_type: PredictionType) -> Batch {
    Batch { shape, prediction_type, first: 0, pictures: 5 }
}

/// x_t and the target of a batch at step 11.
fn run_batch(kernel: Batch, items: &[Item], data: &[u8]) -> [Vec<f32>; 2] {
    let gpu = gpu().expect("asked before");
    let (state, items) = (state(2, 4, 9), words(items));
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(4), 0xaa);
    let data: Vec<u32> =
        data.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let len = kernel.shape.len4() * 4;
    let bindings =
        [Bind::Bits(&state), Bind::Bits(&items), Bind::Bits(&data), Bind::Out(len), Bind::Out(len)];
    let mut out = run_bindings(&gpu, &kernel.call(CLASSES[0]), &bindings);
    let target = out.pop().unwrap();
    [out.pop().unwrap(), target]
}

/// Bytes that take every value.
fn pictures(count: usize, shape: Shape) -> Vec<u8> {
    (0..count * shape.pixels() * shape.c).map(|i| (i * 97 + i / 256 * 13) as u8).collect()
}

#[test]
fn batch_agrees_with_its_twin() {
    if gpu().is_none() {
        return;
    }
    let shapes = [
        Shape::new(1, 1, 1, 1),
        Shape::new(3, 5, 7, 3),
        Shape::new(2, 9, 8, 4),
        Shape::new(5, 3, 5, 2),
        Shape::new(4, 7, 9, 1),
        Shape::new(2, 64, 48, 3),
    ];
    for shape in shapes {
        let (data, items) = (pictures(5, shape), items(shape.n, 5));
        for prediction_type in PREDICTIONS {
            let kernel = all_data(shape, prediction_type);
            let [x_t, target] = run_batch(kernel, &items, &data);
            let (mut want_x_t, mut want_target) = (Vec::new(), Vec::new());
            for &item in &items {
                let (x_t, target) = batch::item(item, &data, shape, SEED, 11, prediction_type);
                want_x_t.extend(x_t);
                want_target.extend(target);
            }
            // The normals agree within 2e-6 (of up to 6.7); the rest is f32 rounding.
            assert_within(&format!("x_t, {kernel:?}"), &x_t, &want_x_t, |_| 2.5e-6);
            assert_within(&format!("target, {kernel:?}"), &target, &want_target, |_| 2.5e-6);
            for pixel in x_t.chunks(4).chain(target.chunks(4)) {
                assert!(pixel[shape.c..].iter().all(|&v| v == 0.0), "padding {pixel:?}");
            }
        }
    }
}

/// With data in two buffers, each dispatch makes the items whose pictures it has.
#[test]
fn batch_takes_data_in_pieces() {
    let Some(gpu) = gpu() else { return };
    let shape = Shape::new(5, 4, 3, 4);
    let (data, items) = (pictures(5, shape), items(5, 5));
    let whole = all_data(shape, PredictionType::VPrediction);
    let want = run_batch(whole, &items, &data);
    let (state, words) = (state(2, 4, 9), words(&items));
    let mut have = vec![vec![f32::NAN; shape.len4() * 4]; 2];
    for (first, pictures) in [(2, 3), (0, 2)] {
        let piece = &data[first * shape.pixels() * 4..][..pictures * shape.pixels() * 4];
        let piece: Vec<u32> =
            piece.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let bindings = [
            Bind::Bits(&state),
            Bind::Bits(&words),
            Bind::Bits(&piece),
            Bind::InOut(&have[0]),
            Bind::InOut(&have[1]),
        ];
        let call = Batch { first, pictures, ..whole }.call(CLASSES[0]);
        have = run_bindings(&gpu, &call, &bindings);
        let made = have[0].iter().filter(|v| !v.is_nan()).count();
        let share = if first == 2 { 3 } else { 5 };
        assert_eq!(made, have[0].len() / 5 * share, "the others are left alone");
    }
    assert_eq!(have, want);
}

/// x_0 is the f32 next to v / 127.5 - 1 except for one rounding, 0 and 255 are -1 and 1, and the mirror image is exact.
/// NVIDIA's compiler rounds once more or less, so a GPU may differ in the last bit.
#[test]
fn batch_normalises_bytes_exactly() {
    let Some(gpu) = gpu() else { return };
    let exact = gpu.class().is_software();
    let shape = Shape::new(2, 16, 16, 1);
    let data: Vec<u8> = (0..=255).collect();
    let plain = Item { signal: 1.0, ..Item::default() };
    let kernel = all_data(shape, PredictionType::Sample);
    let [x_t, x_0] = run_batch(kernel, &[plain, Item { flip: true, ..plain }], &data);
    assert_eq!(x_t, x_0, "without noise");
    for (v, pixel) in x_0[..1024].chunks(4).enumerate() {
        if exact {
            assert_eq!(pixel[0], (2.0 * v as f32 - 255.0) * (1.0 / 255.0), "{v}");
        }
        assert!((f64::from(pixel[0]) - (v as f64 / 127.5 - 1.0)).abs() < 1e-7, "{v}");
        assert_eq!(pixel[0], x_0[1024 + 4 * (v / 16 * 16 + 15 - v % 16)], "mirrored {v}");
    }
    assert_eq!([x_0[0], x_0[4 * 255]], [-1.0, 1.0]);
}

/// An item's noise depends on its number, but not on its place in the batch or on the batch's size.
#[test]
fn batch_does_not_depend_on_its_company() {
    if gpu().is_none() {
        return;
    }
    let shape = Shape::new(4, 6, 5, 3);
    let (data, mut items) = (pictures(5, shape), items(4, 5));
    let kernel = all_data(shape, PredictionType::VPrediction);
    let all = run_batch(kernel, &items, &data);
    let size = shape.pixels() * 4;
    for (i, &item) in items.iter().enumerate() {
        let alone = run_batch(Batch { shape: Shape { n: 1, ..shape }, ..kernel }, &[item], &data);
        for (all, alone) in all.iter().zip(&alone) {
            assert_eq!(&all[i * size..][..size], alone, "item {i}");
        }
    }
    items[0].number += 1;
    let other = run_batch(kernel, &items, &data);
    assert_ne!(all[0][..size], other[0][..size]);
    assert_eq!(all[0][size..], other[0][size..]);
}

/// Runs a loss: d_output and item_loss.
fn run_loss(kernel: Loss, class: Class, items: &[Item], o: &[f32], y: &[f32]) -> [Vec<f32>; 2] {
    let gpu = gpu().expect("asked before");
    let items = words(items);
    let bindings = [
        Bind::Bits(&items),
        Bind::In(o),
        Bind::In(y),
        Bind::Out(o.len()),
        Bind::Out(4 * kernel.output.n),
    ];
    let mut out = run_bindings(&gpu, &kernel.call(class), &bindings);
    let item_loss = out.pop().unwrap();
    [out.pop().unwrap(), item_loss]
}

/// Rows of c values to rows of c4 vec4s, zero in the padding.
fn pad(values: &[f32], c: usize) -> Vec<f32> {
    let row = |row: &[f32]| [row, &vec![0.0; c.next_multiple_of(4) - c]].concat();
    values.chunks(c).flat_map(row).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn loss_agrees_with_its_twin() {
    if gpu().is_none() {
        return;
    }
    let shapes = [
        (Shape::new(1, 1, 1, 1), 1),
        (Shape::new(3, 5, 7, 3), 3),
        (Shape::new(2, 4, 5, 6), 3),
        (Shape::new(2, 3, 3, 2), 1),
        (Shape::new(3, 16, 16, 8), 4),
        (Shape::new(2, 7, 5, 5), 5),
        (Shape::new(1, 67, 61, 3), 3),
        // A folded grid, which is slow on some adapters.
        (Shape::new(FOLDED, 1, 1, 2), 1),
    ];
    for (shape, c) in shapes {
        let items = items(shape.n, 50);
        let size = shape.pixels() * shape.c;
        let (o, y) = (values(1, shape.n * size), values(2, shape.n * shape.pixels() * c));
        let kinds = if shape.n == FOLDED { &LOSSES[..1] } else { &LOSSES };
        for (&kind, factor) in kinds.iter().zip([1.0, 0.125, 1.0 / 3.0]) {
            let kernel = Loss { output: shape, channels: c, kind, delta: DELTA, factor };
            let (mut want, mut want_loss) = (Vec::new(), Vec::new());
            for (i, item) in items.iter().enumerate() {
                let scale = f64::from(factor * item.weight);
                let y = wide(&y[i * shape.pixels() * c..][..shape.pixels() * c]);
                let o = wide(&o[i * size..][..size]);
                let (mean, d_o) = loss::item((kind, DELTA), &o, shape.c, &y, c, scale);
                want.extend(d_o);
                want_loss.extend([mean, f64::from(item.weight) * mean, 0.0, 0.0]);
            }
            for class in CLASSES {
                let [d_o, item_loss] =
                    run_loss(kernel, class, &items, &pad(&o, shape.c), &pad(&y, c));
                let what = format!("{kernel:?} {class:?}");
                let padded: Vec<f32> = want.iter().map(|&v| v as f32).collect();
                let padded = wide(&pad(&padded, shape.c));
                // o and y are exact, so that d is rounded once.
                assert_close(&format!("d_output, {what}"), &d_o, &padded, 0.0, 2e-6);
                assert_close(&format!("item_loss, {what}"), &item_loss, &want_loss, 0.0, 2e-6);
            }
        }
    }
}

/// The twin's gradient agrees with central differences of its loss.
#[test]
fn loss_twin_has_its_own_gradient() {
    let (o, y) = (wide(&values(3, 30)), wide(&values(4, 15)));
    for kind in LOSSES {
        let (_, d_o) = loss::item((kind, DELTA), &o, 6, &y, 3, 1.5);
        for at in 0..o.len() {
            let moved = |by: f64| {
                let mut o = o.clone();
                o[at] += by;
                1.5 * loss::item((kind, DELTA), &o, 6, &y, 3, 1.0).0
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - d_o[at]).abs() < 1e-8, "{kind:?} {at}: {slope} {}", d_o[at]);
        }
    }
}

fn fixture(file: &str) -> Vec<u8> {
    let path = files::fixture("train").join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// PyTorch's mse_loss, l1_loss and huber_loss with a weight per item, and their gradients.
#[test]
fn losses_are_pytorchs() {
    if gpu().is_none() {
        return;
    }
    let json: Value = serde_json::from_slice(&fixture("optim.json")).unwrap();
    let given = &json["losses"];
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let shape = Shape::new(3, 5, 4, 3);
    let nhwc = |values: &[f64]| {
        nchw_to_nhwc4(&values.iter().map(|&v| v as f32).collect::<Vec<_>>(), shape)
    };
    let [output, target] = ["output", "target"].map(|name| nhwc(&numbers(&given[name])));
    let weights = numbers(&given["weights"]);
    let items: Vec<Item> =
        weights.iter().map(|&w| Item { weight: w as f32, ..Item::default() }).collect();
    let delta = given["huber_delta"].as_f64().unwrap() as f32;
    for (kind, name) in
        [(LossKind::Mse, "squared"), (LossKind::L1, "absolute"), (LossKind::Huber, "huber")]
    {
        let want = wide(&nhwc(&numbers(&given[name]["gradient"])));
        let want_items = numbers(&given[name]["items"]);
        for class in CLASSES {
            let kernel = Loss { output: shape, channels: 3, kind, delta, factor: 1.0 / 3.0 };
            let [d_output, item_loss] = run_loss(kernel, class, &items, &output, &target);
            assert_close(name, &d_output, &want, 0.0, 1e-6);
            for ((have, want), w) in item_loss.chunks(4).zip(&want_items).zip(&weights) {
                assert_close(name, have, &[*want, w * want, 0.0, 0.0], 0.0, 1e-6);
            }
        }
    }
}

/// PyTorch's mse_loss of the network's first step (f64).
#[test]
fn loss_of_the_fixture_network() {
    if gpu().is_none() {
        return;
    }
    let read = |file: &str| Weights::from_bytes(fixture(file), file).unwrap();
    let shape = Shape::new(4, 8, 8, 3);
    let pred = read("pred_step1.safetensors").read("pred").unwrap();
    let noise = read("batches.safetensors").read("noise").unwrap()[..pred.len()].to_vec();
    let [pred, noise] = [pred, noise].map(|nchw| nchw_to_nhwc4(&nchw, shape));
    let items = vec![Item { weight: 1.0, ..Item::default() }; 4];
    for class in CLASSES {
        let kernel =
            Loss { output: shape, channels: 3, kind: LossKind::Mse, delta: 0.0, factor: 0.25 };
        let [_, item_loss] = run_loss(kernel, class, &items, &pred, &noise);
        let mean = item_loss.chunks(4).map(|v| f64::from(v[1])).sum::<f64>() / 4.0;
        assert!((mean - 1.112_971_165_894_022_2).abs() < 1e-6, "{mean}");
    }
}

/// The loss must not turn a non-finite gradient into a finite one.
#[test]
fn loss_passes_on_what_is_not_finite() {
    if gpu().is_none() {
        return;
    }
    let shape = Shape::new(2, 3, 3, 4);
    let items = items(2, 9);
    for (kind, bad) in LOSSES
        .into_iter()
        .flat_map(|k| [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|bad| (k, bad)))
    {
        for class in CLASSES {
            let (mut o, y) = (values(1, 72), values(2, 72));
            o[41] = bad;
            let kernel = Loss { output: shape, channels: 4, kind, delta: DELTA, factor: 1.0 };
            let [d_o, item_loss] = run_loss(kernel, class, &items, &o, &y);
            let bad: Vec<usize> = (0..72).filter(|&i| !d_o[i].is_finite()).collect();
            assert_eq!(bad, [41], "{kind:?} {class:?}");
            assert!(item_loss[0].is_finite() && !item_loss[4].is_finite(), "{item_loss:?}");
        }
    }
}

/// The losses of micro-steps add up in a row, rows are reused in turn, and the norm is added to them.
#[test]
fn metrics_keep_the_last_steps() {
    let Some(gpu) = gpu() else { return };
    // T whose quarters are not whole numbers, too.
    for (n, accumulation, capacity, timesteps) in [(5, 3, 2, 1000), (1, 1, 3, 10), (130, 2, 1, 7)] {
        let kernel = Metrics { n, accumulation, capacity, num_train_timesteps: timesteps };
        let micro_steps = 4 * accumulation as u32;
        for class in CLASSES {
            let mut ring = vec![7.0; capacity * Row::WORDS];
            let mut want = Vec::new();
            for micro in 0..micro_steps {
                let mut items = items(n, 50);
                for (i, item) in items.iter_mut().enumerate() {
                    // Every t, the quarters' edges among them.
                    item.t = ((i * 250 + micro as usize * 249) % timesteps) as f32;
                }
                let losses = values(micro, 4 * n);
                let at = state(micro % 2, 2, micro - micro % 2 + 3 * accumulation as u32);
                let words = words(&items);
                let bindings =
                    [Bind::Bits(&at), Bind::Bits(&words), Bind::In(&losses), Bind::InOut(&ring)];
                ring = run_bindings(&gpu, &kernel.losses(class), &bindings).remove(0);
                let triple = |(i, item): (usize, &Item)| {
                    (f64::from(item.t), f64::from(losses[4 * i]), f64::from(losses[4 * i + 1]))
                };
                want.extend(items.iter().enumerate().map(triple));
                if (micro + 1) % accumulation as u32 != 0 {
                    continue;
                }
                let number = 3 + micro / accumulation as u32;
                let finite = number.is_multiple_of(2);
                let norm = [0.5 + number as f32, 1.0, f32::from(u8::from(finite)), 0.0];
                let at = state(0, 1, number);
                let bindings = [Bind::Bits(&at), Bind::In(&norm), Bind::InOut(&ring)];
                ring = run_bindings(&gpu, &kernel.norm(class), &bindings).remove(0);

                let row = &ring[number as usize % capacity * Row::WORDS..][..Row::WORDS];
                let row = Row::from_words(bits(row).try_into().unwrap());
                let (loss, sums, counts) = metrics::losses(&want, timesteps as f64);
                want.clear();
                assert_eq!((row.number, row.skipped), (number, !finite));
                assert_eq!((row.grad_norm, wide(&row.quartile_counts)), (norm[0], counts.to_vec()));
                // Sums of values of either sign, up to n of them.
                let tolerance = 1e-6 * n as f64;
                assert_close("loss", &[row.loss], &[loss], 1e-6, 0.0);
                assert_close("sums", &row.quartile_sums, &sums, tolerance, 0.0);
            }
        }
    }
}

fn run_dropout(kernel: Dropout, items: &[Item], x: &[f32], first_step: u32) -> Vec<f32> {
    let gpu = gpu().expect("asked before");
    let (state, items) = (state(2, 4, first_step), words(items));
    let bindings = [Bind::Bits(&state), Bind::Bits(&items), Bind::In(x), Bind::Out(x.len())];
    run_bindings(&gpu, &kernel.call(CLASSES[0]), &bindings).remove(0)
}

#[test]
fn dropout_agrees_with_its_twin() {
    if gpu().is_none() {
        return;
    }
    for shape in [Shape::new(1, 1, 1, 1), Shape::new(3, 5, 7, 6), Shape::new(2, 16, 16, 32)] {
        let items = items(shape.n, 9);
        let x = pad(&values(5, shape.n * shape.pixels() * shape.c), shape.c);
        let len = x.len() / shape.n;
        // A p that the first element's u reaches exactly.
        let edge = dropout::uniforms(SEED, 11, 4, items[0].number, 4)[0];
        for (p, layer) in [(0.0, 0), (0.1, 1), (0.3, 2), (0.5, 0xff_ffff), (1.0, 3), (edge, 4)] {
            let y = run_dropout(Dropout { shape, p, layer }, &items, &x, 9);
            let mut want = Vec::new();
            for (item, x) in items.iter().zip(x.chunks(len)) {
                let u = dropout::uniforms(SEED, 11, layer, item.number, len);
                want.extend(dropout::item(x, &u, p));
            }
            // One product of f32: to the bit.
            assert_eq!(y, want, "{shape} {p} {layer}");
        }
    }
}

/// The share of kept values and the mean of 400,000 ones are within 5 standard errors. The masks of other layers, steps
/// and items are independent, and the same mask is the same again.
#[test]
fn dropout_is_fair_and_each_mask_its_own() {
    if gpu().is_none() {
        return;
    }
    let shape = Shape::new(1, 250, 400, 4);
    let (x, item) = (vec![1.0; 400_000], Item { number: 5, ..Item::default() });
    for p in [0.1, 0.5, 0.9] {
        let kernel = Dropout { shape, p, layer: 1 };
        let mask = |kernel, number, step| run_dropout(kernel, &[Item { number, ..item }], &x, step);
        let y = mask(kernel, 5, 0);
        let error = (p * (1.0 - p) / 4e5).sqrt();
        let kept = y.iter().filter(|&&v| v != 0.0).count() as f64 / 4e5;
        assert!((kept - (1.0 - p)).abs() < 5.0 * error, "kept {kept} at {p}");
        let mean = wide(&y).iter().sum::<f64>() / 4e5;
        assert!((mean - 1.0).abs() < 5.0 * error / (1.0 - p) + 1e-6, "mean {mean} at {p}");
        assert_eq!(y, mask(kernel, 5, 0));
        let others =
            [mask(Dropout { layer: 2, ..kernel }, 5, 0), mask(kernel, 6, 0), mask(kernel, 5, 1)];
        for other in others {
            let both = y.iter().zip(&other).filter(|(a, b)| **a != 0.0 && **b != 0.0).count();
            let (both, q) = (both as f64 / 4e5, (1.0 - p).powi(2));
            assert!((both - q).abs() < 5.0 * (q * (1.0 - q) / 4e5).sqrt(), "{both} for {q}");
        }
    }
}

/// Over-submission is harmless: past the last step nothing is written.
#[test]
fn nothing_happens_after_the_last_step() {
    let Some(gpu) = gpu() else { return };
    let shape = Shape::new(2, 3, 5, 3);
    let (words, seven) = (words(&items(6, 1)), vec![7.0; shape.len4() * 4]);
    let (pair, row) = (&seven[..8], floats(&words[..16]));
    for at in [3, 4, u32::MAX] {
        let state = state(at, 3, 0);
        let reads = [Bind::Bits(&state), Bind::Bits(&words), Bind::In(&seven)];
        let items = Items { n: 2, class: true }.call(CLASSES[0]);
        let bindings =
            [&reads[..2], &[Bind::InOut(pair), Bind::InOut(pair), Bind::InOut(&row)]].concat();
        let after = run_bindings(&gpu, &items, &bindings);
        assert_eq!((&after[0][..], &after[1][..], bits(&after[2])), (pair, pair, bits(&row)));
        let batch = all_data(shape, PredictionType::Epsilon).call(CLASSES[0]);
        let bindings = [&reads[..], &[Bind::InOut(&seven), Bind::InOut(&seven)]].concat();
        assert_eq!(run_bindings(&gpu, &batch, &bindings), [&seven[..], &seven]);
        let dropout = Dropout { shape, p: 0.5, layer: 0 }.call(CLASSES[0]);
        let bindings = [&reads[..], &[Bind::InOut(&seven)]].concat();
        assert_eq!(run_bindings(&gpu, &dropout, &bindings)[0], seven);
        let kernel = Metrics { n: 2, accumulation: 1, capacity: 1, num_train_timesteps: 1000 };
        for class in CLASSES {
            let bindings = [&reads[..], &[Bind::InOut(&seven[..16])]].concat();
            assert_eq!(run_bindings(&gpu, &kernel.losses(class), &bindings)[0], seven[..16]);
        }
        let bindings = [Bind::Bits(&state), Bind::In(pair), Bind::InOut(&seven[..16])];
        assert_eq!(run_bindings(&gpu, &kernel.norm(CLASSES[0]), &bindings)[0], seven[..16]);
    }
}
