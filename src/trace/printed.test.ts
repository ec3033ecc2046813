import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../codec/hex.ts';
import { type Printer, printers } from './printers.stage.ts';
import { InputError, type ReadOptions, readTrace } from './read.ts';

/** The buffers of a text, in hex, or the message it is refused with. */
async function read(text: string, options: ReadOptions = {}): Promise<string[] | string> {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield new TextEncoder().encode(text);
  };
  const found: string[] = [];
  try {
    for await (const item of readTrace(source(), options)) if (item.kind === 'buffer') found.push(toHex(item.bytes));
    return found;
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
}

const long = process.env['XENMEM_LONG'] !== undefined;

const number = (value: bigint, size: number): number[] => Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

/** A reservation as callers make it, of 64-bit or 32-bit words. */
const reservation = (word: 4 | 8): fc.Arbitrary<number[]> =>
  fc
    .record({
      list: fc.oneof(
        fc.constantFrom(0xffff000009a41000n, 0xffff800012340000n),
        fc.bigInt(0n, (1n << 48n) - 1n).map((base) => base & ~7n),
        // Bytes that are a quote, a comment or a bracket where a tool shows them as text.
        fc
          .array(fc.constantFrom(...Array.from(' \n"\'#$%*,-/;<>@\\`{|\u00ff', (sign) => sign.charCodeAt(0))), {
            minLength: 7,
            maxLength: 7,
          })
          .map((signs) => signs.reduce((base, sign, i) => base | (BigInt(sign) << BigInt(8 * i + 8)), 0x20n)),
      ),
      count: fc.bigInt(1n, 600n),
      order: fc.constantFrom(0n, 0n, 2n, 9n),
      bits: fc.constantFrom(0n, 0n, 32n),
      domid: fc.constantFrom(0x7ff0n, 0x7ff0n, 0n, 1n, 5n),
    })
    .map(({ list, count, order, bits, domid }) => [
      ...number(list, word),
      ...number(count, word),
      ...number(order, 4),
      ...number(bits, 4),
      ...number(domid, 2),
      ...Array<number>(word === 8 ? 6 : 2).fill(0),
    ]);

const struct: fc.Arbitrary<Uint8Array> = fc
  .constantFrom<4 | 8>(8, 8, 4)
  .chain((word) =>
    fc
      .tuple(reservation(word), reservation(word), fc.boolean())
      .map(([a, b, both]) => Uint8Array.from(both ? [...a, ...b, ...Array<number>(word).fill(0)] : a)),
  );

/** What people have around a dump. */
const arounds: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => text.replace(/^/gm, '> ').replace(/> $/, ''),
  (text) => `\`\`\`\n${text}\`\`\`\n`,
  (text) => `$ some command\n${text}$ `,
  (text) => `This is what I see:\n\n${text}\nWhat is it?\n`,
  (text) => text.replaceAll('\n', '\r\n'),
  (text) => `\ufeff${text.trimEnd()}`,
];

const address = fc.constantFrom(0n, 0x40001000n, 0xffff80001234a000n);
const asked = '--word-order';
/** Kinds that count from 0, or not at all. */
const fromZero = /^(?:xxd|hexdump|od)/;

/** Kinds in which a text before or behind would be part of the data, or is refused. */
const alone = /^(?:xxd -p|hex stream|bytes\.hex|od -An|JSON)/;

/** Kinds of 8-byte words, which cannot show 20 or 44 bytes. */
const eights = /x8|8z|[dou]8|xg$|dg$|gx$|rd -64|md\.q|mdd|pxq|dq/;

describe('a printer prints as its tool does', () => {
  // Rows and halves of them that differ, so that no tool prints a star.
  const bytes = Uint8Array.from({ length: 72 }, (_, i) => (i * 37 + 5) & 0xff);
  for (const [kind, print] of Object.entries(printers).filter(([name]) => fromZero.test(name))) {
    const [tool = '', ...args] = kind.split(' ');
    it.skipIf(spawnSync(tool, ['--version']).error !== undefined)(kind, () => {
      const { stdout, stderr } = spawnSync(tool, args, { input: bytes });
      expect(stderr.toString()).toBe('');
      expect(print(bytes, 0n)).toBe(stdout.toString());
    });
  }
});

describe.each(Object.entries(printers))('%s', (kind, print: Printer) => {
  it('reads back what it prints, or asks', async () => {
    await fc.assert(
      fc.asyncProperty(struct, address, fc.constantFrom(...arounds), async (bytes, at, around) => {
        fc.pre(bytes.length % 8 === 0 || !eights.test(kind));
        const text = print(bytes, fromZero.test(kind) ? 0n : at);
        const found = await read(alone.test(kind) ? text : around(text));
        if (typeof found === 'string') {
          expect(found).toContain(asked);
          const ways = await Promise.all((['little', 'big'] as const).map((wordOrder) => read(text, { wordOrder })));
          expect(ways).toContainEqual([toHex(bytes)]);
        } else {
          expect(found).toEqual([toHex(bytes)]);
        }
      }),
      { numRuns: long ? 2000 : 12 },
    );
  });
});

/**
 * Are the bytes, from the first digit to the last, in the text, in this order or word by word
 * backwards?
 */
function isIn(text: string, bytes: string): boolean {
  const digits = text.toLowerCase().replace(/[^0-9a-f]/g, '');
  const pairs = bytes.match(/../g) ?? [];
  const has = (sought: readonly string[]): boolean => {
    let at = 0;
    for (const digit of sought.join('')) {
      at = digits.indexOf(digit, at) + 1;
      if (at === 0) return false;
    }
    return true;
  };
  const turned = (width: number): string[] =>
    Array.from({ length: Math.ceil(pairs.length / width) }, (_, i) => pairs.slice(i * width, (i + 1) * width).reverse()).flat();
  return has(pairs) || [2, 4, 8].some((width) => has(turned(width)));
}

const damage = fc.record({
  how: fc.constantFrom('drop', 'double', 'change', 'cut', 'behead', 'lose a line', 'repeat a line', 'swap lines'),
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  to: fc.constantFrom('0', 'f', ' ', ':', 'x', 'g', '|', ',', '\n', '*\n', '\t', '-', '\u2502', '"', '\\', '.'),
});

function damaged(text: string, { how, at, to }: { how: string; at: number; to: string }): string {
  const place = Math.floor(at * text.length);
  const lines = text.split('\n');
  const line = Math.floor(at * lines.length);
  switch (how) {
    case 'drop':
      return text.slice(0, place) + text.slice(place + 1);
    case 'double':
      return text.slice(0, place) + text.slice(place - 1);
    case 'change':
      return text.slice(0, place) + to + text.slice(place + 1);
    case 'cut':
      return text.slice(0, place);
    case 'behead':
      return text.slice(place);
    case 'lose a line':
      return lines.toSpliced(line, 1).join('\n');
    case 'repeat a line':
      return lines.toSpliced(line, 0, lines[line] ?? '').join('\n');
    default:
      return lines.toSpliced(line, 2, lines[line + 1] ?? '', lines[line] ?? '').join('\n');
  }
}

/** Kinds that show their bytes as hex digits and nothing else. */
const inHex = Object.keys(printers).filter(
  (kind) => !/escapes|array|-[do]$|-b$|^od$|[ud]\d|o8|\/d|\/u|\/t|Rust|Go|JSON|Python|base64|HEX|records|u64/.test(kind),
);

describe('a damaged dump', () => {
  it('crashes nothing, and gives no byte that is not in it', { timeout: 1_200_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.entries(printers)),
        struct,
        address,
        fc.array(damage, { minLength: 1, maxLength: 3 }),
        async ([kind, print], bytes, at, faults) => {
          const text = faults.reduce(damaged, print(bytes, fromZero.test(kind) ? 0n : at));
          const found = await read(text);
          if (typeof found === 'string' || !inHex.includes(kind) || text.includes('*')) return;
          if (/, 8$/.test(kind) && bytes.length % 8 > 0) return;
          for (const buffer of found) expect(isIn(text, buffer)).toBe(true);
        },
      ),
      { numRuns: long ? 200_000 : 2000 },
    );
  });
});
