// x <- x a + b, `rounds` times: nothing but multiply-adds, to measure what an adapter can do.
//
// seed: [count4] vec4: a in x, b in y; all four lanes start the chains. out: [count4] vec4.
// Invocation i makes out[i] from seed[i]: the sum of 4 chains of vec4, 8 multiply-adds per round each. The 16 scalar
// chains hide the latency without spilling a CPU's registers.

struct Params {
    count4: u32,
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> seed: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let i = gid.x;
    if (i >= params.count4) {
        return;
    }
    let a = vec4<f32>(seed[i].x);
    let b = vec4<f32>(seed[i].y);
    #for k in 0..4
    var x$k = seed[i] * f32($k + 1);
    #end
    for (var round = 0u; round < params.rounds; round++) {
        #for step in 0..8
        #for k in 0..4
        x$k = fma(x$k, a, b);
        #end
        #end
    }
    out[i] = (x0 + x1) + (x2 + x3);
}
