// Makes text that others have chosen (names, reasons, tags) harmless and readable.
//
// Names are hostile: they may hold control characters, change the direction of the text around them, look empty, stack
// hundreds of accents, or be 10 KB long. What cannot be seen is shown as an escape.

// Control and format characters (the direction overrides among them), lone surrogates, separators of lines, private use, and
// letters that are drawn as nothing.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]/gu;
// More of them in a row than this are told by an ellipsis.
const UNSEEN_RUN = new RegExp(`((?:${UNSEEN.source}){3})(?:${UNSEEN.source})+`, 'gu');
const STACKED = /(\p{M}{2})\p{M}+/gu;
const SPACES = /[\p{Zs}]/gu;

/** The characters of a name that a row shows. */
export const ROW_LIMIT = 80;
/** The characters of a text that the detail shows. */
export const DETAIL_LIMIT = 600;

/** Returns the text with everything unseen escaped, cut after `limit` characters. */
export function clean(value, limit = ROW_LIMIT) {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : String(value);
  // Two code units make up at most one character, so that 10 KB are not looked at for 80 characters.
  const head = Array.from(text.slice(0, limit * 2)).slice(0, limit);
  const cut = text.length > head.join('').length;
  const seen = head.join('').replace(UNSEEN_RUN, '$1…').replace(UNSEEN, escaped).replace(STACKED, '$1…').replace(SPACES, ' ');
  const whole = shortened(seen, limit);
  return cut && !whole.endsWith('…') ? `${whole}…` : whole;
}

/** Returns the text as `clean` does, and says how long it is where it was cut. */
export function cleanLong(value, limit = DETAIL_LIMIT) {
  const text = clean(value, limit);
  const length = typeof value === 'string' ? value.length : 0;
  return length > limit * 2 ? `${text} (${length.toLocaleString('en')} characters)` : text;
}

/** Returns a name for the eye: never empty, since a row without a name cannot be pointed at. */
export function label(name, key) {
  if (name === null || name === undefined) return short(key);
  const text = clean(name);
  if (text.trim() !== '') return text;
  return text === '' ? '(no name)' : '(a name of spaces)';
}

/** Returns the beginning of a public key, as long as in the metrics. */
export function short(key) {
  return clean(key, 12).replace(/…$/, '');
}

/** Returns text to search in: what is shown, in lower case. */
export function searchable(...parts) {
  return parts
    .flat()
    .map((part) => clean(part, 200))
    .join('\n')
    .toLowerCase();
}

/** Returns "1 actor" or "2 actors". */
export function plural(count, noun) {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

function escaped(character) {
  if (character === '\t' || character === '\n') return ' ';
  return `\\u{${character.codePointAt(0).toString(16)}}`;
}

function shortened(text, limit) {
  return text.length > limit * 2 ? `${text.slice(0, limit * 2)}…` : text;
}
