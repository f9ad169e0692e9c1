// One reverse step of any sampler, in place (src/diffusion/coefficients.rs):
//   pred_x0 = bound(kx x_t + ko o),  x_prev = p0 pred_x0 + px x_t + po o + sigma z.
//
// state: [8]: step, steps, seed (low, high), first image. table: [steps][3] vec4, the coefficients.
// o: [n][pixels][o4] vec4, the network's output: c channels of prediction and, with LEARNED and LEARNED_RANGE,
// c more of variance. noise (with GIVEN_NOISE): [steps][n][pixels][c4] vec4. limits (with THRESHOLD): [n] vec4, the
// first lane counts. x_t, pred_x0: [n][pixels][c4] vec4.
//
// Invocation i makes vec4 i of x_t and pred_x0. Nothing happens when step >= steps.
#import lib/index
#if !GIVEN_NOISE
#import lib/philox
#endif
struct Params {
    count: u32,
    item4: u32,
    c: u32,
    c4: u32,
    o4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> output: array<vec4<f32>>;
#if GIVEN_NOISE
@group(0) @binding(4) var<storage, read> noise: array<vec4<f32>>;
#endif
#if THRESHOLD
@group(0) @binding(LIMITS) var<storage, read> limits: array<vec4<f32>>;
#endif
@group(0) @binding(X_T) var<storage, read_write> x_t: array<vec4<f32>>;
@group(0) @binding(PRED_X0) var<storage, read_write> pred_x0: array<vec4<f32>>;

const LANES = vec4<u32>(0u, 1u, 2u, 3u);

#if LEARNED
// The variance's channels 4q .. 4q + 3. They begin at channel c, which need not be the start of a vec4.
fn variance(pixel: u32, q: u32) -> vec4<f32> {
    let e = min(params.c + 4u * q + LANES, vec4<u32>(2u * params.c - 1u));
    let at = pixel * params.o4 + e / 4u;
    return vec4<f32>(
        output[at.x][e.x % 4u],
        output[at.y][e.y % 4u],
        output[at.z][e.z % 4u],
        output[at.w][e.w % 4u],
    );
}
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let step = state[0];
    let i = index_1d(id);
    if step >= state[1] || i >= params.count {
        return;
    }
    let predict = table[3u * step];
    let update = table[3u * step + 1u];
    let pixel = i / params.c4;
    let q = i % params.c4;
    let x = x_t[i];
    let o = output[pixel * params.o4 + q];

    var x0 = predict.x * x + predict.y * o;
#if THRESHOLD
    let limit = limits[i / params.item4].x;
    x0 = clamp(x0, vec4<f32>(-limit), vec4<f32>(limit)) / limit;
#else
    if predict.z > 0.0 {
        x0 = clamp(x0, vec4<f32>(-predict.z), vec4<f32>(predict.z));
    }
#endif
    var x_prev = update.x * x0 + update.y * x + update.z * o;
    let sigma = predict.w;
    if sigma != 0.0 {
#if GIVEN_NOISE
        let z = noise[step * params.count + i];
#else
        let counter = vec4<u32>(i % params.item4, state[4] + i / params.item4, step, 1u);
        let z = normals(philox4x32(counter, vec2<u32>(state[2], state[3])));
#endif
#if LEARNED
        let v = variance(pixel, q);
#if LEARNED_RANGE
        let logs = table[3u * step + 2u];
        let f = 0.5 * (v + 1.0);
        x_prev += sigma * exp(f * logs.y + (1.0 - f) * logs.x) * z;
#else
        x_prev += sigma * sqrt(v) * z;
#endif
#else
        x_prev += sigma * z;
#endif
    }
    let inside = 4u * q + LANES < vec4<u32>(params.c);
    x_t[i] = select(vec4<f32>(0.0), x_prev, inside);
    pred_x0[i] = select(vec4<f32>(0.0), x0, inside);
}
