// Philox4x32-10, and normals made from its words. The operations are those of `src/diffusion/philox.rs`, in the same
// order.

// High word of a b.
fn mul_high(a: u32, b: u32) -> u32 {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let t = ah * bl + ((al * bl) >> 16u);
    let u = al * bh + (t & 0xffffu);
    return ah * bh + (t >> 16u) + (u >> 16u);
}

fn philox4x32(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = seed;
    for (var round = 0u; round < 10u; round++) {
        let h0 = mul_high(c.x, 0xD2511F53u);
        let h1 = mul_high(c.z, 0xCD9E8D57u);
        c = vec4<u32>(h1 ^ c.y ^ k.x, c.z * 0xCD9E8D57u, h0 ^ c.w ^ k.y, c.x * 0xD2511F53u);
        k += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// -ln(u), where u = word / 2^32 with 24 significant bits; 0 is taken as 2^-32.
fn neg_ln(word: u32) -> f32 {
    let w = max(word, 1u);
    let zeros = countLeadingZeros(w);
    let mantissa = (w << zeros) >> 8u;
    let high = mantissa > 11863283u;
    let scale = select(1.1920929e-7, 5.9604645e-8, high);
    let exponent = select(zeros + 1u, zeros, high);
    let f = f32(mantissa) * scale - 1.0;
    var p = -0.07902744;
    p = p * f + 0.12622319;
    p = p * f - 0.12998183;
    p = p * f + 0.14214496;
    p = p * f - 0.16641281;
    p = p * f + 0.20001045;
    p = p * f - 0.25000307;
    p = p * f + 0.3333333;
    return f32(exponent) * 0.6931472 - (f + f * f * (p * f - 0.5));
}

// The cosine and sine of word / 2^32 turns.
fn turn(word: u32) -> vec2<f32> {
    let shifted = word + 0x20000000u;
    let rest = bitcast<i32>(shifted & 0x3fffffffu) - 0x20000000;
    let a = f32(rest >> 6u) * 9.362676e-8;
    let y = a * a;
    let s = a + a * y * ((-0.0001958789 * y + 0.008332748) * y - 0.16666664);
    let c = 1.0 + y * (((0.000024547942 * y - 0.0013888303) * y + 0.041666664) * y - 0.5);
    let odd = (shifted & 0x40000000u) != 0u;
    let swapped = select(vec2<f32>(c, s), vec2<f32>(-s, c), odd);
    return select(swapped, -swapped, shifted >= 0x80000000u);
}

// Four normals: Box-Muller on the words (0, 1) and (2, 3).
fn normals(words: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(
        sqrt(2.0 * neg_ln(words.x)) * turn(words.y),
        sqrt(2.0 * neg_ln(words.z)) * turn(words.w),
    );
}
