// Another average of the parameters, besides the one in optim/adamw: ema -= (1 - decay) (ema - p).
//
// state: [8], table: [steps][2] vec4 and norm: vec4 as in optim/adamw. p, ema: [count] vec4.
// Invocation i makes ema[i]. Nothing happens if the gradient was not finite, or when step >= steps.
#import lib/index
struct Params {
    count: u32,
    lane: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> p: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> ema: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let step = state[0];
    let i = index_1d(id);
    if step >= state[1] || i >= params.count || norm[0].z == 0.0 {
        return;
    }
    // A share of 1 is a copy, because the old value need not be finite.
    let share = table[2u * step + 1u][params.lane];
    ema[i] = select(ema[i] - share * (ema[i] - p[i]), p[i], share == 1.0);
}
