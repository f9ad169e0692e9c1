// out[n,y,x,o] = act(scale * (bias[o] + add[n,o] + residual[n,y,x,o]
//                + sum over ky, kx, c of pre(in)[n, y*STRIDE + ky - pad, x*STRIDE + kx - pad, c] * w[ky,kx,c,o]))
// where pre(in) = pre_act(a[n,c] * in + b[n,c]) inside the image and 0 outside, and `in` is x0 (then
// x1) along c, each pixel shown twice in both directions when UPSAMPLE.
//
// x0 [n][h0][w0][c0] and x1 [n][h0][w0][c1], weights [K*K][(c0 + c1) * 4][co], bias [co],
// affine [n][2][c0 + c1], add [n][add_stride], residual and out [n][h_out][w_out][co], all vec4.
//
// One invocation makes ROWS x PX pixels x OC vec4s of output channels; neighbouring invocations take
// neighbouring channels, so that they read the same pixels. No workgroup memory and no barrier, which
// is what a CPU behind Vulkan wants. There a load costs some fifty multiplications, so per 4 channels
// and line of taps an invocation gathers the pixels and the weights it needs once, then multiplies.
// LOOPED gathers in loops (a load is 350 instructions in llvmpipe), otherwise line by line
// (SwiftShader is slow at arrays indexed by a variable).
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
    pixels: u32, // ROWS * COLS and
    taps: u32, // K * 4 * OC: as constants, the loops over them would be unrolled
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

// The source's pixel that shows at (row, column), held inside the image that the taps move over.
fn pixel(n: u32, row: i32, column: i32, h_in: i32, w_in: i32) -> u32 {
    let y = u32(clamp(row, 0, h_in - 1));
    let x = u32(clamp(column, 0, w_in - 1));
#if UPSAMPLE
    return (n * (u32(h_in) / 2u) + y / 2u) * (u32(w_in) / 2u) + x / 2u;
#else
    return (n * u32(h_in) + y) * u32(w_in) + x;
#endif
}

// 0 <= at < size. Not `&&`, which is a branch.
fn within(at: i32, size: i32) -> bool {
    return (at >= 0) & (at < size);
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) gid: vec3<u32>) {
    let index = gid.y * (FOLD * 32u) + gid.x;
    let group = index % params.groups;
    let tile = index / params.groups;
    let x = (tile % params.tiles_x) * PX;
    let y = (tile / params.tiles_x % params.tiles_y) * ROWS;
    let n = tile / (params.tiles_x * params.tiles_y);
    if (n >= params.n) {
        return;
    }
    // Read once: no compiler here lifts a uniform's load out of the loops.
    let co = params.co;
    let h_in = i32(params.h_in);
    let w_in = i32(params.w_in);
#for s in 0..SOURCES
    let channels$s = params.c$s;
#end
    let c_in = params.c0 + params.c1;
#if LOOPED
    let pixels = params.pixels;
    let taps = params.taps;
#endif
    // The last group may hang over the end; what it computes there is not stored.
#for j in 0..OC
    let o$j = min(group * OC + $j, co - 1u);
#end
    let left = i32(x * STRIDE) - i32(params.pad);
    let top = i32(y * STRIDE) - i32(params.pad);

#for r in 0..ROWS
#for i in 0..PX
#for j in 0..OC
    var sum$r_$i_$j = vec4<f32>(0.0);
#end
#end
#end
#if LOOPED
    var v: array<vec4<f32>, ROWS * COLS>;
    var w: array<vec4<f32>, K * 4u * OC>;
#endif
#if !LOOPED
#for i in 0..COLS
    let inside$i = within(left + $i, w_in);
#end
#endif
    for (var ky = 0u; ky < K; ky++) {
#for r in 0..ROWS
#for i in 0..PX
#for j in 0..OC
        var acc$r_$i_$j = vec4<f32>(0.0);
#end
#end
#end
#if !LOOPED
#for r in 0..ROWS
        let there$r = within(top + i32(ky) + $r * i32(STRIDE), h_in);
#for i in 0..COLS
        let pixel$r_$i = pixel(n, top + i32(ky) + $r * i32(STRIDE), left + $i, h_in, w_in);
#for s in 0..SOURCES
        let at$s_$r_$i = pixel$r_$i * channels$s;
#end
#end
#end
#endif
        for (var c = 0u; c < c_in; c++) {
#if PROLOGUE
            let a = affine[n * 2u * c_in + c];
            let b = affine[n * 2u * c_in + c_in + c];
#endif
#if !LOOPED
#if TWO
#for r in 0..ROWS
            var v$r: array<vec4<f32>, COLS>;
#end
#endif
#endif
#for s in 0..SOURCES
            // The channel within source $s. A loop that may run no round, rather than an
            // `if`: software adapters walk through both sides of an `if`, lanes masked.
            let channel$s = c - $s * channels0;
#if LOOPED
            let rounds$s = select(0u, pixels, channel$s < channels$s);
            for (var t = 0u; t < rounds$s; t++) {
                let row = top + i32(ky + t / COLS * STRIDE);
                let column = left + i32(t % COLS);
                let here = within(row, h_in) & within(column, w_in);
                let value = x$s[pixel(n, row, column, h_in, w_in) * channels$s + channel$s];
#if PROLOGUE
                v[t] = select(vec4<f32>(0.0), pre_act(a * value + b), here);
#else
                v[t] = select(vec4<f32>(0.0), value, here);
#endif
            }
#else
#if TWO
            for (var once = channel$s < channels$s; once; once = false) {
#endif
#for r in 0..ROWS
#for i in 0..COLS
                let x$s_$r_$i = x$s[at$s_$r_$i + channel$s];
#end
#if TWO
                v$r = array<vec4<f32>, COLS>(
#else
            let v$r = array<vec4<f32>, COLS>(
#endif
#for i in 0..COLS
#if PROLOGUE
                    select(vec4<f32>(0.0), pre_act(a * x$s_$r_$i + b), there$r & inside$i),
#else
                    select(vec4<f32>(0.0), x$s_$r_$i, there$r & inside$i),
#endif
#end
                );
#end
#if TWO
            }
#endif
#endif
#end
            let first = (ky * K * c_in + c) * 4u;
#if LOOPED
            for (var t = 0u; t < taps; t++) {
                let k = first + t / (4u * OC) * (c_in * 4u) + t / OC % 4u;
                w[t] = weights[k * co + min(group * OC + t % OC, co - 1u)];
            }
#else
            let w = array<vec4<f32>, K * 4u * OC>(
#for x in 0..K
#for k in 0..4
#for j in 0..OC
                weights[(first + $x * c_in * 4u + $k) * co + o$j],
#end
#end
#end
            );
#endif
#for j in 0..OC
#for r in 0..ROWS
#for i in 0..PX
#for x in 0..K
#if LOOPED
            let v$r_$i_$j_$x = v[$r * COLS + $i * STRIDE + $x];
#else
            let v$r_$i_$j_$x = v$r[$i * STRIDE + $x];
#endif
#for k in 0..4
            acc$r_$i_$j = fma(vec4<f32>(v$r_$i_$j_$x[$k]), w[($x * 4 + $k) * OC + $j], acc$r_$i_$j);
#end
#end
#end
#end
#end
        }
        // Each row of taps is summed apart: the error of f32 grows with the number of terms.
#for r in 0..ROWS
#for i in 0..PX
#for j in 0..OC
        sum$r_$i_$j += acc$r_$i_$j;
#end
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
#for r in 0..ROWS
#for i in 0..PX
        if (y + $r < params.h_out && x + $i < params.w_out) {
            let to = ((n * params.h_out + y + $r) * params.w_out + x + $i) * co + o$j;
            var result = sum$r_$i_$j + constant;
#if RESIDUAL
            result += residual[to];
#endif
            out[to] = act(result * params.scale);
        }
#end
#end
    }
#end
}
