// The mean, and the sum of squared deviations from it, per channel and chunk of 256 pixels.
//
// x0 [n][pixels][first4] vec4. SECOND: x1 [n][pixels][second4] vec4, the channels after x0's.
// partials [n][chunks][2][c4] vec4: means, then sums.
//
// A workgroup makes LANES vec4s of one chunk. Blocks of vec4s vary fastest, then chunks, then images. A workgroup's
// invocations are LANES vec4s wide, so that neighbours read neighbours, and 256 / LANES pixels high.
#import lib/two_sources

struct Params {
    count: u32,
    chunks: u32,
    pixels: u32,
    first4: u32,
    second4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x0: array<vec4<f32>>;
#if SECOND
@group(0) @binding(2) var<storage, read> x1: array<vec4<f32>>;
#endif
@group(0) @binding(OUT) var<storage, read_write> partials: array<vec4<f32>>;

const ROWS = 256u / LANES;
var<workgroup> means: array<vec4<f32>, 256>;
var<workgroup> squares: array<vec4<f32>, 256>;
var<workgroup> counts: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let p = params;
    let i = id.y * FOLD + id.x;
    if i >= p.count {
        return;
    }
    let c4 = p.first4 + p.second4;
    let blocks = (c4 + LANES - 1u) / LANES;
    let q = i % blocks * LANES + thread % LANES;
    let item = i / blocks;
    let chunk = item % p.chunks * 256u;
    let image = item / p.chunks;
    let row = thread / LANES;
    let first = image * p.pixels + chunk;
    // Lanes past the channels have no pixels.
    let end = select(0u, min(256u, p.pixels - chunk), q < c4);

    // As in group_norm.wgsl: squares are summed around the mean of every 16th value.
    var around = vec4<f32>(0.0);
    var samples = 0.0;
    for (var pixel = row; pixel < end; pixel += 16u * ROWS) {
        around += load(p, first + pixel, q);
        samples += 1.0;
    }
    around /= max(samples, 1.0);
    var count = 0.0;
    var sum = vec4<f32>(0.0);
    var square = vec4<f32>(0.0);
    // Four loads are in flight at once. Past the last pixel they read the last one, and are not counted.
    for (var pixel = row; pixel < end; pixel += 4u * ROWS) {
#for k in 0..4
        let x$k = load(p, first + min(pixel + $ku * ROWS, end - 1u), q);
#end
#for k in 0..4
        let exists$k = pixel + $ku * ROWS < end;
        let d$k = select(vec4<f32>(0.0), x$k - around, exists$k);
        sum += d$k;
        square += d$k * d$k;
        count += select(0.0, 1.0, exists$k);
#end
    }
    let shift = sum / max(count, 1.0);
    means[thread] = around + shift;
    squares[thread] = max(square - sum * shift, vec4<f32>(0.0));
    counts[thread] = count;

    // The moments of two joined sets (Chan, Golub and LeVeque).
    for (var s = ROWS / 2u; s > 0u; s /= 2u) {
        workgroupBarrier();
        if row < s {
            let other = thread + s * LANES;
            let all = counts[thread] + counts[other];
            let d = means[other] - means[thread];
            let share = counts[other] / max(all, 1.0);
            means[thread] += d * share;
            squares[thread] += squares[other] + d * d * (counts[thread] * share);
            counts[thread] = all;
        }
    }
    if row == 0u && q < c4 {
        partials[2u * item * c4 + q] = means[thread];
        partials[(2u * item + 1u) * c4 + q] = squares[thread];
    }
}
