// Writes a training step's numbers for the log to row `number % capacity` of a ring. A row has 4 vec4s: (mean weighted
// loss, gradient norm, 1 if the update was skipped, number as u32), the sums of the items' losses by quartile of t, the
// numbers of items in the quartiles, and zeros. `number` is the update's number.
//
// Without NORM the kernel runs once in every micro-step: the first one of an update clears the row, and all of them add
// to it. With NORM it runs once per update, when the norm is known, and fills in the norm's two lanes.
//
// state: [8]: step, steps, -, -, the number of step 0: with NORM the optimizer's state, otherwise the micro-steps'.
// items: [n][2] vec4 from train/items. item_loss: [n] vec4 from train/loss. norm: vec4 from optim/grad_norm_finish.
// ring: [capacity][4] vec4, bound as integers because of the number.
// One workgroup (with SERIAL or NORM one invocation) does it. Nothing happens when step >= steps.
struct Params {
    n: u32,
    accumulation: u32,
    capacity: u32,
    timesteps: f32,
    factor: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
#if NORM
@group(0) @binding(2) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> ring: array<vec4<u32>>;

@compute @workgroup_size(1)
fn main() {
    if state[0] >= state[1] {
        return;
    }
    let row = 4u * ((state[4] + state[0]) % params.capacity);
    ring[row].y = bitcast<u32>(norm[0].x);
    ring[row].z = bitcast<u32>(1.0 - norm[0].z);
}
#else
@group(0) @binding(2) var<storage, read> items: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> item_loss: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> ring: array<vec4<u32>>;

struct Sums {
    weighted: f32,
    loss: vec4<f32>,
    count: vec4<f32>,
}

fn plus(a: Sums, b: Sums) -> Sums {
    return Sums(a.weighted + b.weighted, a.loss + b.loss, a.count + b.count);
}

fn item(i: u32) -> Sums {
    let t = bitcast<f32>(items[2u * i].z);
    // floor(4 t / T) without a division, which WGSL does not promise to be exact.
    let reached = vec3<u32>(vec3<f32>(4.0 * t) >= params.timesteps * vec3<f32>(1.0, 2.0, 3.0));
    let quartile = vec4<u32>(reached.x + reached.y + reached.z);
    let mine = quartile == vec4<u32>(0u, 1u, 2u, 3u);
    let loss = item_loss[i];
    let none = vec4<f32>(0.0);
    return Sums(loss.y, select(none, vec4<f32>(loss.x), mine), select(none, vec4<f32>(1.0), mine));
}

#if !SERIAL
const THREADS = 64u;
var<workgroup> shared_sums: array<Sums, 64>;

@compute @workgroup_size(64)
#else
const THREADS = 1u;

@compute @workgroup_size(1)
#endif
fn main(@builtin(local_invocation_index) lane: u32) {
    if state[0] >= state[1] {
        return;
    }
    var sums = Sums(0.0, vec4<f32>(0.0), vec4<f32>(0.0));
    for (var i = lane; i < params.n; i += THREADS) {
        sums = plus(sums, item(i));
    }
#if !SERIAL
    shared_sums[lane] = sums;
    for (var s = THREADS / 2u; s > 0u; s /= 2u) {
        workgroupBarrier();
        if lane < s {
            shared_sums[lane] = plus(shared_sums[lane], shared_sums[lane + s]);
        }
    }
    if lane > 0u {
        return;
    }
    sums = shared_sums[0];
#endif
    let micro = state[4] + state[0];
    let number = micro / params.accumulation;
    let row = 4u * (number % params.capacity);
    sums.weighted *= params.factor;
    if micro % params.accumulation > 0u {
        let before = bitcast<vec4<f32>>(ring[row]);
        let loss = bitcast<vec4<f32>>(ring[row + 1u]);
        let count = bitcast<vec4<f32>>(ring[row + 2u]);
        sums = plus(Sums(before.x, loss, count), sums);
    }
    ring[row] = vec4<u32>(bitcast<u32>(sums.weighted), 0u, 0u, number);
    ring[row + 1u] = bitcast<vec4<u32>>(sums.loss);
    ring[row + 2u] = bitcast<vec4<u32>>(sums.count);
    ring[row + 3u] = vec4<u32>(0u);
}
#endif
