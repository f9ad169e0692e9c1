// d_w[ky,kx,c,o] = sum over n, y, x of in[n, y*STRIDE + ky - pad, x*STRIDE + kx - pad, c] * d_out[n,y,x,o],
// `in` being 0 outside the image: the adjoint of nn/conv2d with respect to its weights.
//
// x [n][h_in][w_in][c], d_out [n][h_out][w_out][co], out [splits][K*K*c*4][co], all vec4. With ADD there is one split,
// and the sum is added to `out`, which is the gradient itself.
//
// One invocation makes the K taps of a row x 4 input channels x OC vec4s of output channels, over the images of its
// split. As in nn/conv2d_direct there is no workgroup memory, and 4 pixels of a row share what they load.
// Neighbouring invocations take neighbouring output channels. With SUBGROUPS, 8 invocations of one subgroup take the
// same output channels but different rows of (ky, c). Each loads different pixels of d_out and broadcasts them to the
// others.
struct Params {
    h_in: u32,
    w_in: u32,
    h_out: u32,
    w_out: u32,
    c: u32, // vec4s
    co: u32,
    n: u32,
    pad: u32,
    groups: u32, // of OC vec4s along the output channels
    images: u32, // of a split
    splits: u32,
    results: u32, // K * 4 * OC, hidden from the compiler, which would unroll the loop over them
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
#if SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
#else
    @builtin(local_invocation_index) lane: u32,
#endif
) {
    let c_in = params.c;
    let units = c_in * K;
#if SUBGROUPS
    let index = workgroup.y * FOLD + workgroup.x;
    let sets = (units + 7u) / 8u;
    let row_of_taps = index / params.groups % sets * 8u + lane;
    let split = index / (params.groups * sets);
#else
    let index = (workgroup.y * FOLD + workgroup.x) * 8u + lane;
    let row_of_taps = index / params.groups % units;
    let split = index / (params.groups * units);
    if (split >= params.splits) {
        return;
    }
#endif
    let group = index % params.groups * OC;
    let unit = min(row_of_taps, units - 1u);
    let ky = unit / c_in;
    let c = unit % c_in;
    let co = params.co;
    // The last group may extend past the end; what it computes there is not stored.
#if SUBGROUPS
    // This lane loads this one of the 4 pixels, and these channels.
#for i in 0..LOADS
    let pixel$i = ($iu * 8u + lane) / OC;
    let o$i = min(group + ($iu * 8u + lane) % OC, co - 1u);
#end
#else
#for j in 0..OC
    let o$j = min(group + $j, co - 1u);
#end
#endif
    let h_in = i32(params.h_in);
    let w_in = i32(params.w_in);
    let h_out = params.h_out;
    let w_out = params.w_out;
    let pad = i32(params.pad);
    var sum: array<vec4<f32>, K * 4u * OC>;
    let last = min((split + 1u) * params.images, params.n);
    for (var n = split * params.images; n < last; n++) {
        // Each image is summed separately, because the error of f32 grows with the number of terms.
#for kx in 0..K
#for l in 0..4
#for j in 0..OC
        var acc$kx_$l_$j = vec4<f32>(0.0);
#end
#end
#end
        for (var y = 0u; y < h_out; y++) {
            let row = i32(y * STRIDE + ky) - pad;
            let there = (row >= 0) & (row < h_in);
            let line = (n * u32(h_in) + u32(clamp(row, 0, h_in - 1))) * u32(w_in);
            let line_d = (n * h_out + y) * w_out;
            for (var px = 0u; px < w_out; px += 4u) {
                let left = i32(px * STRIDE) - pad;
                let v = array<vec4<f32>, COLS>(
#for i in 0..COLS
                    select(
                        vec4<f32>(0.0),
                        x[(line + u32(clamp(left + $i, 0, w_in - 1))) * c_in + c],
                        there & (left + $i >= 0) & (left + $i < w_in),
                    ),
#end
                );
#if SUBGROUPS
                let lanes = array<vec4<f32>, LOADS>(
#for i in 0..LOADS
                    select(
                        vec4<f32>(0.0),
                        d_out[(line_d + min(px + pixel$i, w_out - 1u)) * co + o$i],
                        px + pixel$i < w_out,
                    ),
#end
                );
#endif
#for j in 0..OC
                {
                    let m = mat4x4<f32>(
#for p in 0..4
#if SUBGROUPS
                        subgroupBroadcast(lanes[($p * OC + $j) / 8], ($p * OC + $j) % 8),
#else
                        select(
                            vec4<f32>(0.0),
                            d_out[(line_d + min(px + $p, w_out - 1u)) * co + o$j],
                            px + $p < w_out,
                        ),
#endif
#end
                    );
#for kx in 0..K
#for l in 0..4
                    acc$kx_$l_$j += m * vec4<f32>(
#for p in 0..4
                        v[$p * STRIDE + $kx][$l],
#end
                    );
#end
#end
                }
#end
            }
        }
#for kx in 0..K
#for l in 0..4
#for j in 0..OC
        sum[($kx * 4 + $l) * OC + $j] += acc$kx_$l_$j;
#end
#end
#end
    }

    let results = params.results;
    for (var i = 0u; i < results; i++) {
        let o = group + i % OC;
        if ((row_of_taps < units) & (o < co)) {
            let row = ((ky * K + i / (4u * OC)) * c_in + c) * 4u + i / OC % 4u;
            let to = (split * K * K * c_in * 4u + row) * co + o;
#if ADD
            out[to] += sum[i];
#else
            out[to] = sum[i];
#endif
        }
    }
}
