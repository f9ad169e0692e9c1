// y[row][c] = x[row][offset + c] for the channels c of y; zero in its padding.
//
// x: [rows][stride] f32. y: [rows][c4] vec4. rows = n * pixels. Invocation i makes y[i].
#import lib/index
struct Params {
    count: u32,
    c: u32,
    stride: u32,
    offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if i >= params.count {
        return;
    }
    let c4 = (params.c + 3u) / 4u;
    let c = i % c4 * 4u;
    let source = i / c4 * params.stride + params.offset + c;
    var value = vec4<f32>(0.0);
#for l in 0..4
    if c + $lu < params.c {
        value[$l] = x[source + $lu];
    }
#end
    y[i] = value;
}
