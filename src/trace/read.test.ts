import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { everywhere } from '../guest/memory.ts';
import { inputFormatNames } from './formats.ts';
import { InputError, type ReadOptions, readTrace, type TraceItem } from './read.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

async function* pieces(input: Uint8Array, size = Math.max(1, input.length)): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < input.length; from += size) yield input.subarray(from, from + size);
}

/** Everything that is yielded, memories spelled out, then what is thrown. */
async function outcome(source: AsyncIterable<Uint8Array>, options: ReadOptions = {}): Promise<unknown[]> {
  const seen: unknown[] = [];
  try {
    for await (const item of readTrace(source, options)) seen.push(plain(item));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    seen.push({ error: error.message, line: error.line });
  }
  return seen;
}

function plain(item: TraceItem): unknown {
  if (item.kind !== 'call') return item;
  const { before, after } = item.call;
  return { ...item, call: { ...item.call, before: before.known(everywhere), after: after.known(everywhere) } };
}

/** `line` and `cmd` of calls, `line` and message of lines that could not be read. */
async function lines(text: string | Uint8Array, options: ReadOptions = {}): Promise<unknown[]> {
  const input = typeof text === 'string' ? bytesOf(text) : text;
  const found: unknown[] = [];
  for await (const item of readTrace(pieces(input), options)) {
    if (item.kind === 'call') found.push([item.line, item.call.cmd]);
    if (item.kind === 'unreadable') found.push([item.line, item.message]);
  }
  return found;
}

describe('a trace', () => {
  it('is one call a line; blank lines and comments are passed over', async () => {
    const text = '\ufeff# comment\n\n{"xenmem":1,"arch":"arm32"}\r\n  {"cmd":26}\r\n   # {"cmd":1}\n{"cmd":27}';
    expect(await lines(text)).toEqual([
      [4, 26],
      [6, 27],
    ]);
    expect((await outcome(pieces(bytesOf(text))))[0]).toEqual({
      kind: 'format',
      format: 'ndjson',
      detected: true,
      name: 'an NDJSON trace',
      covers: '',
    });
  });

  it('goes on after a line that cannot be read', async () => {
    const text = '{"cmd":26}\n{"cmd":26,"arg":0x1}\n{"cmd":-1}\n{"cmd":27}\n{"cmd":2';
    expect(await lines(text)).toEqual([
      [1, 26],
      [2, 'not JSON at column 17: a hex number is written as a string: "0x1"'],
      [3, 'cmd: -1 is negative'],
      [4, 27],
      [5, 'not JSON at column 9: the line ends too early (a record is one line)'],
    ]);
  });

  it('keeps its setting over a header of another version', async () => {
    const text = '{"xenmem":1,"arch":"arm32"}\n{"xenmem":2,"arch":"x86_64"}\n{"cmd":26}\n';
    const [, unreadable, call] = await outcome(pieces(bytesOf(text)));
    expect(unreadable).toEqual({ kind: 'unreadable', line: 2, message: 'xenmem: trace format 2 is not known, only 1' });
    expect(call).toMatchObject({ kind: 'call', line: 3, call: { arch: 'arm32' } });
  });

  it('names the byte that is not UTF-8', async () => {
    const text = bytesOf('{"cmd":26}\n{"note":"ü_"}\n{"cmd":27}\n');
    text[text.indexOf(0x5f)] = 0xff;
    expect(await lines(text)).toEqual([
      [1, 26],
      [2, 'not UTF-8 at byte 12 of the line'],
      [3, 27],
    ]);
  });

  it('has lines of up to 1 MiB', async () => {
    const padded = (length: number): string => `{"cmd":26,"note":"${'x'.repeat(length - 20)}"}`;
    expect(padded(1 << 20)).toHaveLength(1 << 20);
    expect(await lines(`${padded(1 << 20)}\n${padded((1 << 20) + 1)}\n{"cmd":27}\n${padded(1 << 20)}`)).toEqual([
      [1, 26],
      [2, 'longer than 1 MiB'],
      [3, 27],
      [4, 26],
    ]);
  });

  it('of one line of 1 GiB takes no memory', async () => {
    const chunk = new Uint8Array(1 << 20).fill(0x61);
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield bytesOf('{"cmd":26}\n{"note":"');
      for (let i = 0; i < 1024; i++) yield chunk;
      yield bytesOf('"}\n{"cmd":27}\n');
    };
    const used = (): number => process.memoryUsage().rss;
    const before = used();
    let most = 0;
    const found: unknown[] = [];
    for await (const item of readTrace(source())) {
      most = Math.max(most, used() - before);
      if (item.kind === 'call') found.push([item.line, item.call.cmd]);
      if (item.kind === 'unreadable') found.push([item.line, item.message]);
    }
    most = Math.max(most, used() - before);
    expect(found).toEqual([
      [1, 26],
      [2, 'longer than 1 MiB'],
      [3, 27],
    ]);
    expect(most).toBeLessThan(100 << 20);
  });

  it.each([
    ['', 'the input is empty'],
    ['\n\n', 'the input is blank'],
  ])('of nothing is an error: %j', async (text, error) => {
    expect(await outcome(pieces(bytesOf(text)))).toEqual([{ error, line: undefined }]);
    expect(await outcome(pieces(bytesOf(text)), { format: 'ndjson' })).toEqual([{ error, line: undefined }]);
    expect(await outcome(pieces(bytesOf(text)), { format: 'hex' })).toEqual([{ error, line: undefined }]);
  });

  it('that only comments holds no call', async () => {
    expect(await outcome(pieces(bytesOf('# nothing yet\n')))).toEqual([
      { kind: 'format', format: 'ndjson', detected: true, name: 'an NDJSON trace', covers: '' },
    ]);
  });
});

describe('the captures of a real Xen', () => {
  it.each([
    ['xen-4.17-arm64-dom0', 258, { arch: 'arm64', space: 'physical', translated: true }],
    ['xen-4.17-x86_64-pv-dom0', 61, { arch: 'x86_64', space: 'virtual', translated: false }],
  ])('%s', async (name, calls, setting) => {
    const input = readFileSync(new URL(`../../fixtures/captures/${name}.ndjson`, import.meta.url));
    const [format, ...rest] = await outcome(pieces(input));
    expect(format).toMatchObject({ kind: 'format', format: 'ndjson' });
    expect(rest).toHaveLength(calls);
    expect(rest.map((item) => (item as { call: { seq: number } }).call.seq)).toEqual(Array.from({ length: calls }, (_, i) => i));
    for (const item of rest) {
      expect(item).toMatchObject({ kind: 'call', call: { ...setting, profile: 'upstream', privileged: true, fromStart: true, domid: 0 } });
    }
  });

  it.each([
    ['arm32-dom0', 61, { arch: 'arm32', translated: true, privileged: true }],
    ['arm64-dom0', 61, { arch: 'arm64', translated: true, privileged: true }],
    ['arm64-domu', 60, { arch: 'arm64', translated: true, privileged: false }],
    ['x86_64-pv-dom0', 141, { arch: 'x86_64', translated: false, privileged: true }],
  ])('that live wrote: %s', async (name, calls, setting) => {
    const input = readFileSync(new URL(`../../fixtures/captures/live/xen-4.17-${name}.ndjson`, import.meta.url));
    const [format, ...rest] = await outcome(pieces(input));
    expect(format).toMatchObject({ kind: 'format', format: 'ndjson' });
    expect(rest).toHaveLength(calls);
    for (const item of rest) expect(item).toMatchObject({ kind: 'call', call: { ...setting, profile: 'upstream', space: 'physical' } });
  });

  it('reads an argument and its list', async () => {
    const input = readFileSync(new URL('../../fixtures/captures/xen-4.17-arm64-balloon.ndjson', import.meta.url));
    const first = (await outcome(pieces(input)))[1] as { call: { before: { address: bigint; bytes: Uint8Array }[] } };
    expect(first).toMatchObject({ line: 2, record: { note: 'decrease 4xo0' }, call: { seq: 9, cmd: 1, arg: 0x60011100n, rc: 4 } });
    const memory = first.call.before;
    expect(memory.map((piece) => [piece.address, piece.bytes.length])).toEqual([
      [0x60011100n, 32],
      [0x60011400n, 32],
    ]);
    expect(memory[1]?.bytes.subarray(0, 8)).toEqual(Uint8Array.of(0, 0x20, 6, 0, 0, 0, 0, 0));
  });
});

describe('raw bytes', () => {
  const input = Uint8Array.from({ length: 100 }, (_, i) => i);

  it('are one buffer', async () => {
    expect(await outcome(pieces(input))).toEqual([
      { kind: 'format', format: 'raw', detected: true, name: 'raw bytes', covers: '' },
      { kind: 'buffer', bytes: input, offset: 0, whole: true },
    ]);
  });

  it('are an array of structs where a size is given', async () => {
    expect((await outcome(pieces(input, 7), { structSize: 32 })).slice(1)).toEqual([
      { kind: 'buffer', bytes: input.subarray(0, 32), offset: 0, whole: true },
      { kind: 'buffer', bytes: input.subarray(32, 64), offset: 32, whole: true },
      { kind: 'buffer', bytes: input.subarray(64, 96), offset: 64, whole: true },
      { kind: 'buffer', bytes: input.subarray(96), offset: 96, whole: false },
    ]);
  });

  it('may be blank where that is said', async () => {
    expect(await outcome(pieces(bytesOf('\n \n')), { format: 'raw' })).toEqual([
      { kind: 'format', format: 'raw', detected: false, name: 'raw bytes', covers: '' },
      { kind: 'buffer', bytes: Uint8Array.of(10, 32, 10), offset: 0, whole: true },
    ]);
  });

  it('are one buffer of at most 1 MiB', async () => {
    const most = new Uint8Array(1 << 20);
    expect((await outcome(pieces(most, 4096))).at(-1)).toMatchObject({ kind: 'buffer', whole: true });
    const more = new Uint8Array((1 << 20) + 1);
    const error = 'more than 1 MiB is no single struct: name the struct (--struct) to read an array of them';
    expect((await outcome(pieces(more, 4096))).slice(1)).toEqual([{ error, line: undefined }]);
    expect(await outcome(pieces(more, 4096), { structSize: 1 << 20 })).toHaveLength(3);
  });

  it('come in structs that have a size', async () => {
    await expect(readTrace(pieces(input), { structSize: 0 }).next()).rejects.toThrow(new RangeError('structSize 0 is no size in bytes'));
  });
});

describe('a stream', () => {
  /** A source that says which pieces were asked for, and never ends by itself. */
  function live(...texts: string[]): { source: AsyncIterable<Uint8Array>; closed: () => boolean } {
    let closed = false;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (const text of texts) yield bytesOf(text);
        await new Promise(() => {});
      } finally {
        closed = true;
      }
    };
    return { source: source(), closed: () => closed };
  }

  it('is answered line by line', async () => {
    const { source } = live('{"cmd":26}\n', '{"cmd', '":27}\n{"cmd":1}', '\n# end\n');
    const items = readTrace(source);
    expect((await items.next()).value).toMatchObject({ kind: 'format' });
    expect((await items.next()).value).toMatchObject({ line: 1, call: { cmd: 26 } });
    expect((await items.next()).value).toMatchObject({ line: 2, call: { cmd: 27 } });
    expect((await items.next()).value).toMatchObject({ line: 3, call: { cmd: 1 } });
  });

  it.each([
    ['raw', '\0\x01'.repeat(16)],
    ['dump', `00000000: ${'0001'.repeat(16)}\n00000020: `],
    ['dump', `00000000  ${'00 01 '.repeat(8)}\n00000010  ${'00 01 '.repeat(8)}\n`],
    ['hex', '0001'.repeat(16).concat('\n')],
  ])('of %s is answered struct by struct', async (format, text) => {
    const { source } = live(text);
    const items = readTrace(source, { structSize: 32 });
    expect((await items.next()).value).toMatchObject({ kind: 'format', format });
    expect((await items.next()).value).toMatchObject({ bytes: bytesOf('\0\x01'.repeat(16)), whole: true });
  });

  it('is closed when the reader has enough, and when it fails', async () => {
    const enough = live('{"cmd":26}\n', '{"cmd":27}\n');
    for await (const item of readTrace(enough.source)) if (item.kind === 'call') break;
    expect(enough.closed()).toBe(true);
    const wrong = live(`hello, world: ${'what is this? '.repeat(5000)}`);
    await expect(readTrace(wrong.source).next()).rejects.toThrow(InputError);
    expect(wrong.closed()).toBe(true);
  });

  it('passes on the errors of its source', async () => {
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield bytesOf('{"cmd":26}\n');
      throw new TypeError('EIO');
    };
    await expect(outcome(broken())).rejects.toThrow(new TypeError('EIO'));
  });
});

describe('any input', () => {
  const bits = [
    '{"cmd":26}',
    '{"xenmem":1}',
    '{"rc":',
    '"ü"',
    '\n',
    '\r\n',
    '#',
    '*',
    '00000000  00 01',
    '00000002',
    '00000000: 0001',
    ' ',
    '\0',
    '0',
    'ff',
    'g',
    '\ufeff',
  ];
  const input = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.array(fc.constantFrom(...bits), { maxLength: 12 }).map((parts) => bytesOf(parts.join(''))),
    fc
      .tuple(fc.array(fc.constantFrom(...bits), { maxLength: 12 }), fc.nat(), fc.integer({ min: 0, max: 255 }))
      .map(([parts, at, byte]) => bytesOf(parts.join('')).map((old, i, all) => (i === at % all.length ? byte : old))),
  );
  const options = fc.record({ format: fc.constantFrom(...inputFormatNames), structSize: fc.constantFrom(1, 5, 72) }, { requiredKeys: [] });

  it('throws nothing but InputError, and reads the same however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(input, options, fc.nat(), async (bytes, how, cut) => {
        const all = await outcome(pieces(bytes), how);
        const at = cut % (bytes.length + 1);
        const two = async function* (): AsyncGenerator<Uint8Array> {
          yield bytes.subarray(0, at);
          yield bytes.subarray(at);
        };
        expect(await outcome(two(), how)).toEqual(all);
        expect(await outcome(pieces(bytes, 1), how)).toEqual(all);
        for (const item of all as { message?: string; error?: string }[]) expect(item.message ?? item.error ?? '').toMatch(/^[^\p{C}]*$/u);
      }),
      { numRuns: 2000 },
    );
  });

  it('that is only a byte order mark is blank, even in pieces', async () => {
    const mark = Uint8Array.of(0xef, 0xbb, 0xbf);
    for (const how of [{}, { format: 'ndjson' }] as const) {
      expect(await outcome(pieces(mark, 1), how)).toEqual([{ error: 'the input is blank', line: undefined }]);
    }
  });

  it('of a trace reads the same cut at every byte', async () => {
    const trace = bytesOf(
      '\ufeff{"xenmem":1,"arch":"arm32"}\r\n# ü\n{"cmd":26,"before":[["0x10","00ff"]],"note":"ü"}\n{"cmd":}\n\n{"cmd":27}',
    );
    const all = await outcome(pieces(trace));
    expect(all).toHaveLength(4);
    for (let at = 0; at <= trace.length; at++) {
      const two = async function* (): AsyncGenerator<Uint8Array> {
        yield trace.subarray(0, at);
        yield trace.subarray(at);
      };
      expect(await outcome(two())).toEqual(all);
    }
  });
});
