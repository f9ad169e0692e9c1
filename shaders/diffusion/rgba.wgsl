// The pixels of a picture: 255 clamp(x / 2 + 1/2, 0, 1), rounded half to even as diffusers does.
// 1 channel is gray, 2 are gray and alpha, 3 are RGB, 4 are RGBA. Of more channels the first three are RGB.
//
// x: [count][c4] vec4. out: [count] packed RGBA8, red in the lowest byte. Invocation i makes out[i].
#import lib/index
struct Params {
    count: u32,
    c: u32,
    c4: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let v = clamp(x[i * params.c4] * 0.5 + 0.5, vec4<f32>(0.0), vec4<f32>(1.0));
    var b = vec4<u32>(round(v * 255.0));
    if params.c <= 2u {
        b = vec4<u32>(b.x, b.x, b.x, b.y);
    }
    if params.c != 2u && params.c != 4u {
        b.w = 255u;
    }
    out[i] = b.x | (b.y << 8u) | (b.z << 16u) | (b.w << 24u);
}
