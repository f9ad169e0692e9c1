// What the page keeps in this browser between visits: choices and names, never pictures.

export const store = {
  read(key) {
    try {
      return JSON.parse(localStorage.getItem(`unnoise.${key}`));
    } catch {
      return null;
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(`unnoise.${key}`, JSON.stringify(value));
    } catch {
      // A private window: the next visit begins anew.
    }
  },
};
