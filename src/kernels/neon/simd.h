// NEON of ARMv8-A (64 bit) as the vector type that the kernels in simd/ are written in. Used by the two
// tables of this folder alone; `Simd<true>` has the int8 dot product of ARMv8.2 (SDOT) besides.
#pragma once
#include <arm_neon.h>

#include <cstdint>

namespace volant::neon {

template <bool kHasDot>
struct Simd {
  using V = float32x4_t;  // numbers
  using I = int32x4_t;    // int32
  static constexpr int kLanes = 4;
  static constexpr int kMaxAccumulators = 20;  // vectors that a tile may sum in: 32 registers

  static V zero() { return vdupq_n_f32(0); }
  static V set1(float x) { return vdupq_n_f32(x); }
  static V load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, V v) { vst1q_f32(p, v); }
  static V load_part(const float* p, int64_t n) {
    switch (n) {
      case 1:
        return vld1q_lane_f32(p, zero(), 0);
      case 2:
        return vcombine_f32(vld1_f32(p), vdup_n_f32(0));
      case 3:
        return vld1q_lane_f32(p + 2, vcombine_f32(vld1_f32(p), vdup_n_f32(0)), 2);
      default:
        return load(p);
    }
  }
  static void store_part(float* p, V v, int64_t n) {
    switch (n) {
      case 1:
        return vst1q_lane_f32(p, v, 0);
      case 2:
        return vst1_f32(p, vget_low_f32(v));
      case 3:
        vst1_f32(p, vget_low_f32(v));
        return vst1q_lane_f32(p + 2, v, 2);
      default:
        return store(p, v);
    }
  }
  static V load_f16(const uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }

  static V fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
  static V add(V a, V b) { return vaddq_f32(a, b); }
  static V sub(V a, V b) { return vsubq_f32(a, b); }
  static V mul(V a, V b) { return vmulq_f32(a, b); }
  static V div(V a, V b) { return vdivq_f32(a, b); }
  // FMAX and FMIN would keep NaN; callers want the second operand then.
  static V max(V a, V b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static V min(V a, V b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static V abs(V a) { return vabsq_f32(a); }
  static V round(V a) { return vrndnq_f32(a); }
  // `value` where x >= limit, else 0.
  static V keep_from(V value, V x, V limit) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(value), vcgeq_f32(x, limit)));
  }
  // 2^n of whole n in [-126, 127].
  static V pow2(V n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
  }
  static float sum(V v) { return vaddvq_f32(v); }
  static float largest(V v) { return vmaxvq_f32(v); }

  // Bytes in bulk.
  static uint8x16_t bytes(I v) { return vreinterpretq_u8_s32(v); }
  static I ints(uint8x16_t v) { return vreinterpretq_s32_u8(v); }
  static I load_bytes(const uint8_t* p) { return ints(vld1q_u8(p)); }
  static void store_bytes(uint8_t* p, I v) { vst1q_u8(p, bytes(v)); }
  static I set1_byte(int byte) { return ints(vdupq_n_u8(static_cast<uint8_t>(byte))); }
  static I set1_int(int32_t x) { return vdupq_n_s32(x); }
  static I bit_and(I a, I b) { return vandq_s32(a, b); }
  static I bit_or(I a, I b) { return vorrq_s32(a, b); }
  template <int n>  // of 16-bit lanes, to the left
  static I shift(I v) {
    const uint16x8_t lanes = vreinterpretq_u16_s32(v);
    if constexpr (n > 0) return vreinterpretq_s32_u16(vshlq_n_u16(lanes, n));
    if constexpr (n < 0) return vreinterpretq_s32_u16(vshrq_n_u16(lanes, -n));
    return v;
  }
  static I load_table(const uint8_t* p) { return load_bytes(p); }
  static I lookup(I table, I codes) { return ints(vqtbl1q_u8(bytes(table), bytes(codes))); }
  // 4 numbers as int32: whole bytes, or one of the two halves of each byte.
  static I load_int8(const int8_t* p) {
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(load_four(p))))));
  }
  template <bool high>
  static I load_halves(const uint8_t* p) {
    const uint8x8_t both = vreinterpret_u8_s32(vdup_n_s32(load_four(p)));
    const uint8x8_t half = high ? vshr_n_u8(both, 4) : vand_u8(both, vdup_n_u8(0xF));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(half))));
  }

  // Products of bytes: 4 weights (unsigned, up to `most`) per lane with the same 4 activations in every lane.
  static constexpr bool kUnsigned = false;  // of weights above 127: they are made signed first
  template <int most>
  static constexpr int kFolds = 8;  // each dot goes to 32 bits at once
  static I set1_bytes(const int8_t* p) { return vdupq_n_s32(load_four(p)); }
  static I dot_begin(I sum) { return sum; }
  template <int most>
  static I dot(I part, I w, I x) {
    const int8x16_t weights =
        vreinterpretq_s8_u8(most > 127 ? veorq_u8(bytes(w), vdupq_n_u8(0x80)) : bytes(w));
    return dot_signed(part, weights, vreinterpretq_s8_s32(x));
  }
  template <int most>
  static I dot_end(I, I part) {
    return part;
  }
  static V to_float(I v) { return vcvtq_f32_s32(v); }
  // 32 whole numbers as int8, and the sum of each 16.
  static void store_int8(const V (&x)[8], int8_t* out, int32_t* sums) {
    for (int half = 0; half < 2; ++half) {
      const V* of = x + 4 * half;
      const int16x8_t low = vcombine_s16(vmovn_s32(vcvtq_s32_f32(of[0])), vmovn_s32(vcvtq_s32_f32(of[1])));
      const int16x8_t high = vcombine_s16(vmovn_s32(vcvtq_s32_f32(of[2])), vmovn_s32(vcvtq_s32_f32(of[3])));
      const int8x16_t bytes = vcombine_s8(vmovn_s16(low), vmovn_s16(high));
      vst1q_s8(out + 16 * half, bytes);
      sums[half] = vaddlvq_s8(bytes);
    }
  }

  // Products of pairs of bf16.
  static I load_pairs(const uint16_t* p) { return vreinterpretq_s32_u16(vld1q_u16(p)); }
  static I set1_pair(const uint16_t* p) { return vdupq_n_s32(load_four(p)); }
  static V even(I v) { return vreinterpretq_f32_s32(vshlq_n_s32(v, 16)); }
  static V odd(I v) { return vreinterpretq_f32_s32(vandq_s32(v, vdupq_n_s32(-65536))); }
  static V dot_bf16(V sum, I w, I x) { return fma(even(w), even(x), fma(odd(w), odd(x), sum)); }

 private:
  static int32_t load_four(const void* p) {  // bytes, any alignment
    int32_t four = 0;
    __builtin_memcpy(&four, p, 4);
    return four;
  }
  static I dot_signed(I part, int8x16_t w, int8x16_t x) {
#ifdef __ARM_FEATURE_DOTPROD
    if constexpr (kHasDot) return vdotq_s32(part, w, x);
#endif
    // Two products of -128 to 127 with -127 to 127 stay within 16 bits.
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
    return vpadalq_s16(part, vpaddq_s16(low, high));
  }
};

}  // namespace volant::neon
