// Normalises, mirrors and noises the pictures (DDPM, eq. 4), and makes the network's target:
//   x_0 = v / 127.5 - 1,  x_t = sqrt(a) x_0 + sqrt(1-a) eps;
//   target = eps; with SAMPLE x_0; with VELOCITY sqrt(a) eps - sqrt(1-a) x_0.
// eps are normals from the stream `Train`, with the counter [pixel, item number, update's number, stream].
//
// state: [8]: step, steps, seed (low, high), the number of step 0. items: [n][2] vec4 from train/items.
// data: [pictures][h][w][c] bytes without padding, c <= 4, a word's lowest byte first. It holds the pictures from
// number `first` on; items whose picture is elsewhere are left unchanged. x_t, result (the target): [n][h][w] vec4.
// Invocation i makes vec4 i of x_t and of the target. Nothing happens when step >= steps.
#import lib/index
#import lib/philox
struct Params {
    count: u32,
    w: u32,
    pixels: u32,
    c: u32,
    first: u32,
    pictures: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> items: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> data: array<u32>;
@group(0) @binding(4) var<storage, read_write> x_t: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> result: array<vec4<f32>>;

const FLIP = 1u;

fn byte(at: u32) -> f32 {
    return f32((data[at / 4u] >> (at % 4u * 8u)) & 0xffu);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if state[0] >= state[1] || i >= params.count {
        return;
    }
    let item = i / params.pixels;
    let pixel = i % params.pixels;
    let what = items[2u * item];
    let how = items[2u * item + 1u];
    // For a picture before `first` this wraps to a large number.
    let picture = what.x - params.first;
    if picture >= params.pictures {
        return;
    }

    var source = pixel;
    if (what.y & FLIP) != 0u {
        let x = pixel % params.w;
        source = pixel - x + (params.w - 1u - x);
    }
    let at = (picture * params.pixels + source) * params.c;
    // Lanes past the last channel read the last channel again.
    let last = params.c - 1u;
    let v = vec4<f32>(byte(at), byte(at + min(1u, last)), byte(at + min(2u, last)), byte(at + last));
    // v / 127.5 - 1 without a division, which in WGSL may be wrong by 2.5 ulp.
    let x_0 = (2.0 * v - 255.0) * 0.003921569;

    let counter = vec4<u32>(pixel, how.w, state[4] + state[0], 2u);
    let eps = normals(philox4x32(counter, vec2<u32>(state[2], state[3])));
    let level = bitcast<vec2<f32>>(how.xy);
    let inside = vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.c);
    x_t[i] = select(vec4<f32>(0.0), level.x * x_0 + level.y * eps, inside);
#if SAMPLE
    let y = x_0;
#else
#if VELOCITY
    let y = level.x * eps - level.y * x_0;
#else
    let y = eps;
#endif
#endif
    result[i] = select(vec4<f32>(0.0), y, inside);
}
