// AdamW (Loshchilov and Hutter 2019, algorithm 2) as torch.optim.AdamW computes it, on the clipped gradient. It also
// updates an average of the parameters and clears the gradient for the next step:
//   g' = factor g,  m += (1 - b1) (g' - m),  v = b2 v + (1 - b2) g'^2,
//   p = (1 - lr wd) p - lr / (1 - b1^k) m / (sqrt(v) / sqrt(1 - b2^k) + eps),
//   with EMA: ema -= (1 - decay) (ema - p),
//   g = 0.
//
// state: [8], step and steps first. table: [steps][2] vec4: (lr, 1 - lr wd, lr / (1 - b1^k), 1 / sqrt(1 - b2^k)), then
// 1 - decay of up to four averages. norm: vec4 from optim/grad_norm_finish: factor in y, finite in z.
// p, g, m, v, ema: [count] vec4.
// Invocation i updates vec4 i. A gradient that is not finite is only cleared. Nothing happens when step >= steps.
#import lib/index
struct Params {
    count: u32,
    lane: u32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> p: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> g: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;
#if EMA
@group(0) @binding(8) var<storage, read_write> ema: array<vec4<f32>>;
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let step = state[0];
    let i = index_1d(id);
    if step >= state[1] || i >= params.count {
        return;
    }
    let gradient = norm[0].y * g[i];
    g[i] = vec4<f32>(0.0);
    if norm[0].z == 0.0 {
        return;
    }
    let row = table[2u * step];
    let m1 = m[i] + params.rest1 * (gradient - m[i]);
    let v1 = params.beta2 * v[i] + params.rest2 * gradient * gradient;
    let p1 = row.y * p[i] - row.z * (m1 / (sqrt(v1) * row.w + params.eps));
    m[i] = m1;
    v[i] = v1;
    p[i] = p1;
#if EMA
    // A share of 1 is a copy, because the old value need not be finite.
    let share = table[2u * step + 1u][params.lane];
    ema[i] = select(ema[i] - share * (ema[i] - p1), p1, share == 1.0);
#endif
}
