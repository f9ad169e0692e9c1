// The operation of conv2d_direct.wgsl (same tensors, same bindings) as one matrix product: rows are the output
// pixels of all images, columns the output channels, and the sum runs over (ky, kx, c).
//
// A workgroup makes BM pixels x BN4 vec4s of channels; an invocation makes TM pixels (TY apart) x 1
// vec4. Workgroup memory holds 16 channels of one tap at a time: BM x 4 vec4s of the input, 16 x BN4
// of the weights. The next step's values are fetched into registers while this one's are multiplied.
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
    groups: u32, // of BN4 vec4s along the output channels
    steps: u32, // of 16 channels: K * K * (ceil(c0 / 4) + ceil(c1 / 4))
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

// Rows of the input tile are PITCH apart so that a row's four vec4s fall into different banks.
const PITCH = BM + 2u;
const TY = BM / TM;
const THREADS = TY * BN4;
var<workgroup> tile_x: array<vec4<f32>, 4u * PITCH>;
var<workgroup> tile_w: array<vec4<f32>, RW * THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = workgroup.y * FOLD + workgroup.x;
    let pixels = params.h_out * params.w_out;
    let rows = params.n * pixels;
    let first_row = (index / params.groups) * BM;
    let first_o = (index % params.groups) * BN4;
    let co = params.co;
    let c_in = params.c0 + params.c1;

    // What this invocation fetches of the input: RX rows, one vec4 of the 4 in each.
    let lane = local % 4u;
#for r in 0..RX
    let slot$r = local / 4u + $ru * (THREADS / 4u);
    let row$r = first_row + slot$r;
    let in$r = row$r < rows;
    let n$r = min(row$r, rows - 1u) / pixels;
    let top$r = i32((row$r % pixels) / params.w_out * STRIDE) - i32(params.pad);
    let left$r = i32(row$r % params.w_out * STRIDE) - i32(params.pad);
    var fetched_x$r: vec4<f32>;
#end
#for r in 0..RW
    var fetched_w$r: vec4<f32>;
#end
#for i in 0..TM
    var acc$i = vec4<f32>(0.0);
    var sum$i = vec4<f32>(0.0);
#end
    let tx = local % BN4;
    let ty = local / BN4;

    // The step: tap (ky, kx), source, first vec4 of its 16 channels.
    var ky = 0u;
    var kx = 0u;
    var second = false;
    var c = 0u;
    // One round more than there are steps: round i multiplies what round i - 1 fetched.
    for (var step = 0u; step <= params.steps; step++) {
        if (step > 0u) {
            // Into workgroup memory, once everybody is done with what was there.
            workgroupBarrier();
#for r in 0..RX
            tile_x[lane * PITCH + slot$r] = fetched_x$r;
#end
#for r in 0..RW
            tile_w[local + $ru * THREADS] = fetched_w$r;
#end
            workgroupBarrier();
        }
        if (step < params.steps) {
            let width = select(params.c0, params.c1, second);
            let skipped = select(0u, params.c0, second); // the source's first vec4 of channels in all
            let channel = min(c + lane, width - 1u);
#for r in 0..RX
            {
                let y = top$r + i32(ky);
                let x = left$r + i32(kx);
                let there = in$r && c + lane < width
                    && y >= 0 && y < i32(params.h_in) && x >= 0 && x < i32(params.w_in);
                var v = vec4<f32>(0.0);
                if (there) {
#if UPSAMPLE
                    let pixel = (n$r * (params.h_in / 2u) + u32(y) / 2u) * (params.w_in / 2u)
                        + u32(x) / 2u;
#else
                    let pixel = (n$r * params.h_in + u32(y)) * params.w_in + u32(x);
#endif
                    let at = pixel * width + channel;
#if TWO
                    if (second) {
                        v = x1[at];
                    } else {
                        v = x0[at];
                    }
#else
                    v = x0[at];
#endif
#if PROLOGUE
                    let row_a = n$r * 2u * c_in + skipped + channel;
                    v = pre_act(affine[row_a] * v + affine[row_a + c_in]);
#endif
                }
                fetched_x$r = v;
            }
#end
            let first_k = ((ky * K + kx) * c_in + skipped + c) * 4u;
            let last_k = (width - c) * 4u;
#for r in 0..RW
            {
                let k = (local + $ru * THREADS) / BN4;
                let o = first_o + (local + $ru * THREADS) % BN4;
                fetched_w$r = vec4<f32>(0.0);
                if (k < last_k && o < co) {
                    fetched_w$r = weights[(first_k + k) * co + o];
                }
            }
#end
            c += 4u;
            if (c >= width) {
                c = 0u;
#if TWO
                second = !second;
                if (!second) {
                    kx += 1u;
                }
#else
                kx += 1u;
#endif
                if (kx == K) {
                    kx = 0u;
                    ky += 1u;
                }
            }
        }
        if (step > 0u) {
#for k in 0..4
            {
                let w0 = tile_w[$k * 4u * BN4 + tx];
                let w1 = tile_w[($k * 4u + 1u) * BN4 + tx];
                let w2 = tile_w[($k * 4u + 2u) * BN4 + tx];
                let w3 = tile_w[($k * 4u + 3u) * BN4 + tx];
#for i in 0..TM
                let v$i = tile_x[$k * PITCH + ty + $i * TY];
                acc$i = fma(vec4<f32>(v$i.x), w0, acc$i);
                acc$i = fma(vec4<f32>(v$i.y), w1, acc$i);
                acc$i = fma(vec4<f32>(v$i.z), w2, acc$i);
                acc$i = fma(vec4<f32>(v$i.w), w3, acc$i);
#end
            }
#end
            // Each row of taps is summed apart: the error of f32 grows with the number of terms.
            if (step % (params.steps / K) == 0u) {
#for i in 0..TM
                sum$i += acc$i;
                acc$i = vec4<f32>(0.0);
#end
            }
        }
    }

    let o = first_o + tx;
    if (o < co) {
#if BIAS
        let b = bias[o];
#endif
#for i in 0..TM
        let row$i = first_row + ty + $i * TY;
        if (row$i < rows) {
            var result = sum$i;
#if BIAS
            result += b;
#endif
#if ADD
            result += add[row$i / pixels * params.add_stride + params.add_offset + o];
#endif
#if RESIDUAL
            result += residual[row$i * co + o];
#endif
            out[row$i * co + o] = act(result * params.scale);
        }
#end
    }
}
