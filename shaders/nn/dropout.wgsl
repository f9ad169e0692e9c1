// y = x / (1 - p) where an element is kept, else 0. Applied to dy it gives dx: the mask is computed again rather than
// stored. An element is kept if the upper 24 bits of its random word are at least `least` = p 2^24. The words come from
// Philox's stream `Dropout`, with the counter [vec4 of the item, item number, update's number, stream | layer << 8].
//
// state: [8]: step, steps, seed (low, high), the number of step 0. items: [n][2] vec4 from train/items.
// x, y: [n][item4] vec4. Invocation i makes y[i]. Nothing happens when step >= steps.
#import lib/index
#import lib/philox
struct Params {
    count: u32,
    item4: u32,
    stream: u32,
    least: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> items: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = index_1d(id);
    if state[0] >= state[1] || i >= params.count {
        return;
    }
    let number = items[2u * (i / params.item4) + 1u].w;
    let counter = vec4<u32>(i % params.item4, number, state[4] + state[0], params.stream);
    let u = philox4x32(counter, vec2<u32>(state[2], state[3])) >> vec4<u32>(8u);
    y[i] = select(vec4<f32>(0.0), params.scale * x[i], u >= vec4<u32>(params.least));
}
