// How the page writes numbers and names.

export const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
export const megabytes = (bytes) => (bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
export const pace = (rate) => (rate >= 1 ? `${rate.toFixed(rate < 10 ? 1 : 0)} it/s` : `${(1 / rate).toFixed(1)} s/it`);
export const span = (s) => (s < 10 ? `${s.toFixed(1)} s` : s < 90 ? `${Math.round(s)} s` : `${Math.round(s / 60)} min`);

/** The page's name for a model. An address is represented by its last part. */
export const nameOf = (id) => (/^https?:/.test(id) ? id.split('/').filter(Boolean).at(-1) : id.replace(/^files:/, ''));
