// Numbers for people.

const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

export const count = (n) => whole.format(n);

export function milliseconds(ms) {
  return ms < 1000 ? `${short.format(ms)} ms` : `${short.format(ms / 1000)} s`;
}

export function bytes(n) {
  const size = Math.abs(n);
  if (size < 1024) return `${whole.format(n)} B`;
  return size < 1024 * 1024 ? `${short.format(n / 1024)} KiB` : `${short.format(n / 1024 / 1024)} MiB`;
}

export const percent = (fraction) => `${short.format(fraction * 100)} %`;

/** How sure the decoder is; never rounded up to certainty. */
export function certainty(confidence) {
  if (confidence > 0.999 && confidence < 1) return 'over 99.9 % sure';
  return `${(Math.floor(confidence * 1000) / 10).toFixed(1)} % sure`;
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
