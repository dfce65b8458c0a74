/**
 * The records of a list as the texts that they came in: what is parsed for a look at it need not be serialised again to be
 * stored, and an amount keeps all of its digits.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const ZERO = 0x30;
const NINE = 0x39;
const CAPITAL_E = 0x45;
const LETTER_E = 0x65;
const LETTER_U = 0x75;

export interface Listed {
  readonly records: readonly unknown[];
  /** Of each record, as far as it is known, the text that it came in. */
  readonly texts: readonly (Buffer | undefined)[];
}

/** Of a number. Postgres stores longer ones, but not all that JSON can write. */
const MAX_DIGITS = 300;

/**
 * The elements of the array `data` of an envelope. `body`: UTF-8 that `JSON.parse` takes. `undefined` stands for one that
 * Postgres might not take as it is: with a NUL, half of a surrogate pair, an exponent or very many digits in it. None are answered
 * where that is not sure.
 */
export function listedTexts(body: Buffer): (Buffer | undefined)[] {
  let texts: (Buffer | undefined)[] = [];
  let depth = 0;
  let isData = false;
  let isStorable = true;
  let start = 0;
  /** Behind the last byte that was not of a number, a literal or white space. */
  let token = 0;
  let keyStart = 0;
  let keyEnd = 0;

  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === QUOTE) {
      const from = at + 1;
      for (at = from; at < body.length; at += 1) {
        const inner = body[at];
        if (inner === QUOTE) break;
        if (inner !== BACKSLASH) continue;
        // It may be a name that is `data` in other letters.
        if (depth === 1) return [];
        at += 1;
        if (body[at] === LETTER_U && !isStorableEscape(body, at + 1)) isStorable = false;
      }
      if (depth === 1) {
        keyStart = from;
        keyEnd = at;
      }
      token = at + 1;
    } else if (byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (at - token > MAX_DIGITS) isStorable = false;
      token = at + 1;
      if (isData && depth === 2) {
        texts.push(isStorable ? body.subarray(start, at) : undefined);
        start = at + 1;
        isStorable = true;
        isData = byte === COMMA;
      }
      if (byte !== COMMA) depth -= 1;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (depth === 1 && byte === OPEN_BRACKET && body.toString('latin1', keyStart, keyEnd) === 'data') {
        // Of two of the same name, JSON takes the later one.
        texts = [];
        isData = true;
        isStorable = true;
        start = at + 1;
      }
      depth += 1;
      token = at + 1;
    } else if ((byte === LETTER_E || byte === CAPITAL_E) && isDigit(body[at - 1])) {
      isStorable = false;
    }
  }
  return texts;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

/** `at`: of the four digits behind `\u`. Not half of a surrogate pair, nor NUL. */
function isStorableEscape(body: Buffer, at: number): boolean {
  return !/^(?:0000|d[89a-f])/i.test(body.toString('latin1', at, at + 4));
}
