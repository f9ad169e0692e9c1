// The settings of the page, and how its address carries them: `#model=emoji-16&sampler=ddim&steps=50&eta=0&seed=42&n=16`.
// A link may come from anywhere, so every value is checked like any other input. A value that is not accepted keeps its
// default and is reported. Recipes in PNG files go through the same checks.

/**
 * @typedef {object} Settings
 * @property {string} model
 * @property {'ddim'|'ddpm'} sampler
 * @property {number} steps
 * @property {number} eta
 * @property {number} seed
 * @property {number} count pictures of the grid
 * @property {'x_t'|'pred_x0'} show
 * @property {number|null} classLabel class, for a class-conditional model
 * @property {number|null} image number, from 1, of the only wanted picture; null for a grid
 */

/** Models that come with the page. Their shapes are known at once, so their noise can be drawn before they are fetched. */
export const BUNDLED = [{ id: 'emoji-16', url: './www/models/emoji-16/', channels: 3, height: 16, width: 16 }];

export const SEED_MAX = 2 ** 32 - 1;
export const STEPS_MAX = 1000;
export const COUNTS = [4, 16, 64];

const whole = (low, high) => (text) => (/^\d{1,10}$/.test(text) && Number(text) >= low && Number(text) <= high ? Number(text) : undefined);
const among = (...values) => (text) => (values.includes(text) ? text : undefined);
const decimal = (low, high) => (text) =>
  /^\d{1,3}(\.\d{1,6})?$/.test(text) && Number(text) >= low && Number(text) <= high ? Number(text) : undefined;

// A bundled id, `owner/name[@revision]`, an https address, an http address of this machine, or `files:NAME` for files,
// which a link cannot carry.
function model(text) {
  if (text.length > 300) return undefined;
  if (BUNDLED.some(({ id }) => id === text)) return text;
  if (/^[\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95}(@[\w-][\w./-]{0,120})?$/.test(text) && !text.includes('..')) return text;
  if (/^files:[^\u0000-\u001f<>]{1,100}$/.test(text)) return text;
  try {
    const url = new URL(text);
    const local = url.protocol === 'http:' && /^(localhost|127\.0\.0\.1)$/.test(url.hostname);
    if ((url.protocol === 'https:' || local) && !url.username && !url.password) return url.href;
  } catch {
    return undefined;
  }
  return undefined;
}

/**
 * For each setting: its name in the address, its default, and its reader, which gives undefined for what it does not accept.
 * @type {Record<keyof Settings, [string, unknown, (text: string) => unknown]>}
 */
const FIELDS = {
  model: ['model', BUNDLED[0].id, model],
  sampler: ['sampler', 'ddim', among('ddim', 'ddpm')],
  steps: ['steps', 50, whole(1, STEPS_MAX)],
  eta: ['eta', 0, decimal(0, 1)],
  seed: ['seed', 42, whole(0, SEED_MAX)],
  count: ['n', 16, (text) => COUNTS.find((count) => String(count) === text)],
  show: ['show', 'x_t', among('x_t', 'pred_x0')],
  classLabel: ['class', null, whole(0, 99999)],
  // The command line may have made more pictures than a grid has here.
  image: ['image', null, whole(1, 1_000_000)],
};

/** @type {Readonly<Settings>} */
export const DEFAULTS = Object.freeze(/** @type {any} */ (Object.fromEntries(Object.entries(FIELDS).map(([key, [, value]]) => [key, value]))));

/** Number, from 1, of the first picture. @param {Settings} settings */
export const firstNumberOf = ({ image }) => image ?? 1;

/** How many pictures are made. @param {Settings} settings */
export const countOf = ({ image, count }) => (image === null ? count : 1);

/**
 * The request to client.js.
 * @param {Settings} settings
 */
export const requestOf = (settings) => ({
  sampler: settings.sampler,
  steps: settings.steps,
  eta: settings.sampler === 'ddim' ? settings.eta : 0,
  seed: settings.seed,
  count: countOf(settings),
  first: settings.image === null ? undefined : settings.image - 1,
  classLabel: settings.classLabel,
});

/** What determines the pictures: all settings but the view. @param {Settings} settings */
export const keyOf = (settings) => JSON.stringify([settings.model, requestOf(settings)]);

/** Reads one value; undefined if it is not accepted. */
export const check = (key, value) => FIELDS[key][2](String(value));

/**
 * @param {string} hash `location.hash`
 * @returns {{state: Settings, ignored: string[]}} all settings, and the names that were left at their defaults
 */
export function parse(hash) {
  const state = { ...DEFAULTS };
  const ignored = [];
  if (hash.length > 2000) return { state, ignored: ['all of it, because it is too long'] };
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  for (const [key, [name]] of Object.entries(FIELDS)) {
    if (!given.has(name)) continue;
    const value = check(key, given.get(name));
    if (value === undefined) ignored.push(name);
    else state[key] = value;
  }
  return { state, ignored };
}

/**
 * The address of some settings. Defaults are written out too, so that a link means the same after they change.
 * @param {Settings} state
 */
export function format(state) {
  const parts = Object.entries(FIELDS)
    .filter(([key]) => state[key] !== null)
    .map(([key, [name]]) => `${name}=${encodeURIComponent(state[key]).replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%40', '@')}`);
  return `#${parts.join('&')}`;
}

// What a recipe holds besides settings.
const FACTS = ['unnoise', 'hash', 'width', 'height', 'step', 'view', 'gpu', 'enlarged', 'gap', 'scale'];

/**
 * The settings of a recipe.
 * @param {string} json the `unnoise` chunk of a PNG
 * @returns {{state: Partial<Settings>, lost: string[]}|null} checked values only, and the names of what has no place in the
 *   settings; null if this is not a recipe
 */
export function fromRecipe(json) {
  let recipe;
  try {
    recipe = JSON.parse(json);
  } catch {
    return null;
  }
  if (recipe === null || typeof recipe !== 'object' || recipe.unnoise !== 1) return null;
  const named = { ...recipe, classLabel: recipe.class };
  const state = { classLabel: null, image: null };
  const lost = Object.keys(recipe).filter((key) => recipe[key] !== null && !FACTS.includes(key) && !(key in FIELDS) && key !== 'class');
  for (const key of ['model', 'sampler', 'steps', 'eta', 'seed', 'count', 'classLabel', 'image']) {
    const value = named[key] === undefined || named[key] === null ? undefined : check(key, named[key]);
    if (value !== undefined) state[key] = value;
    // A grid with another number of pictures is shown in part; `image` says which part.
    else if (named[key] !== undefined && named[key] !== null && key !== 'count') lost.push(key === 'model' ? `model “${named.model}”` : key);
  }
  return state.seed === undefined ? null : { state, lost };
}
