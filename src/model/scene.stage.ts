import type { Arch } from '../abi/arch.ts';
import { DOMID } from '../abi/constants.ts';
import type { XenGetDmaBuf, XenMemoryReservation } from '../abi/values.ts';
import { codecFor } from '../codec/codec.ts';
import type { DomainPlan, Inject, World } from '../guest/world.ts';
import type { Freedoms } from './freedoms.ts';
import { createHypervisor, type Hypervisor } from './hypervisor.ts';
import { type MemoryOpOf, modelWith } from './memory-op.ts';
import type { State } from './state.ts';

/**
 * What a scene starts from; the rest is one unprivileged arm64 guest, domid 1, with 64 pages of
 * RAM, 64 holes, 64 + 64 free frames.
 */
export interface Setting extends Partial<Omit<World, 'domains'>> {
  readonly domains?: readonly (Omit<DomainPlan, 'holes'> & Partial<DomainPlan>)[];
  /** Readings of open points that are not the strict model's. */
  readonly freedoms?: Partial<Freedoms>;
  /** What is behind the hypercall's door, if not the strict model. */
  readonly answer?: MemoryOpOf;
}

/** A call in plain words: gfns in, gfns out, and whatever differs from the usual. */
export interface Exchange {
  readonly in: readonly number[];
  readonly out: readonly number[];
  readonly inOrder?: number;
  readonly outOrder?: number;
  /** out.address_bits */
  readonly bits?: number;
  readonly op?: number;
  readonly inject?: Inject;
  readonly from?: number;
  /** Anything in the struct that is to be otherwise. */
  readonly struct?: { in?: Partial<XenMemoryReservation>; out?: Partial<XenMemoryReservation>; nr_exchanged?: bigint };
}

/**
 * RAM begins here; structs and lists lie in the first three pages, so pages from `data` on are free
 * to be exchanged.
 */
export const ram = 0x40000;
export const data: number = ram + 8;
export const holes = 0x50000;

export const structAddress = 0x40000100n;
export const inListAddress = 0x40001000n;
export const outListAddress = 0x40002000n;

/**
 * A guest that makes calls on a hypervisor, for tests: it places structs and lists in its memory
 * and reads them back.
 */
export interface Scene {
  readonly hypervisor: Hypervisor;
  /** Places an exchange, calls, and reads back what the guest can see. */
  get(exchange: Exchange): { rc: number; nr_exchanged: bigint; out: number[] };
  /** Places a reservation over these gfns, calls op 27 or another, and returns the code. */
  put(
    gfns: readonly number[],
    order?: number,
    other?: Partial<XenMemoryReservation> & { cmd?: number; inject?: Inject; from?: number },
  ): number;
  /** The frame behind a gfn. */
  mfn(gfn: number, domid?: number): number | null;
  /** Writes one word at the start of a page, to be recognised later. */
  mark(gfn: number, word: number): void;
  marked(gfn: number): number | undefined;
  /** Does churn leave this page where it is? */
  stays(gfn: number): boolean;
  list(address: bigint, gfns: readonly (number | bigint)[]): void;
}

/** Sets a scene. */
export function scene({ freedoms = {}, answer, domains, ...world }: Setting = {}): Scene {
  const hypervisor = createHypervisor(answer ?? modelWith(freedoms));
  const arch: Arch = world.arch ?? 'arm64';
  const one = { domid: 1, privileged: false, ram: [{ gfn: BigInt(ram), pages: 64 }], holes: [{ gfn: BigInt(holes), pages: 64 }] };
  hypervisor.reset({ arch, domains: domains?.map((domain) => ({ holes: [], ...domain })) ?? [one], free: { low: 64, high: 64 }, ...world });
  const codecs = codecFor(arch);
  const reservation = (extent_start: bigint, nr: number, extent_order: number): XenMemoryReservation => ({
    extent_start,
    nr_extents: BigInt(nr),
    extent_order,
    address_bits: 0,
    domid: DOMID.SELF,
  });
  const list = (address: bigint, gfns: readonly (number | bigint)[], domid = 1): void => {
    const bytes = new DataView(new ArrayBuffer(8 * gfns.length));
    for (const [i, gfn] of gfns.entries()) bytes.setBigUint64(8 * i, BigInt(gfn), true);
    hypervisor.write(domid, address, new Uint8Array(bytes.buffer));
  };
  const mfn = (gfn: number, domid = 1): number | null => {
    const [frame = null] = hypervisor.translate(domid, BigInt(gfn), 1);
    return frame === null ? null : Number(frame);
  };
  const view = (domid: number, address: bigint, length: number): DataView =>
    new DataView((hypervisor.read(domid, address, length) ?? new Uint8Array(length)).buffer);
  return {
    hypervisor,
    mfn,
    list,
    get({ in: ins, out: outs, inOrder = 0, outOrder = 0, bits = 0, op = 26, inject = {}, from = 1, struct = {} }) {
      const value: XenGetDmaBuf = {
        in: { ...reservation(inListAddress, ins.length, inOrder), ...struct.in },
        out: { ...reservation(outListAddress, outs.length, outOrder), address_bits: bits, ...struct.out },
        nr_exchanged: struct.nr_exchanged ?? 0n,
      };
      list(inListAddress, ins, from);
      list(outListAddress, outs, from);
      hypervisor.write(from, structAddress, codecs.xen_get_dma_buf.encode(value));
      const rc = hypervisor.call(from, op, structAddress, inject);
      const words = view(from, outListAddress, 8 * outs.length);
      return {
        rc,
        nr_exchanged: view(from, structAddress + 64n, 8).getBigUint64(0, true),
        out: outs.map((_, k) => Number(words.getBigUint64(8 * k, true))),
      };
    },
    put(gfns, order = 0, { cmd = 27, inject = {}, from = 1, ...other } = {}) {
      list(inListAddress, gfns, from);
      const value = { in: { ...reservation(inListAddress, gfns.length, order), ...other } };
      hypervisor.write(from, structAddress, codecs.xen_put_dma_buf.encode(value));
      return hypervisor.call(from, cmd, structAddress, inject);
    },
    mark(gfn, word) {
      hypervisor.write(1, BigInt(gfn) << 12n, Uint8Array.of(word));
    },
    marked: (gfn) => hypervisor.read(1, BigInt(gfn) << 12n, 1)?.[0],
    stays(gfn) {
      const before = mfn(gfn);
      hypervisor.churn(1, BigInt(gfn), 1);
      return mfn(gfn) === before;
    },
  };
}

/**
 * What is mapped, pinned, owned and free, as a value that stays: all of a state but what pages hold
 * and what has changed in them.
 */
export function machineOf({ domains, free }: State): object {
  const guests = [...domains.values()].map(({ domid, p2m, pins, owned, unaddressed }) => {
    return { domid, p2m: new Map(p2m), pins: new Set(pins), owned: new Set(owned), unaddressed };
  });
  return { guests, free: structuredClone(free) };
}
