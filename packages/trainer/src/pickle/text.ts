import type { ByteReader } from './byteReader.js';

const SINGLE: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The bytes, as characters below 256, of a Python 2 string literal: STRING of protocol 0, `'a\x00b'`. */
export function quotedString(reader: ByteReader, line: string): string {
  const literal = line.trim();
  const mark = literal[0];
  if (literal.length < 2 || (mark !== "'" && mark !== '"') || literal.at(-1) !== mark) {
    reader.fail('a string in quotes', `${line.length} other characters`);
  }
  return literal
    .slice(1, -1)
    .replace(/\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|([^]))/g, (whole, hex?: string, octal?: string, other?: string) => {
      if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(parseInt(octal, 8) & 0xff);
      if (other === 'x') reader.fail('two hexadecimal digits after \\x', 'others');
      // As Python: what is no escape stays as it is written.
      return SINGLE[other!] ?? whole;
    });
}

/** The text of UNICODE in protocol 0: one character a byte, but for `\uXXXX` and `\UXXXXXXXX`. */
export function rawUnicode(reader: ByteReader, line: string): string {
  return line.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (_, short?: string, long?: string) => {
    const code = parseInt((short ?? long)!, 16);
    if (code > 0x10ffff) reader.fail('a code point of at most 0x10ffff', `0x${code.toString(16)}`);
    return String.fromCodePoint(code);
  });
}
