import { addressLimit, codecFor, DOMID, errno, PAGE_SIZE, pointerOf, XENMEM, type XenMemoryReservation } from 'xenmem';
import type { Hello, Implementation, Inject, Reply, Request, World } from 'xenmem/conformance';

// A small hypervisor as a module, to be copied: keep `answer`, at the end, and put your own in place of `Machine`.
//
//   xenmem conform --iut module:dist/conformance/examples/typescript/iut.js
//   FAULT=count-short xenmem conform --iut module:dist/conformance/examples/typescript/iut.js
//
//   FAULT              what goes wrong                                 requirement it breaks
//   count-short        nr_exchanged is one too small on success        get-complete-count
//   mfns-not-returned  the output list keeps its GPFNs                 get-mfns-returned
//   not-contiguous     the pages of an extent are mapped in reverse    get-contiguous
//   above-limit        out.address_bits is not looked at               get-address-limit
//   inputs-kept        input pages stay with the guest                 get-inputs-released
//   no-pin             get does not pin                                get-pinned
//   put-keeps-pin      put answers 0 and unpins nothing                put-unpins
//   always-einval      get refuses every call                          get-works
//   crash-on-order     an order of 64 or more throws                   survives

const fault = process.env['FAULT'];

const { get_dma_buf, put_dma_buf, exchange } = XENMEM['dma-buf'];
const maxOrder = 9;
const maxExtents = 0x3ff_ffffn;
const maxPages = 4096;
const page = BigInt(PAGE_SIZE);
/** As frame numbers: where low memory begins, and 4 GiB, where high memory does. */
const lowest = 0x80000n;
const fourGiB = 0x100000n;
const noLimit = 1n << 64n;

const hello: Hello = {
  name: 'the TypeScript example',
  version: '1',
  arch: ['arm32', 'arm64'],
  commands: { get_dma_buf, put_dma_buf, exchange },
  capabilities: new Set(['translate', 'churn', 'pages', 'changes', 'batch', 'free', 'fail-alloc']),
  limits: { ram_pages: maxPages, max_order: maxOrder, max_extents: maxExtents },
  translated: true,
};

/** The hypercall is refused, with this errno of Xen's. */
class Refused extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`refused with errno ${errno}`);
    this.errno = errno;
  }
}

/** An address range does not lie in the guest's memory. */
class NotRam extends Error {}

/** A request that this example cannot serve; no refusal by the hypervisor. */
class BadRequest extends Error {}

/** A guest: what its gfns lead to, and which of them are pinned. */
class Domain {
  readonly privileged: boolean;
  /** All gfns that can ever be mapped. */
  readonly gfns = new Set<bigint>();
  readonly p2m = new Map<bigint, bigint>();
  readonly pinned = new Set<bigint>();
  /** By gfn the bytes, from and to, that the hypervisor has changed since it was last asked. */
  changed = new Map<bigint, [from: number, to: number]>();

  constructor(privileged: boolean) {
    this.privileged = privileged;
  }

  map(gfn: bigint, mfn: bigint): void {
    this.p2m.set(gfn, mfn);
    this.changed.set(gfn, [0, PAGE_SIZE]);
  }
}

/** Machine memory and the guests in it, and memory_op. */
class Machine {
  readonly #arch: World['arch'];
  readonly #domains = new Map<number, Domain>();
  readonly #free = new Set<bigint>();
  /** By machine frame; any other frame is zero. */
  readonly #content = new Map<bigint, Uint8Array>();
  #allocationsLeft = Number.POSITIVE_INFINITY;

  constructor({ arch, domains, free }: World) {
    this.#arch = arch;
    const ram: [Domain, bigint][] = [];
    for (const wish of domains) {
      const domain = new Domain(wish.privileged);
      this.#domains.set(wish.domid, domain);
      for (const [i, { gfn, pages }] of [...wish.ram, ...wish.holes].entries()) {
        if (domain.gfns.size + pages > maxPages) throw new BadRequest('more memory than this example has');
        for (const each of count(gfn, pages)) {
          domain.gfns.add(each);
          if (i < wish.ram.length) ram.push([domain, each]);
        }
      }
    }
    for (const mfn of count(lowest, free.low)) this.#free.add(mfn);
    for (const mfn of count(fourGiB, free.high)) this.#free.add(mfn);
    // RAM takes high and low frames in turn, from the top: no two gfns in a row are contiguous, and none is its own frame.
    let low = lowest + BigInt(free.low + ram.length);
    let high = fourGiB + BigInt(free.high + ram.length);
    for (const [i, [domain, gfn]] of ram.entries()) domain.p2m.set(gfn, i % 2 === 0 ? --high : --low);
  }

  domain(domid: number): Domain {
    const domain = this.#domains.get(domid);
    if (!domain) throw new BadRequest(`there is no domain ${domid}`);
    return domain;
  }

  // Machine memory

  /** The first of 2^order free frames in a row, aligned to their number, all below `limit`; `undefined` if there are none. */
  #allocate(order: number, limit: bigint): bigint | undefined {
    const size = 1n << BigInt(order);
    let found: bigint | undefined;
    for (const mfn of this.#free) {
      if (mfn % size !== 0n || mfn + size > limit || (found !== undefined && mfn < found)) continue;
      if (count(mfn, size).every((each) => this.#free.has(each))) found = mfn;
    }
    if (found !== undefined) for (const mfn of count(found, size)) this.#free.delete(mfn);
    return found;
  }

  /** "under 4G if so requested": frames below 2^(address_bits - 12). */
  #allocateExtent({ extent_order, address_bits }: XenMemoryReservation): bigint {
    const bits = address_bits & 0xff;
    const limit = bits === 0 || fault === 'above-limit' ? noLimit : (1n << BigInt(bits)) / page;
    const mfn = this.#allocationsLeft-- === 0 ? undefined : this.#allocate(extent_order, limit);
    if (mfn === undefined) throw new Refused(errno.ENOMEM);
    return mfn;
  }

  /** No guest may see what another one left behind, so a frame is cleared. */
  #release(mfn: bigint): void {
    this.#content.delete(mfn);
    this.#free.add(mfn);
  }

  // Guest memory: any range may be misaligned, cross pages or lie in a hole

  /** A range in pieces, one for each page, once all of it is known to be RAM. */
  #pieces({ p2m }: Domain, address: bigint, length: number): { gfn: bigint; mfn: bigint; at: number; size: number }[] {
    const end = address + BigInt(length);
    if (end > addressLimit(this.#arch)) throw new NotRam();
    const pieces = [];
    for (let from = address; from < end; ) {
      const gfn = from / page;
      const mfn = p2m.get(gfn);
      if (mfn === undefined) throw new NotRam();
      const next = (gfn + 1n) * page < end ? (gfn + 1n) * page : end;
      pieces.push({ gfn, mfn, at: Number(from % page), size: Number(next - from) });
      from = next;
    }
    return pieces;
  }

  read(domain: Domain, address: bigint, length: number): Uint8Array {
    const pieces = this.#pieces(domain, address, length);
    const bytes = new Uint8Array(length);
    let done = 0;
    for (const { mfn, at, size } of pieces) {
      const held = this.#content.get(mfn);
      if (held) bytes.set(held.subarray(at, at + size), done);
      done += size;
    }
    return bytes;
  }

  write(domain: Domain, address: bigint, bytes: Uint8Array, by: 'guest' | 'hypervisor'): void {
    let done = 0;
    for (const { gfn, mfn, at, size } of this.#pieces(domain, address, bytes.length)) {
      const held = this.#content.get(mfn) ?? new Uint8Array(PAGE_SIZE);
      this.#content.set(mfn, held);
      held.set(bytes.subarray(done, done + size), at);
      done += size;
      if (by === 'guest') continue;
      const [from, to] = domain.changed.get(gfn) ?? [at, at];
      domain.changed.set(gfn, [Math.min(from, at), Math.max(to, at + size)]);
    }
  }

  // The hypercall

  /** What the guest finds in its register. */
  memoryOp(caller: Domain, cmd: number, arg: bigint, inject?: Inject): number {
    this.#allocationsLeft = inject?.fail_alloc ?? Number.POSITIVE_INFINITY;
    const [op, start] = [cmd & 0x3f, cmd >>> 6];
    try {
      if (op !== get_dma_buf && op !== put_dma_buf && op !== exchange) throw new Refused(errno.ENOSYS);
      if (start !== 0) throw new Refused(errno.EINVAL);
      if (op === put_dma_buf) this.#put(caller, arg);
      else this.#exchange(caller, arg, op === get_dma_buf);
      return 0;
    } catch (error) {
      if (error instanceof Refused) return -error.errno;
      if (error instanceof NotRam) return -errno.EFAULT;
      throw error;
    }
  }

  /** The guards of every reservation. Order and count come first, so that nothing after them shifts or counts too far. */
  #named(caller: Domain, { extent_order, nr_extents, domid }: XenMemoryReservation): Domain {
    if (extent_order >= 64 && fault === 'crash-on-order') throw new RangeError(`a shift by ${extent_order}`);
    if (extent_order > maxOrder || nr_extents > maxExtents) throw new Refused(errno.EINVAL);
    const domain = domid === DOMID.SELF ? caller : this.#domains.get(domid);
    if (!domain) throw new Refused(errno.ESRCH);
    if (domain !== caller && !caller.privileged) throw new Refused(errno.EPERM);
    return domain;
  }

  /** The whole list, read once: from here on the guest may do to it what it likes. */
  #list(caller: Domain, { extent_start, nr_extents }: XenMemoryReservation): bigint[] {
    const bytes = this.read(caller, pointerOf(extent_start, this.#arch), 8 * Number(nr_extents));
    const view = new DataView(bytes.buffer);
    return Array.from({ length: Number(nr_extents) }, (_, i) => view.getBigUint64(8 * i, true));
  }

  /** Ops 26 and 11, chunk by chunk; nr_exchanged tells how far it came, also where it fails. */
  #exchange(caller: Domain, arg: bigint, pins: boolean): void {
    const { size, decode } = codecFor(this.#arch).xen_get_dma_buf;
    const { in: given, out: wanted, nr_exchanged } = decode(this.read(caller, arg, size));
    if (pins && fault === 'always-einval') throw new Refused(errno.EINVAL);
    if (nr_exchanged !== 0n) throw new Refused(errno.EINVAL);
    if (given.domid !== wanted.domid) throw new Refused(errno.EINVAL); // raw: DOMID_SELF is not one's own number
    const domain = this.#named(caller, given);
    this.#named(caller, wanted);
    const [inOrder, outOrder] = [given.extent_order, wanted.extent_order];
    if (given.nr_extents << BigInt(inOrder) !== wanted.nr_extents << BigInt(outOrder)) throw new Refused(errno.EINVAL);
    const inputs = this.#list(caller, given);
    const outputs = this.#list(caller, wanted);

    // The smallest unit that can be exchanged has 2^max(order, order) pages.
    const ins = 2 ** Math.max(0, outOrder - inOrder);
    const outs = 2 ** Math.max(0, inOrder - outOrder);
    let done = 0;
    try {
      while (done < inputs.length) {
        const first = (done / ins) * outs;
        const chunk = { inputs: inputs.slice(done, done + ins), outputs: outputs.slice(first, first + outs) };
        const mfns = this.#exchangeChunk(domain, chunk, inOrder, wanted, pins);
        done += ins;
        if (fault === 'mfns-not-returned') continue;
        this.write(caller, pointerOf(wanted.extent_start, this.#arch) + 8n * BigInt(first), words(mfns), 'hypervisor');
      }
      if (fault === 'count-short' && done > 0) done--;
    } finally {
      this.write(caller, arg + BigInt(size - 8), words([BigInt(done)]), 'hypervisor');
    }
  }

  /** One chunk or nothing: what is refused before the commit leaves everything as it was. Gives the frames of the outputs. */
  #exchangeChunk(
    domain: Domain,
    { inputs, outputs }: { readonly inputs: readonly bigint[]; readonly outputs: readonly bigint[] },
    inOrder: number,
    wanted: XenMemoryReservation,
    pins: boolean,
  ): bigint[] {
    const { p2m, pinned, gfns } = domain;
    const size = 2 ** wanted.extent_order;
    const taken = new Set<bigint>();
    for (const gfn of inputs.flatMap((base) => count(base, 2 ** inOrder))) {
      // An input page is mapped, not pinned, and listed once.
      if (!p2m.has(gfn) || pinned.has(gfn) || taken.has(gfn)) throw new Refused(errno.EINVAL);
      taken.add(gfn);
    }
    const claimed = new Set<bigint>();
    for (const gfn of outputs.flatMap((base) => count(base, size))) {
      // An output page is a hole, or an input of this very chunk, and listed once.
      if (!gfns.has(gfn) || (p2m.has(gfn) && !taken.has(gfn)) || claimed.has(gfn)) throw new Refused(errno.EINVAL);
      claimed.add(gfn);
    }
    // Allocated before the inputs are given up, so that no frame replaces itself.
    const mfns: bigint[] = [];
    try {
      for (const _ of outputs) mfns.push(this.#allocateExtent(wanted));
    } catch (error) {
      for (const mfn of mfns.flatMap((base) => count(base, size))) this.#release(mfn);
      throw error;
    }
    // Nothing can fail from here on.
    for (const gfn of fault === 'inputs-kept' ? [] : taken) {
      this.#release(p2m.get(gfn) as bigint);
      p2m.delete(gfn);
      domain.changed.set(gfn, [0, PAGE_SIZE]);
    }
    for (const [k, base] of outputs.entries()) {
      const frames = count(mfns[k] as bigint, size);
      if (fault === 'not-contiguous') frames.reverse();
      for (const [j, mfn] of frames.entries()) domain.map(base + BigInt(j), mfn);
    }
    if (pins && fault !== 'no-pin') for (const gfn of claimed) pinned.add(gfn);
    return outputs.map((base) => p2m.get(base) as bigint);
  }

  /** Op 27: all pages or none, and by their GPFNs; mapping, content and ownership stay as they are. */
  #put(caller: Domain, arg: bigint): void {
    const { size, decode } = codecFor(this.#arch).xen_put_dma_buf;
    const { in: given } = decode(this.read(caller, arg, size));
    const { pinned } = this.#named(caller, given);
    const put: bigint[] = [];
    for (const base of this.#list(caller, given)) {
      for (const gfn of count(base, 2 ** given.extent_order)) {
        if (!pinned.has(gfn)) throw new Refused(errno.EINVAL);
        put.push(gfn);
      }
    }
    if (fault !== 'put-keeps-pin') for (const gfn of put) pinned.delete(gfn);
  }

  /** Sharing, paging or migration: each page gets another frame with the same content, but for those that are pinned. */
  churn({ p2m, pinned }: Domain, first: bigint, pages: number): void {
    for (const [gfn, old] of p2m) {
      if (gfn < first || gfn >= first + BigInt(pages) || pinned.has(gfn)) continue;
      const mfn = this.#allocate(0, noLimit);
      if (mfn === undefined) return;
      const bytes = this.#content.get(old);
      if (bytes) this.#content.set(mfn, bytes);
      this.#release(old);
      p2m.set(gfn, mfn);
    }
  }
}

/** So many numbers in a row. */
function count(first: bigint, length: number | bigint): bigint[] {
  return Array.from({ length: Number(length) }, (_, i) => first + BigInt(i));
}

/** 64-bit numbers as a guest has them in memory. */
function words(numbers: readonly bigint[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * numbers.length));
  for (const [i, number] of numbers.entries()) view.setBigUint64(8 * i, number, true);
  return new Uint8Array(view.buffer);
}

let machine = new Machine({ arch: 'arm64', domains: [], free: { low: 0, high: 0 } });

function answer(request: Request): Reply {
  if (request.op === 'reset') {
    machine = new Machine(request);
    return {};
  }
  const domain = machine.domain(request.domid);
  switch (request.op) {
    case 'write':
      machine.write(domain, request.addr, request.bytes, 'guest');
      return {};
    case 'read':
      return { bytes: machine.read(domain, request.addr, request.length) };
    case 'call':
      return { rc: machine.memoryOp(domain, request.cmd, request.arg, request.inject) };
    case 'translate':
      return { mfns: count(request.gfn, request.pages).map((gfn) => domain.p2m.get(gfn) ?? null) };
    case 'churn':
      machine.churn(domain, request.gfn, request.pages);
      return {};
    case 'pages':
      return { pages: domain.p2m.size };
    case 'changes': {
      const ranges = [...domain.changed].map(([gfn, [from, to]]) => ({ address: gfn * page + BigInt(from), length: to - from }));
      domain.changed = new Map();
      return { ranges };
    }
  }
}

/** A fault of the guest's memory is an answer, and so is a request that cannot be served; anything else is a crash. */
function answerSafely(request: Request): Reply {
  try {
    return answer(request);
  } catch (error) {
    if (error instanceof NotRam) return { fault: true };
    if (error instanceof BadRequest) return { error: { kind: 'setup', message: error.message } };
    throw error;
  }
}

const implementation: Implementation = { hello, answer: (requests) => requests.map(answerSafely) };
export default implementation;
