// out[n,y,x,o] = act(scale * (bias[o] + add[n,o] + residual[n,y,x,o]
//                + sum over ky, kx, c of pre(in)[n, y*STRIDE + ky - pad, x*STRIDE + kx - pad, c] * w[ky,kx,c,o]))
// where pre(in) = pre_act(a[n,c] * in + b[n,c]) inside the image and 0 outside, and `in` is x0 (then
// x1) along c, each pixel shown twice in both directions when UPSAMPLE.
//
// x0 [n][h0][w0][c0] and x1 [n][h0][w0][c1], weights [K*K][(c0 + c1) * 4][co], bias [co],
// affine [n][2][c0 + c1], add [n][add_stride], residual and out [n][h_out][w_out][co], all vec4.
//
// One invocation makes PX pixels of a row x OC vec4s of output channels; neighbouring invocations
// take neighbouring channels, so that they read the same pixels. No workgroup memory and no barrier,
// which is what a CPU behind Vulkan wants: there a load costs about eight multiplications, so a row's
// PX + K - 1 pixels are read once and serve all K taps of the row.
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
    tiles: u32, // of PX pixels along a row
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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let index = gid.y * (FOLD * 64u) + gid.x;
    let group = index % params.groups;
    let tile = index / params.groups;
    let y = (tile / params.tiles) % params.h_out;
    let n = tile / (params.tiles * params.h_out);
    if (n >= params.n) {
        return;
    }
    let x = (tile % params.tiles) * PX;
    let co = params.co;
    // The last group may hang over the end; what it computes there is not stored.
#for j in 0..OC
    let o$j = min(group * OC + $j, co - 1u);
#end
    let c_in = params.c0 + params.c1;

#for i in 0..PX
#for j in 0..OC
    var acc$i_$j = vec4<f32>(0.0);
    var sum$i_$j = vec4<f32>(0.0);
#end
#end
    // Columns of the source that the PX pixels look at, and whether they exist.
    let left = i32(x * STRIDE) - i32(params.pad);
#for i in 0..COLS
    let inside$i = left + $i >= 0 && left + $i < i32(params.w_in);
    let column$i = u32(clamp(left + $i, 0, i32(params.w_in) - 1));
#end
    for (var ky = 0u; ky < K; ky++) {
        let row = i32(y * STRIDE + ky) - i32(params.pad);
        if (row >= 0 && row < i32(params.h_in)) {
#if UPSAMPLE
        let line = (n * (params.h_in / 2u) + u32(row) / 2u) * (params.w_in / 2u);
#else
        let line = (n * params.h_in + u32(row)) * params.w_in;
#endif
        // Weights of tap (ky, 0), channel 0 of the source; the other taps follow at `tap` apart.
        var w = ky * K * c_in * 4u * co;
        let tap = c_in * 4u * co;
#for s in 0..SOURCES
#for i in 0..COLS
#if UPSAMPLE
        let at$s_$i = (line + column$i / 2u) * params.c$s;
#else
        let at$s_$i = (line + column$i) * params.c$s;
#endif
#end
        for (var c = 0u; c < params.c$s; c++) {
            var v: array<vec4<f32>, COLS>;
#if PROLOGUE
            let mean = n * 2u * c_in + c + $s * params.c0;
            let a = affine[mean];
            let b = affine[mean + c_in];
#endif
#for i in 0..COLS
#if PROLOGUE
            v[$i] = select(vec4<f32>(0.0), pre_act(a * x$s[at$s_$i + c] + b), inside$i);
#else
            v[$i] = select(vec4<f32>(0.0), x$s[at$s_$i + c], inside$i);
#endif
#end
#for kx in 0..K
#for k in 0..4
#for j in 0..OC
            let w$kx_$k_$j = weights[w + $kx * tap + $k * co + o$j];
#for i in 0..PX
            acc$i_$j += v[$i * STRIDE + $kx][$k] * w$kx_$k_$j;
#end
#end
#end
#end
            w += 4u * co;
        }
#end
        }
        // Each row of taps is summed apart: the error of f32 grows with the number of terms.
#for i in 0..PX
#for j in 0..OC
        sum$i_$j += acc$i_$j;
        acc$i_$j = vec4<f32>(0.0);
#end
#end
    }

#for j in 0..OC
    if (group * OC + $j < co) {
        var constant = vec4<f32>(0.0);
#if BIAS
        constant += bias[o$j];
#endif
#if ADD
        constant += add[n * params.add_stride + params.add_offset + o$j];
#endif
        var to = ((n * params.h_out + y) * params.w_out + x) * co + o$j;
#for i in 0..PX
        if (x + $i < params.w_out) {
            var result = sum$i_$j + constant;
#if RESIDUAL
            result += residual[to];
#endif
            out[to] = act(result * params.scale);
        }
        to += co;
#end
    }
#end
}
