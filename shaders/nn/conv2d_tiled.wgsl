// The operation of conv2d_direct.wgsl (same tensors, same bindings) as one matrix product. Its rows are the output
// pixels of all images. Its columns are the output channels. Its sum runs over (ky, kx, c), in steps of 16 channels of
// one tap.
//
// A workgroup makes BM pixels x BN4 vec4s of channels. An invocation makes TM pixels (TY apart) x 1 vec4. Workgroup
// memory holds one step: BM x 4 vec4s of the input and 16 x BN4 of the weights.
//
// The sum is split into parts of `part_steps` steps, which are summed separately because the error of f32 grows with
// the number of terms. SUMS: a workgroup makes all parts and adds them up. PARTS: a workgroup makes one part of its
// tile and writes it to out [parts][rows][co]. conv2d_sum.wgsl then adds the parts in the same order and does the rest,
// so both ways give the same bits. Neither flag: there is one part.
//
// What makes it fast on GPUs (docs/kernels-gpu.md):
// * While a step is multiplied, the next one is loaded into registers. These loads can run ahead only if they are in
//   the same basic block as the multiply-adds. So no load is inside an `if`: where there is nothing to read, element 0
//   is read, and zero replaces the value after the multiply-adds. Replacing or activating it earlier would wait for the
//   load. For the same reason the code uses `&` instead of `&&`, which is a branch.
// * `params` is read once, before the loop. Inside the loop, a uniform would be read in every round.
// * Workgroup arrays have two dimensions, the first indexed by a constant. Every dynamic index is clamped, and a
//   clamp of `ty + i * TY` does not depend on the step, so the compiler can hoist it out of the loop.
#import lib/act

struct Params {
    h_in: u32, // of the image that the taps read: twice the source's with UPSAMPLE
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
    tiles: u32, // groups * (groups of BM pixels)
    steps: u32, // K * K * (ceil(c0 / 4) + ceil(c1 / 4))
    part_steps: u32, // of a part; the last part may have fewer
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

const TY = BM / TM;
const THREADS = TY * BN4;
// Rows of the input tile are BM + 2 apart, so that the four vec4s of a pixel fall into different banks.
var<workgroup> tile_x: array<array<vec4<f32>, BM + 2u>, 4>;
// 16 rows are used. If there are more invocations than weights in a step, the surplus ones store into the other rows.
var<workgroup> tile_w: array<array<vec4<f32>, BN4>, RW * THREADS / BN4>;

// The current position in the sum: tap (ky, kx), source, and the first vec4 of 16 channels.
struct Step {
    ky: u32,
    kx: u32,
    second: bool,
    c: u32,
}

// An output pixel whose input this invocation loads.
struct Pixel {
    exists: bool,
    image: u32,
    // Top left corner of its window, padding included.
    top: i32,
    left: i32,
}

// A vec4 of the input on its way into workgroup memory.
struct Fetched {
    exists: bool,
    x: vec4<f32>,
#if PROLOGUE
    a: vec4<f32>,
    b: vec4<f32>,
#endif
}

fn pixel_at(p: Params, row: u32) -> Pixel {
    let pixels = p.h_out * p.w_out;
    let rows = p.n * pixels;
    let top = i32(row % pixels / p.w_out * STRIDE) - i32(p.pad);
    let left = i32(row % p.w_out * STRIDE) - i32(p.pad);
    return Pixel(row < rows, min(row, rows - 1u) / pixels, top, left);
}

// The channels of the source that a step reads, in vec4s.
fn source_width(p: Params, step: Step) -> u32 {
#if TWO
    return select(p.c0, p.c1, step.second);
#else
    return p.c0;
#endif
}

// The first channel of that source, counted over all sources.
fn skipped(p: Params, step: Step) -> u32 {
#if TWO
    return select(0u, p.c0, step.second);
#else
    return 0u;
#endif
}

// Starts to load vec4 `lane` of the step's four at one tap of a pixel.
fn fetch(p: Params, pixel: Pixel, step: Step, lane: u32) -> Fetched {
    let width = source_width(p, step);
    let c = min(step.c + lane, width - 1u);
    // Negative coordinates become large numbers.
    let y = u32(pixel.top + i32(step.ky));
    let x = u32(pixel.left + i32(step.kx));
    var f: Fetched;
    f.exists = pixel.exists & (step.c + lane < width) & (y < p.h_in) & (x < p.w_in);
#if UPSAMPLE
    let at = (pixel.image * (p.h_in / 2u) + y / 2u) * (p.w_in / 2u) + x / 2u;
#else
    let at = (pixel.image * p.h_in + y) * p.w_in + x;
#endif
    let index = select(0u, at * width + c, f.exists);
#if TWO
    if (step.second) {
        f.x = x1[index];
    } else {
        f.x = x0[index];
    }
#else
    f.x = x0[index];
#endif
#if PROLOGUE
    let c_in = p.c0 + p.c1;
    let row = pixel.image * 2u * c_in + skipped(p, step) + c;
    f.a = affine[row];
    f.b = affine[row + c_in];
#endif
    return f;
}

// What goes into workgroup memory. This waits for the loads.
fn staged(f: Fetched) -> vec4<f32> {
#if PROLOGUE
    let x = pre_act(f.a * f.x + f.b);
#else
    let x = f.x;
#endif
    return select(vec4<f32>(0.0), x, f.exists);
}

// The first of the step's rows of weights.
fn weight_row(p: Params, step: Step) -> u32 {
    return ((step.ky * K + step.kx) * (p.c0 + p.c1) + skipped(p, step) + step.c) * 4u;
}

fn next(p: Params, step: Step) -> Step {
    var s = step;
    s.c += 4u;
    if (s.c >= source_width(p, step)) {
        s.c = 0u;
#if TWO
        s.second = !s.second;
        s.kx += select(1u, 0u, s.second);
#else
        s.kx += 1u;
#endif
        if (s.kx == K) {
            s.kx = 0u;
            s.ky += 1u;
        }
    }
    return s;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let p = params;
    let index = workgroup.y * FOLD + workgroup.x;
#if PARTS
    // Tiles vary fastest, so neighbours share the weights of a part.
    let tile = index % p.tiles;
    let part = index / p.tiles;
#else
    let tile = index;
#endif
    let co = p.co;
    let pixels = p.h_out * p.w_out;
    let rows = p.n * pixels;
    let first_row = tile / p.groups * BM;
    let first_o = tile % p.groups * BN4;

    // What this invocation loads: one of the four vec4s of each of RX pixels, and RW vec4s of the weights.
    let lane = local % 4u;
#for r in 0..RX
    let slot$r = local / 4u + $ru * (THREADS / 4u);
    let pixel$r = pixel_at(p, first_row + slot$r);
#end
    let w_row = local / BN4;
    let w_column = local % BN4;
    // Columns past the last channel read the last channel; their results are not stored. Rows past the step's channels
    // read what follows, and are multiplied by zeros.
    let w_first = w_row * co + min(first_o + w_column, co - 1u);
    let w_stride = THREADS / BN4 * co;
    let w_last = K * K * (p.c0 + p.c1) * 4u * co - 1u;

    // What this invocation makes.
    let ty = local / BN4;
    let tx = local % BN4;
#for i in 0..TM
    let y$i = ty + $iu * TY;
    var acc$i = vec4<f32>(0.0);
#if SUMS
    var sum$i = vec4<f32>(0.0);
#endif
#end

    var step = Step(0u, 0u, false, 0u);
    var count = p.steps;
#if PARTS
    {
        let first = part * p.part_steps;
        if (first >= p.steps) {
            return;
        }
        count = min(p.part_steps, p.steps - first);
        let tap = first / (p.steps / (K * K));
        let block = first % (p.steps / (K * K));
        let blocks = (p.c0 + 3u) / 4u;
        let second = block >= blocks;
        step = Step(tap / K, tap % K, second, 4u * select(block, block - blocks, second));
    }
#endif

    let w_now = weight_row(p, step) * co + w_first;
#for r in 0..RX
    var value$r = staged(fetch(p, pixel$r, step, lane));
#end
#for r in 0..RW
    var weight$r = weights[min(w_now + $ru * w_stride, w_last)];
#end
#if SUMS
    for (var done = 0u; done < p.steps; done += p.part_steps) {
    count = min(p.part_steps, p.steps - done);
#endif
    for (var i = 0u; i < count; i++) {
        // Store into workgroup memory, once every invocation has finished with its previous contents.
        workgroupBarrier();
#for r in 0..RX
        tile_x[lane][slot$r] = value$r;
#end
#for r in 0..RW
        tile_w[w_row + $ru * (THREADS / BN4)][w_column] = weight$r;
#end
        workgroupBarrier();

        step = next(p, step);
        let w_next = weight_row(p, step) * co + w_first;
#for r in 0..RX
        let fetched$r = fetch(p, pixel$r, step, lane);
#end
#for r in 0..RW
        weight$r = weights[min(w_next + $ru * w_stride, w_last)];
#end

#for k in 0..4
        {
            let w0 = tile_w[4 * $k][tx];
            let w1 = tile_w[4 * $k + 1][tx];
            let w2 = tile_w[4 * $k + 2][tx];
            let w3 = tile_w[4 * $k + 3][tx];
#for i in 0..TM
            let v$i = tile_x[$k][y$i];
            acc$i = fma(vec4<f32>(v$i.x), w0, acc$i);
            acc$i = fma(vec4<f32>(v$i.y), w1, acc$i);
            acc$i = fma(vec4<f32>(v$i.z), w2, acc$i);
            acc$i = fma(vec4<f32>(v$i.w), w3, acc$i);
#end
        }
#end

#for r in 0..RX
        value$r = staged(fetched$r);
#end
    }
#if SUMS
#for i in 0..TM
    sum$i += acc$i;
    acc$i = vec4<f32>(0.0);
#end
    }
#for i in 0..TM
    acc$i = sum$i;
#end
#endif

    let o = first_o + tx;
    if (o < co) {
#if BIAS
        let b = bias[o];
#endif
#for i in 0..TM
        {
            let row = first_row + y$i;
            if (row < rows) {
#if PARTS
                out[(part * rows + row) * co + o] = acc$i;
#else
                var result = acc$i;
#if BIAS
                result += b;
#endif
#if ADD
                result += add[row / pixels * p.add_stride + p.add_offset + o];
#endif
#if RESIDUAL
                result += residual[row * co + o];
#endif
                out[row * co + o] = act(result * p.scale);
#endif
            }
        }
#end
    }
}
