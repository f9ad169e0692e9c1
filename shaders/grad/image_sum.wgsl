// y[n] = scale * the sum of x[n] over its pixels.
//
// x [n][pixels][c4] vec4, y [n][stride4] vec4, from `offset4` on.
//
// SERIAL: invocation i makes vec4 i % c4 of image i / c4; else workgroup i makes `lanes` vec4s of one
// image, blocks of vec4s fastest: its invocations are `lanes` wide, by 256 / lanes pixels.
struct Params {
    count: u32,
    pixels: u32,
    c4: u32,
    lanes: u32,
    stride4: u32,
    offset4: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

#if !SERIAL
var<workgroup> part: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = id.y * FOLD + id.x;
    let lanes = params.lanes;
    let rows = 256u / lanes;
    let row = thread / lanes;
    let blocks = (params.c4 + lanes - 1u) / lanes;
    let q = i % blocks * lanes + thread % lanes;
    let image = i / blocks;
#else
#import lib/index
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    let rows = 1u;
    let row = 0u;
    let q = i % params.c4;
    let image = i / params.c4;
#endif
    if i >= params.count {
        return;
    }
    // Lanes past the channels have no pixels.
    let pixels = select(0u, params.pixels, q < params.c4);
    let first = image * params.pixels * params.c4 + q;
    var sum = vec4<f32>(0.0);
    // Sums of 256 terms are summed: the error of f32 grows with the number of terms in one chain.
    for (var chunk = row; chunk < pixels; chunk += 256u * rows) {
        var terms = vec4<f32>(0.0);
        let to = min(chunk + 256u * rows, pixels);
        for (var p = chunk; p < to; p += rows) {
            terms += x[first + p * params.c4];
        }
        sum += terms;
    }
#if !SERIAL
    part[thread] = sum;
    for (var reach = rows / 2u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if row < reach {
            part[thread] += part[thread + reach * lanes];
        }
    }
    sum = part[thread];
#endif
    if row == 0u && q < params.c4 {
        y[image * params.stride4 + params.offset4 + q] = params.scale * sum;
    }
}
