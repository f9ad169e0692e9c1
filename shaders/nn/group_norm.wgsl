// GroupNorm as an affine map per image and channel: y = a x + b with a = gamma / sqrt(var + eps) and b = beta - mean a.
// With SCALE_SHIFT these become a (1 + s) and b (1 + s) + t.
//
// x0 [n][pixels][first4] vec4. SECOND: x1 [n][pixels][second4] vec4, the channels after x0's.
// gamma, beta [c padded]. SCALE_SHIFT: temb [n][stride], c scales from `offset` on, then c shifts.
// affine [n][2][c padded]: row 0 is a, row 1 is b, zero in the padding. STATS: affine [n][4][c padded], where rows 2
// and 3 are the group's mean and 1 / sqrt(var + eps), for the adjoint.
//
// PARTIALS: x0 is the output of group_norm_partial.wgsl, and first4 its width.
// SERIAL: invocation i makes group i % groups of image i / groups; otherwise workgroup i does.
//
// The variance is computed around K, the mean of every 16th pixel. By Cauchy-Schwarz (mean - K)^2 is at most 15 var.
// So subtracting it costs at most 4 of 24 bits, wherever the mean lies.
#import lib/two_sources

struct Params {
    count: u32,
    groups: u32,
    pixels: u32,
    c: u32,
    first4: u32,
    second4: u32,
    stride: u32,
    offset: u32,
    eps: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x0: array<vec4<f32>>;
#if SECOND
@group(0) @binding(2) var<storage, read> x1: array<vec4<f32>>;
#endif
@group(0) @binding(GAMMA) var<storage, read> gamma: array<f32>;
@group(0) @binding(BETA) var<storage, read> beta: array<f32>;
#if SCALE_SHIFT
@group(0) @binding(TEMB) var<storage, read> temb: array<f32>;
#endif
@group(0) @binding(OUT) var<storage, read_write> affine: array<f32>;

// 1 for the lanes of vec4 `q` that are channels of [begin, end).
fn inside(q: u32, begin: u32, end: u32) -> vec4<f32> {
    let c = 4u * q + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), vec4<f32>(1.0), (c >= vec4<u32>(begin)) & (c < vec4<u32>(end)));
}

#if PARTIALS
fn pixels_in(p: Params, chunk: u32) -> f32 {
    return f32(min(256u, p.pixels - 256u * chunk));
}
#endif

#if !SERIAL
const THREADS = 256u;
var<workgroup> shared_sum: array<vec2<f32>, 256>;

// The sum over the workgroup, always in the same order.
fn reduce(value: vec2<f32>, lane: u32) -> vec2<f32> {
    workgroupBarrier();
    shared_sum[lane] = value;
    for (var s = THREADS / 2u; s > 0u; s /= 2u) {
        workgroupBarrier();
        if lane < s {
            shared_sum[lane] += shared_sum[lane + s];
        }
    }
    workgroupBarrier();
    return shared_sum[0];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = id.y * FOLD + id.x;
#else
const THREADS = 1u;

fn reduce(value: vec2<f32>, lane: u32) -> vec2<f32> {
    return value;
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = 0u;
    let i = id.y * (FOLD * 8u) + id.x;
#endif
    let p = params;
    if i >= p.count {
        return;
    }
    let image = i / p.groups;
    let group = i % p.groups;
    let size = p.c / p.groups;
    let begin = group * size;
    let end = begin + size;
    let q0 = begin / 4u;
    let width = (end + 3u) / 4u - q0;

    // The lanes share the columns of vec4s first, then the pixels. So each lane keeps its column and needs no further
    // division. Lanes left over have no pixels.
    let across = min(width, THREADS);
    let down = THREADS / across;
    let row = lane / across;

    var sum = vec4<f32>(0.0);
    var total = vec4<f32>(0.0);
    var squares = vec4<f32>(0.0);
#if PARTIALS
    let chunks = (p.pixels + 255u) / 256u;
    let start = select(row, chunks, row >= down);
    let row0 = image * chunks * 2u;
    for (var column = lane % across; column < width; column += across) {
        let q = q0 + column;
        for (var chunk = start; chunk < chunks; chunk += down) {
            sum += inside(q, begin, end) * load(p, row0 + 2u * chunk, q) * pixels_in(p, chunk);
        }
    }
    let around = reduce(vec2<f32>(dot(sum, vec4<f32>(1.0)), 0.0), lane).x / f32(p.pixels * size);
    for (var column = lane % across; column < width; column += across) {
        let q = q0 + column;
        let mask = inside(q, begin, end);
        for (var chunk = start; chunk < chunks; chunk += down) {
            let mean = load(p, row0 + 2u * chunk, q);
            let square = load(p, row0 + 2u * chunk + 1u, q);
            let count = mask * pixels_in(p, chunk);
            let d = mean - around;
            total += count * d;
            squares += count * d * d + mask * square;
        }
    }
#else
    let pixels = p.pixels;
    let start = select(row, pixels, row >= down);
    let first = image * pixels;
    let samples = (pixels + 15u) / 16u;
    for (var column = lane % across; column < width; column += across) {
        let q = q0 + column;
        for (var sample = start; sample < samples; sample += down) {
            sum += inside(q, begin, end) * load(p, first + 16u * sample, q);
        }
    }
    let around = reduce(vec2<f32>(dot(sum, vec4<f32>(1.0)), 0.0), lane).x / f32(samples * size);

    for (var column = lane % across; column < width; column += across) {
        let q = q0 + column;
        let mask = inside(q, begin, end);
        // Sums of sums of 256: the error of f32 grows with the number of terms.
        for (var chunk = start; chunk < pixels; chunk += 256u * down) {
            sum = vec4<f32>(0.0);
            var square = vec4<f32>(0.0);
            let to = min(chunk + 256u * down, pixels);
            // Four loads are in flight at once. Past the last pixel they read the last one, and are not counted.
            for (var pixel = chunk; pixel < to; pixel += 4u * down) {
#for k in 0..4
                let x$k = load(p, first + min(pixel + $ku * down, pixels - 1u), q);
#end
#for k in 0..4
                let d$k = select(vec4<f32>(0.0), mask * (x$k - around), pixel + $ku * down < pixels);
                sum += d$k;
                square += d$k * d$k;
#end
            }
            total += sum;
            squares += square;
        }
    }
#endif
    let sums = reduce(vec2<f32>(dot(total, vec4<f32>(1.0)), dot(squares, vec4<f32>(1.0))), lane);
    let moments = sums / f32(p.pixels * size);
    let mean = around + moments.x;
    let rstd = inverseSqrt(max(moments.y - moments.x * moments.x, 0.0) + p.eps);

    // The last group also clears the padding.
    let padded = 4u * (p.first4 + p.second4);
    let last = select(end, padded, end == p.c);
    for (var c = begin + lane; c < last; c += THREADS) {
        var a = gamma[c] * rstd;
        var b = beta[c] - mean * a;
#if SCALE_SHIFT
        let t = image * p.stride + p.offset + c;
        let scale = 1.0 + temb[t];
        a *= scale;
        b = b * scale + temb[t + p.c];
#endif
#if STATS
        let row = 4u * image * padded + c;
        affine[row + 2u * padded] = select(0.0, mean, c < end);
        affine[row + 3u * padded] = select(0.0, rstd, c < end);
#else
        let row = 2u * image * padded + c;
#endif
        affine[row] = select(0.0, a, c < end);
        affine[row + padded] = select(0.0, b, c < end);
    }
}
