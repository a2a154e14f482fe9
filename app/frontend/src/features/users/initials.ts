/** "AL" for "Ada King Lovelace": the first letters of the first and the last word. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  const letters = ends.map((word) => String.fromCodePoint(word?.codePointAt(0) ?? 63));
  return letters.join("").toUpperCase();
}
