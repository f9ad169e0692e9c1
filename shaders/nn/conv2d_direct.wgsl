// out[n,y,x,o] = act(scale * (bias[o] + add[n,o] + residual[n,y,x,o]
//                + sum over ky, kx, c of pre(in)[n, y*STRIDE + ky - pad, x*STRIDE + kx - pad, c] * w[ky,kx,c,o]))
// where pre(in) = pre_act(a[n,c] * in + b[n,c]) inside the image and 0 outside. Along c, `in` is x0, then x1. With
// UPSAMPLE each pixel appears twice in both directions.
//
// x0 [n][h0][w0][c0] and x1 [n][h0][w0][c1], weights [K*K][(c0 + c1) * 4][co], bias [co],
// affine [n][2][c0 + c1], add [n][add_stride], residual and out [n][h_out][w_out][co], all vec4.
//
// One invocation makes ROWS x PX pixels x OC vec4s of output channels. It uses no workgroup memory and no barrier,
// which suits a CPU behind Vulkan. There a load costs as much as dozens of multiplications. So an invocation loads the
// pixels and the weights that it needs once per 4 channels and line of taps:
//
// * SUBGROUPS: 8 invocations of one subgroup make 8 tiles of the same channels. Each loads different weights and
//   broadcasts them to the others.
// * LOOPED: the loads are in loops, which compile quickly where a load is hundreds of instructions.
// * neither: the loads are unrolled, line by line, where indexing an array with a variable is slow.
#import lib/act

struct Params {
    h_in: u32, // of the image the taps move over: twice the source's when UPSAMPLE
    w_in: u32,
    h_out: u32,
    w_out: u32,
    c0: u32, // vec4s
    c1: u32,
    co: u32,
    n: u32,
    pad: u32,
    add_stride: u32,
    add_offset: u32,
    scale: f32,
    groups: u32, // of OC vec4s along the output channels
    tiles_x: u32, // of PX pixels along a row
    tiles_y: u32, // of ROWS rows
    // Constants of the variant, hidden from the compiler, which would unroll the loops over them.
    outputs: u32, // ROWS * PX
    oc: u32, // OC
    pixels: u32, // ROWS_IN * COLS
    taps: u32, // K * 4 * OC
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x0: array<vec4<f32>>;
#if TWO
@group(0) @binding(B_X1) var<storage, read> x1: array<vec4<f32>>;
#endif
@group(0) @binding(B_WEIGHTS) var<storage, read> weights: array<vec4<f32>>;
#if BIAS
@group(0) @binding(B_BIAS) var<storage, read> bias: array<vec4<f32>>;
#endif
#if PROLOGUE
@group(0) @binding(B_AFFINE) var<storage, read> affine: array<vec4<f32>>;
#endif
#if ADD
@group(0) @binding(B_ADD) var<storage, read> add: array<vec4<f32>>;
#endif
#if RESIDUAL
@group(0) @binding(B_RESIDUAL) var<storage, read> residual: array<vec4<f32>>;
#endif
@group(0) @binding(B_OUT) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
#if SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
#else
    @builtin(local_invocation_index) lane: u32,
#endif
) {
#if SUBGROUPS
    let index = workgroup.y * FOLD + workgroup.x;
    let tile = index / params.groups * 8u + lane;
#else
    // Neighbouring invocations take neighbouring channels, because small images have few tiles.
    let index = (workgroup.y * FOLD + workgroup.x) * 8u + lane;
    let tile = index / params.groups;
#endif
    // The last group may extend past the end; what it computes there is not stored.
    let group = index % params.groups * OC;
    let x = tile % params.tiles_x * PX;
    let y = tile / params.tiles_x % params.tiles_y * ROWS;
    let image = tile / (params.tiles_x * params.tiles_y);
    // Read once, because these compilers do not hoist a uniform's load out of the loops.
    let images = params.n;
#if !SUBGROUPS
    if (image >= images) {
        return;
    }
#endif
    let n = min(image, images - 1u);
    let co = params.co;
    let h_in = i32(params.h_in);
    let w_in = i32(params.w_in);
    let c_in = params.c0 + params.c1;
    let left = i32(x * STRIDE) - i32(params.pad);
    let top = i32(y * STRIDE) - i32(params.pad);
    let tap = c_in * 4u * co; // from one tap's weights to the next tap's
    var sum: array<vec4<f32>, ROWS * PX * OC>;
#if LOOPED
    let pixels = params.pixels;
    let taps = params.taps;
    var v: array<vec4<f32>, ROWS * COLS>;
    var w: array<vec4<f32>, K * 4u * OC>;
#else
    // The source's columns, and whether they exist. Not with `&&`, which is a branch.
#for i in 0..COLS
    let inside$i = (left + $i >= 0) & (left + $i < w_in);
    let column$i = u32(clamp(left + $i, 0, w_in - 1));
#end
#if SUBGROUPS
    // The offset of this lane's weights, from the tap (ky, 0) and the channel on.
#for i in 0..LOADS
    let e$i = min($iu * 8u + lane, K * 4u * OC - 1u);
    let from$i = e$i / (4u * OC) * tap + e$i / OC % 4u * co + min(group + e$i % OC, co - 1u);
#end
#else
#for j in 0..OC
    let o$j = min(group + $j, co - 1u);
#end
#endif
#endif

    for (var ky = 0u; ky < K; ky++) {
        // Each row of taps is summed separately, because the error of f32 grows with the number of terms.
#for r in 0..ROWS
#for i in 0..PX
#for j in 0..OC
        var acc$r_$i_$j = vec4<f32>(0.0);
#end
#end
#end
#if !LOOPED
#for r in 0..ROWS
        let row$r = top + i32(ky + $r * STRIDE);
        let there$r = (row$r >= 0) & (row$r < h_in);
        let y$r = u32(clamp(row$r, 0, h_in - 1));
#if UPSAMPLE
        let line$r = (n * u32(h_in / 2) + y$r / 2u) * u32(w_in / 2);
#else
        let line$r = (n * u32(h_in) + y$r) * u32(w_in);
#endif
#end
#endif
        // Weights of tap (ky, 0), channel 0 of the source.
        var first = ky * K * tap;
#for s in 0..SOURCES
        let channels$s = params.c$s;
#if !LOOPED
#for r in 0..ROWS
#for i in 0..COLS
        let here$s_$r_$i = there$r & inside$i;
#if UPSAMPLE
        let at$s_$r_$i = (line$r + column$i / 2u) * channels$s;
#else
        let at$s_$r_$i = (line$r + column$i) * channels$s;
#endif
#end
#end
#endif
        for (var c = 0u; c < channels$s; c++) {
#if PROLOGUE
            let mean = n * 2u * c_in + c + $s * params.c0;
            let a = affine[mean];
            let b = affine[mean + c_in];
#endif
#if LOOPED
            for (var t = 0u; t < pixels; t++) {
                let row = top + i32(ky + t / COLS * STRIDE);
                let column = left + i32(t % COLS);
                let here = (row >= 0) & (row < h_in) & (column >= 0) & (column < w_in);
                let y = u32(clamp(row, 0, h_in - 1));
                let x = u32(clamp(column, 0, w_in - 1));
#if UPSAMPLE
                let at = ((n * u32(h_in / 2) + y / 2u) * u32(w_in / 2) + x / 2u) * channels$s + c;
#else
                let at = ((n * u32(h_in) + y) * u32(w_in) + x) * channels$s + c;
#endif
                v[t] = select(
                    vec4<f32>(0.0),
#if PROLOGUE
                    pre_act(a * x$s[at] + b),
#else
                    x$s[at],
#endif
                    here,
                );
            }
            for (var t = 0u; t < taps; t++) {
                w[t] = weights[first + t / (4u * OC) * tap + t / OC % 4u * co + min(group + t % OC, co - 1u)];
            }
#else
            let v = array<vec4<f32>, ROWS * COLS>(
#for r in 0..ROWS
#for i in 0..COLS
                select(
                    vec4<f32>(0.0),
#if PROLOGUE
                    pre_act(a * x$s[at$s_$r_$i + c] + b),
#else
                    x$s[at$s_$r_$i + c],
#endif
                    here$s_$r_$i,
                ),
#end
#end
            );
#if SUBGROUPS
            let w = array<vec4<f32>, LOADS>(
#for i in 0..LOADS
                weights[first + from$i],
#end
            );
#endif
#endif
#for kx in 0..K
#for j in 0..OC
            {
                let m = mat4x4<f32>(
#for k in 0..4
#if SUBGROUPS
                    subgroupBroadcast(w[(($kx * 4 + $k) * OC + $j) / 8], (($kx * 4 + $k) * OC + $j) % 8),
#else
#if LOOPED
                    w[($kx * 4 + $k) * OC + $j],
#else
                    weights[first + $kx * tap + $k * co + o$j],
#endif
#endif
#end
                );
#for r in 0..ROWS
#for i in 0..PX
                acc$r_$i_$j += m * v[$r * COLS + $i * STRIDE + $kx];
#end
#end
            }
#end
#end
            first += 4u * co;
        }
#end
#for j in 0..OC
#for r in 0..ROWS
#for i in 0..PX
        sum[($j * ROWS + $r) * PX + $i] += acc$r_$i_$j;
#end
#end
#end
    }

    let outputs = params.outputs;
    let oc = params.oc;
    for (var j = 0u; j < oc; j++) {
        let o = min(group + j, co - 1u);
        var constant = vec4<f32>(0.0);
#if BIAS
        constant += bias[o];
#endif
#if ADD
        constant += add[n * params.add_stride + params.add_offset + o];
#endif
        for (var i = 0u; i < outputs; i++) {
            let py = y + i / PX;
            let px = x + i % PX;
            if ((image < images) & (group + j < co) & (py < params.h_out) & (px < params.w_out)) {
                let to = ((n * params.h_out + py) * params.w_out + px) * co + o;
                var result = sum[j * outputs + i] + constant;
#if RESIDUAL
                result += residual[to];
#endif
                out[to] = act(result * params.scale);
            }
        }
    }
}
