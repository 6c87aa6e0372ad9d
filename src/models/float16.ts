/**
 * IEEE half precision to float32, one table for all 65,536 patterns (made on first use: 256 KB, under a millisecond).
 */
export function halfToFloat(): Float32Array {
  if (table) return table;
  const values = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const mantissa = bits & 1023;
    if (exponent === 0) values[bits] = sign * mantissa * 2 ** -24;
    else if (exponent === 31) values[bits] = mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else values[bits] = sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  }
  table = values;
  return values;
}
let table: Float32Array | undefined;
