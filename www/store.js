// What the page keeps in this browser from visit to visit: choices and names, never pictures.

export const store = {
  read(key) {
    try {
      return JSON.parse(localStorage.getItem(`unnoise.${key}`) ?? 'null');
    } catch {
      return null;
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(`unnoise.${key}`, JSON.stringify(value));
    } catch {
      // In a private window nothing is kept.
    }
  },
};
