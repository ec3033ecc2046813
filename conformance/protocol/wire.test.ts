import { describe, expect, it } from 'vitest';
import type { Request } from './implementation.ts';
import { answerOf, helloOf, objectOf, requestLine, type WireRequest } from './wire.ts';

describe('a request', () => {
  // Each line is the sample of the protocol's table, with its own numbers.
  it.each<[number, WireRequest, string]>([
    [0, { op: 'hello', arch: 'arm64' }, '{"id":0,"op":"hello","protocol":1,"arch":"arm64"}'],
    [
      1,
      {
        op: 'reset',
        arch: 'arm64',
        domains: [{ domid: 1, privileged: false, ram: [{ gfn: 0x40000n, pages: 64 }], holes: [{ gfn: 0x50000n, pages: 64 }] }],
        free: { low: 64, high: 64 },
      },
      '{"id":1,"op":"reset","arch":"arm64","domains":[{"domid":1,"privileged":false,"ram":[{"gfn":"0x40000","pages":64}],"holes":[{"gfn":"0x50000","pages":64}]}],"free":{"low":64,"high":64}}',
    ],
    [
      2,
      { op: 'write', domid: 1, addr: 0x40000000n, bytes: Uint8Array.of(0, 255) },
      '{"id":2,"op":"write","domid":1,"addr":"0x40000000","hex":"00ff"}',
    ],
    [3, { op: 'read', domid: 1, addr: 0x40000000n, length: 4096 }, '{"id":3,"op":"read","domid":1,"addr":"0x40000000","length":4096}'],
    [4, { op: 'call', domid: 1, cmd: 26, arg: 0x40000000n }, '{"id":4,"op":"call","domid":1,"cmd":26,"arg":"0x40000000"}'],
    [
      4,
      { op: 'call', domid: 1, cmd: 26, arg: 0x40000000n, inject: { fail_alloc: 2 } },
      '{"id":4,"op":"call","domid":1,"cmd":26,"arg":"0x40000000","inject":{"fail_alloc":2}}',
    ],
    [5, { op: 'translate', domid: 1, gfn: 0x40000n, pages: 4 }, '{"id":5,"op":"translate","domid":1,"gfn":"0x40000","pages":4}'],
    [6, { op: 'churn', domid: 1, gfn: 0x40000n, pages: 4 }, '{"id":6,"op":"churn","domid":1,"gfn":"0x40000","pages":4}'],
    [7, { op: 'pages', domid: 1 }, '{"id":7,"op":"pages","domid":1}'],
    [8, { op: 'changes', domid: 1 }, '{"id":8,"op":"changes","domid":1}'],
    [
      9,
      {
        op: 'batch',
        steps: [
          { op: 'pages', domid: 1 },
          { op: 'changes', domid: 2 },
        ],
      },
      '{"id":9,"op":"batch","steps":[{"op":"pages","domid":1},{"op":"changes","domid":2}]}',
    ],
    [10, { op: 'bye' }, '{"id":10,"op":"bye"}'],
  ])('%i is the line of the protocol', (id, request, line) => {
    expect(requestLine(id, request)).toBe(`${line}\n`);
  });
});

const read: Request = { op: 'read', domid: 1, addr: 0n, length: 2 };
const call: Request = { op: 'call', domid: 1, cmd: 26, arg: 0n };
const translate: Request = { op: 'translate', domid: 1, gfn: 0n, pages: 4 };

describe('an answer', () => {
  it.each<[Request, string, object]>([
    [read, '{"id":3,"hex":"00FF","x-more":[1]}', { bytes: Uint8Array.of(0, 255) }],
    [read, '{"id":3,"fault":true}', { fault: true }],
    [call, '{"id":4,"rc":-22}', { rc: -22 }],
    [translate, '{"id":5,"mfns":["0x80000",null,"0x80007","1"]}', { mfns: [0x80000n, null, 0x80007n, 1n] }],
    [{ op: 'pages', domid: 1 }, '{"id":7,"pages":64}', { pages: 64 }],
    [{ op: 'changes', domid: 1 }, '{"id":8,"ranges":[["0x40000040",8]]}', { ranges: [{ address: 0x40000040n, length: 8 }] }],
    [{ op: 'churn', domid: 1, gfn: 0n, pages: 1 }, '{"id":6}', {}],
    [call, '{"id":4,"error":{"kind":"setup","message":"no rig"}}', { error: { kind: 'setup', message: 'no rig' } }],
  ])('to %o is read', (request, line, answer) => {
    expect(answerOf(request, objectOf(line))).toEqual(answer);
  });

  it.each<[Request, string, string]>([
    [read, 'ok', 'answer: "ok" is not JSON'],
    [read, '[]', 'answer: a list of 0 is not an object'],
    [read, '{}', 'answer.hex: missing from the answer to read'],
    [read, '{"hex":"00"}', 'answer.hex: 1 bytes, asked for 2'],
    [read, '{"hex":"0g"}', 'answer.hex: "g" at digit 2 is not a hex digit'],
    [read, '{"fault":1}', 'answer.fault: 1 is neither true nor false'],
    [call, '{"rc":null}', 'answer.rc: null is not a number'],
    [call, '{"rc":0.5}', 'answer.rc: 0.5 is not a whole number'],
    [call, '{"fault":true}', 'answer.rc: missing from the answer to call'],
    [translate, '{"mfns":["0x1"]}', 'answer.mfns: 1 frames, asked for 4'],
    [translate, '{"mfns":[null,null,null,-1]}', 'answer.mfns[3]: -1 is negative'],
    [{ op: 'pages', domid: 1 }, '{"pages":-1}', 'answer.pages: -1 is negative'],
    [{ op: 'changes', domid: 1 }, '{"ranges":[["0x0"]]}', 'answer.ranges[0]: a list of 1 is not [address, length]'],
    [call, '{"error":{"kind":"refused"}}', 'answer.error.kind: "refused" is not one of unsupported, setup'],
  ])('to %o of %j is none of the protocol', (request, line, message) => {
    expect(() => answerOf(request, objectOf(line))).toThrow(message);
  });
});

describe('hello', () => {
  const good = {
    id: 0,
    protocol: 1,
    name: 'toy',
    version: '1.2',
    arch: ['arm32', 'arm64'],
    commands: { get_dma_buf: 26 },
    capabilities: ['batch', 'x-new'],
  };

  it('names what it knows and leaves out what it does not', () => {
    const hello = helloOf({ ...good, limits: { max_extents: '0x10', domains: 1 }, arch: ['riscv64', 'arm64'] });
    expect(hello).toEqual({
      name: 'toy',
      version: '1.2',
      arch: ['arm64'],
      commands: { get_dma_buf: 26 },
      capabilities: new Set(['batch']),
      limits: { domains: 1, max_extents: 16n },
      translated: true,
    });
  });

  it.each<[object, string]>([
    [{ protocol: 2 }, 'hello.protocol: 2 is not 1'],
    [{ name: 7 }, 'hello.name: 7 is not a string'],
    [{ commands: {} }, 'hello.commands: none of get_dma_buf, put_dma_buf'],
    [{ commands: { get_dma_buf: 64 } }, 'hello.commands.get_dma_buf: 64 is over 63, what cmd has room for'],
    [{ commands: { get_dma_buf: 26, put_dma_buf: 26 } }, 'hello.commands: two ops share a number'],
    [{ limits: { max_gfn: -1 } }, 'hello.limits.max_gfn: -1 is negative'],
    [{ error: { kind: 'setup', message: 'no board' } }, 'hello.error: "no board"'],
  ])('with %j cannot be', (change, message) => {
    expect(() => helloOf({ ...good, ...change })).toThrow(message);
  });
});
