// Bring your own: a dropped folder or picture, chosen files, a hub id or an address.

import { isPath } from './model-cache.js';
import { texts } from './png.js';
import { check, fromRecipe } from './state.js';

const DEPTH = 6;
const ENTRIES = 2000;

/**
 * All files in what was dropped. A tree larger than any model is not walked to its end.
 * @param {DataTransferItemList} items
 */
async function dropped(items) {
  /** @type {Record<string, File>} */
  const files = {};
  let seen = 0;
  const walk = async (entry, path, depth) => {
    seen += 1;
    if (seen > ENTRIES || depth > DEPTH) return;
    if (entry.isFile) {
      files[path + entry.name] = await new Promise((resolve, reject) => entry.file(resolve, reject));
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const inner of some) await walk(inner, `${path}${entry.name}/`, depth + 1);
    }
  };
  // The browser empties the list of items when the event is over, so take all entries out of it first.
  const entries = Array.from(items, (item) => item.webkitGetAsEntry?.() ?? item.getAsFile()).filter(Boolean);
  for (const entry of entries) {
    if (entry instanceof File) files[entry.name] = entry;
    else await walk(entry, '', 0);
  }
  return files;
}

/**
 * @param {Record<string, any>} ui elements by id
 * @param {object} acts
 * @param {(files: Record<string, File>, name: string) => void} acts.files
 * @param {(id: string, f16: boolean) => void} acts.id
 * @param {(recipe: NonNullable<ReturnType<typeof fromRecipe>>) => void} acts.recipe
 * @param {(text: string) => void} acts.say
 * @param {() => Promise<number>} acts.forget deletes the models that are kept, and gives their bytes
 */
export function makeOwn(ui, acts) {
  async function receive(files) {
    const paths = Object.keys(files);
    if (paths.length === 1 && /\.png$/i.test(paths[0])) {
      const file = files[paths[0]];
      const found = file.size <= 64 * 2 ** 20 ? texts(new Uint8Array(await file.arrayBuffer())) : null;
      const recipe = found?.unnoise ? fromRecipe(found.unnoise) : null;
      if (recipe) acts.recipe(recipe);
      else acts.say('This picture contains no unnoise recipe.');
      return;
    }
    if (!paths.some((path) => /\.(json|safetensors)$/.test(path))) {
      acts.say(paths.length ? 'There is no model in this. A model is a folder with config.json and a .safetensors file.' : 'This contains no file.');
      return;
    }
    const top = new Set(paths.map((path) => path.split('/')[0]));
    acts.files(files, top.size === 1 && paths[0].includes('/') ? [...top][0] : 'local files');
  }

  // The overlay does not catch the pointer, so entering and leaving are counted over the whole page.
  let inside = 0;
  const hasFiles = (event) => Array.from(event.dataTransfer?.types ?? []).includes('Files');
  const show = () => (ui.drop.hidden = inside <= 0);
  addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    inside += 1;
    show();
  });
  addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    inside -= 1;
    show();
  });
  addEventListener('dragover', (event) => {
    if (!event.dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
  });
  addEventListener('drop', async (event) => {
    inside = 0;
    show();
    if (!event.dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    try {
      const files = await dropped(event.dataTransfer.items);
      ui.own.close();
      await receive(files);
    } catch {
      acts.say('What was dropped could not be read.');
    }
  });

  const pick = (input) => {
    const files = Object.fromEntries(Array.from(input.files, (file) => [file.webkitRelativePath || file.name, file]));
    input.value = '';
    ui.own.close();
    receive(files).catch(() => acts.say('The files could not be read.'));
  };
  ui['own-folder'].addEventListener('click', () => ui['own-folder-input'].click());
  ui['own-files'].addEventListener('click', () => ui['own-files-input'].click());
  ui['own-folder-input'].addEventListener('change', () => pick(ui['own-folder-input']));
  ui['own-files-input'].addEventListener('change', () => pick(ui['own-files-input']));

  ui['own-form'].addEventListener('submit', (event) => {
    event.preventDefault();
    const typed = ui['own-id'].value.trim();
    const id = named(typed);
    ui['own-id'].setAttribute('aria-invalid', String(!id));
    ui['own-error'].textContent = id ? '' : typed
      ? 'This is neither an id such as google/ddpm-cifar10-32 nor an address.'
      : 'Type an id such as google/ddpm-cifar10-32.';
    if (!id) return ui['own-id'].focus();
    ui.own.close();
    acts.id(id, ui['own-f16'].checked);
  });
  ui['own-forget'].addEventListener('click', async () => {
    const bytes = await acts.forget();
    ui['own-forget'].textContent = bytes ? `Deleted ${(bytes / 1e6).toFixed(1)} MB` : 'Nothing was kept';
  });
  ui['own-close'].addEventListener('click', () => ui.own.close());
  ui.own.addEventListener('click', (event) => {
    if (event.target === ui.own) ui.own.close();
  });

  const open = () => {
    ui['own-error'].textContent = '';
    ui['own-id'].removeAttribute('aria-invalid');
    ui['own-forget'].textContent = 'Delete the models kept in this browser';
    ui.own.showModal();
    ui['own-id'].focus();
  };
  ui['own-open'].addEventListener('click', open);
  ui['error-own'].addEventListener('click', open);
  return { open };
}

// An address on the hub's web site means the repository.
function named(text) {
  const site = /^https:\/\/(?:huggingface\.co|hf\.co)\/([^/?#]+\/[^/?#]+)(?:\/(?:tree|blob|resolve)\/([^/?#]+))?(?:[/?#].*)?$/.exec(text);
  if (isPath(text)) return check('model', new URL(text, location.href).href);
  const id = site ? site[1] + (site[2] ? `@${site[2]}` : '') : text.replace(/^hf:/, '');
  return id.startsWith('files:') ? undefined : check('model', id);
}
