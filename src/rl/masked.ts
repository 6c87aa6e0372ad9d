/**
 * Masked statistics over flat arrays. A mask is 1 where an element counts and 0 where it does not; sums are taken in
 * float64. Sources: `masked_mean`, `masked_var` and `masked_whiten` of TRL 0.11.4 (trl/core.py).
 */

/** Sum of `mask`: how many elements count. */
export function maskedCount(mask: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < mask.length; i++) count += mask[i] ?? 0;
  return count;
}

/** Mean of the elements that count; NaN when none does. */
export function maskedMean(x: ArrayLike<number>, mask: ArrayLike<number>): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < mask.length; i++) {
    const weight = mask[i] ?? 0;
    if (weight === 0) continue;
    sum += (x[i] ?? Number.NaN) * weight;
    count += weight;
  }
  return sum / count;
}

/** Variance of the elements that count, with Bessel's correction; NaN when fewer than two count. */
export function maskedVariance(x: ArrayLike<number>, mask: ArrayLike<number>): number {
  const mean = maskedMean(x, mask);
  let sum = 0;
  let count = 0;
  for (let i = 0; i < mask.length; i++) {
    const weight = mask[i] ?? 0;
    if (weight === 0) continue;
    sum += ((x[i] ?? Number.NaN) - mean) ** 2 * weight;
    count += weight;
  }
  return sum / (count - 1);
}

/**
 * Elements brought to variance 1 and, unless `shiftMean` is false, to mean 0: `(x - mean) / sqrt(var + 1e-8)`, mean and
 * variance over the elements that count. Elements that do not count are transformed too, as TRL does; mask them after.
 */
export function maskedWhiten(
  x: ArrayLike<number>,
  mask: ArrayLike<number>,
  { shiftMean = true }: { readonly shiftMean?: boolean } = {},
): Float32Array {
  const mean = maskedMean(x, mask);
  const scale = 1 / Math.sqrt(maskedVariance(x, mask) + 1e-8);
  const shift = shiftMean ? 0 : mean;
  return Float32Array.from({ length: x.length }, (_, i) => ((x[i] ?? Number.NaN) - mean) * scale + shift);
}
