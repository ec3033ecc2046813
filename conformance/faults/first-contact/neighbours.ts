import { type Edit, type Fault, family } from '../fault.ts';

const file = 'reservation-ops.ts';
const p2m = 'p2m.ts';

const start = 'const start = startExtent(cmd);';
const starts = (at: string): Edit[] => [
  [file, start, `const start = ${at};`],
  [file, "import { startExtent } from '../abi/ops.ts';\n", ''],
];
const loop = 'while (done < asked.nr_extents && extent[op](work, done)) done++;';
const loops = (instead: string): Edit => [file, loop, instead];
const unwelcome = 'if (!asked || !domain || isUnwelcome(call, op, asked, domain)) return start;';
const gives = 'for (const gfn of pagesOf(bases, pages)) giveUp(call.state, domain, gfn);';
const decrease =
  'function decrease({ call, domain, list, extent_order }: Work, index: number): boolean {\n  const bases = readEntries(call, list, index, 1);';
const populate = 'const { call, domain, list, extent_order } = work;\n  const bases = readEntries(call, list, index, 1);';
const misplaced = 'if (!domain.p2m.has(gfn) || (isPinRefused && domain.pins.has(gfn))) return false; // get-pinned';
const maps = 'mapPage(domain, gpfn + j, mfn + j);';
const takes = 'const mfn = take(call.state.free, extent_order, frameLimit(address_bits));';
const increase = 'if (newExtent(work) === undefined) return false;\n  work.domain.unaddressed += 2 ** work.extent_order;';
const readLine = "const asked = readStruct(call, 'xen_memory_reservation');";
const giveUpImport = "import { giveUp, mapPage, mappableGfns } from './p2m.ts';";
const done = 'return done;\n}';
const callImport = 'pagesOf, readEntries, readStruct }';

/** Ops 0, 1 and 6. */
export const neighbours: readonly Fault[] = family('convention and neighbours', [
  ['takes start_extent from bit 4 of cmd', ['reservation-count', 'reservation-effects'], starts('cmd >>> 4')],
  ['has 16 bits of start_extent', ['reservation-count'], starts('(cmd >>> 6) & 0xffff')],
  ['has 8 bits of start_extent', ['reservation-count'], starts('(cmd >>> 6) & 0xff')],
  ['has a start_extent with a sign', ['reservation-count'], starts('cmd >> 6')],
  [
    'takes orders modulo 32 in ops 0, 1, 6',
    ['reservation-effects'],
    [
      [
        file,
        readLine,
        "const given = readStruct(call, 'xen_memory_reservation');\n  const asked = given && { ...given, extent_order: given.extent_order & 31 };",
      ],
    ],
  ],
  [
    'reads the list from its first entry in a continuation',
    ['reservation-effects'],
    [loops(loop.replace('work, done', 'work, done - start'))],
  ],
  ['counts from 0 in a continuation', ['reservation-count', 'reservation-effects'], [[file, done, 'return done - start;\n}']]],
  [
    'returns nr_extents where start_extent is beyond it',
    ['reservation-count'],
    [[file, done, 'return Math.min(done, Number(asked.nr_extents));\n}']],
  ],
  [
    'returns 0 for a struct that a continuation cannot read',
    ['reservation-count'],
    [[file, unwelcome, `if (!asked) return 0;\n  ${unwelcome}`]],
  ],
  [
    'returns 0 for a domain that a continuation may not name',
    ['reservation-count', 'reservation-refuses-foreign-domid'],
    [[file, unwelcome, unwelcome.replace('return start', 'return 0')]],
  ],
  [
    'works ops 0, 1, 6 from the last extent to the first',
    ['reservation-effects'],
    [loops(loop.replace('work, done)', 'work, Number(asked.nr_extents) - 1 - (done - start))'))],
  ],
  [
    'goes on behind an extent that ops 0, 1, 6 could not do',
    ['reservation-effects'],
    [loops('for (let i = start; i < Math.min(Number(asked.nr_extents), start + 4096); i++) if (extent[op](work, i)) done++;')],
  ],
  [
    'leaves an extent out when ops 0, 1, 6 are preempted',
    ['reservation-effects'],
    [
      loops(
        'const pause = call.inject.preempt ?? 0;\n  while (done < asked.nr_extents && ((pause > 0 && done > start && (done - start) % (pause + 1) === pause) || extent[op](work, done))) done++;',
      ),
    ],
  ],
  [
    'does an extent twice when ops 0, 1, 6 are preempted',
    ['reservation-effects'],
    [
      loops(
        'const pause = call.inject.preempt ?? 0;\n  while (done < asked.nr_extents && extent[op](work, pause > 0 && done >= start + pause ? done - 1 : done)) done++;',
      ),
    ],
  ],
  [
    'lets ERESTART out of ops 0, 1, 6',
    ['reservation-count', 'reservation-effects'],
    [
      loops(
        'const pause = call.inject.preempt ?? 0;\n  for (; done < asked.nr_extents && extent[op](work, done); done++) if (pause > 0 && done - start + 1 === pause && done + 1 < asked.nr_extents) return -85;',
      ),
    ],
  ],
  [
    'counts twice what ops 0, 1, 6 did before they were preempted',
    ['reservation-count', 'reservation-effects'],
    [[file, done, 'const pause = call.inject.preempt ?? 0;\n  return pause > 0 && done - start > pause ? done + pause : done;\n}']],
  ],
  [
    'forgets start_extent when ops 0, 1, 6 are preempted',
    ['reservation-count', 'reservation-effects'],
    [[file, done, 'const pause = call.inject.preempt ?? 0;\n  return pause > 0 && done - start > pause ? done - start : done;\n}']],
  ],
  [
    'a decrease leaves an extent half done',
    ['reservation-effects'],
    [[file, `${misplaced}\n  }\n  ${gives}`, `${misplaced}\n    giveUp(call.state, domain, gfn);\n  }`]],
  ],
  ['a decrease gives up the first page of an extent only', ['reservation-effects'], [[file, gives, gives.replace('pages)', '1)')]]],
  [
    'a decrease gives up the first four pages of an extent',
    ['reservation-effects'],
    [[file, gives, gives.replace('pages)', 'Math.min(4, pages))')]],
  ],
  [
    'a decrease loses all but the first page of an extent',
    ['frames-conserved'],
    [
      [
        file,
        gives,
        `for (const gfn of pagesOf(bases, pages)) {
    if (gfn === bases[0]) giveUp(call.state, domain, gfn);
    else {
      domain.owned.delete(domain.p2m.get(gfn) as number);
      unmapPage(domain, gfn);
    }
  }`,
      ],
      [file, giveUpImport, giveUpImport.replace('mappableGfns }', 'mappableGfns, unmapPage }')],
    ],
  ],
  [
    'a decrease keeps the page charged',
    ['reservation-effects'],
    [
      [
        file,
        gives,
        `for (const gfn of pagesOf(bases, pages)) {
    const mfn = domain.p2m.get(gfn) as number;
    giveUp(call.state, domain, gfn);
    if (pages > 1) domain.owned.add(mfn);
  }`,
      ],
    ],
  ],
  [
    'a decrease takes a page that is not there for done',
    ['reservation-effects'],
    [[file, misplaced, 'if (!domain.p2m.has(gfn)) return true;\n    if (isPinRefused && domain.pins.has(gfn)) return false;']],
  ],
  [
    'a decrease counts a pinned page and keeps it',
    ['reservation-effects'],
    [[file, misplaced, 'if (!domain.p2m.has(gfn)) return false;\n    if (isPinRefused && domain.pins.has(gfn)) return true;']],
  ],
  [
    'a decrease rounds frames down to its order',
    ['reservation-effects'],
    [
      [
        file,
        decrease,
        `${decrease}\n  for (const i of bases?.keys() ?? []) (bases as number[])[i] = (bases?.[i] as number) - ((bases?.[i] as number) % 2 ** extent_order);`,
      ],
    ],
  ],
  [
    'a populate rounds frames down to its order',
    ['reservation-effects'],
    [
      [
        file,
        'const [gpfn] = bases as [number];\n  const pages = 2 ** extent_order;',
        'const pages = 2 ** extent_order;\n  const gpfn = (bases[0] as number) - ((bases[0] as number) % pages);\n  bases[0] = gpfn;',
      ],
    ],
  ],
  [
    'a decrease reads frames as 32 bits',
    ['reservation-effects'],
    [[file, decrease, decrease.replace('1);', '1)?.map((gfn) => gfn % 2 ** 32);')]],
  ],
  [
    'a populate reads frames as 32 bits',
    ['reservation-effects'],
    [[file, populate, populate.replace('1);', '1)?.map((gfn) => gfn % 2 ** 32);')]],
  ],
  [
    'a decrease reads entries of four bytes on arm32',
    ['reservation-effects'],
    [[file, decrease, decrease.replace('call, list,', "call, { ...list, ...(call.state.arch === 'arm32' && { stride: 4 }) },")]],
  ],
  [
    'a populate reads entries of four bytes on arm32',
    ['reservation-effects'],
    [[file, populate, populate.replace('call, list,', "call, { ...list, ...(call.state.arch === 'arm32' && { stride: 4 }) },")]],
  ],
  [
    'a populate fills the holes of an extent before it refuses it',
    ['reservation-effects'],
    [
      [
        file,
        "if (call.freedoms['populated-output'] === 'refused') return false;\n  }\n  const mfn = newExtent(work);",
        `if (call.freedoms['populated-output'] === 'refused') {
      for (let page = gpfn; page < gfn; page++) {
        const single = newExtent({ ...work, extent_order: 0 });
        if (single !== undefined) mapPage(domain, page, single);
      }
      return false;
    }
  }
  const mfn = newExtent(work);`,
      ],
    ],
  ],
  [
    'a populate maps the first page of an extent only',
    ['reservation-effects'],
    [[file, maps, `if (j === 0) mapPage(domain, gpfn + j, mfn + j);\n    else domain.unaddressed++;`]],
  ],
  [
    'a populate maps all but the last page of an extent',
    ['reservation-effects'],
    [[file, maps, `if (j === 0 || j < pages - 1) mapPage(domain, gpfn + j, mfn + j);\n    else domain.unaddressed++;`]],
  ],
  [
    'a populate counts a gfn that is mapped as done',
    ['reservation-effects'],
    [
      [
        file,
        "if (call.freedoms['populated-output'] === 'refused') return false;\n  }\n  const",
        "if (call.freedoms['populated-output'] === 'refused') return extent_order === 0 && index > 0 ? newExtent(work) !== undefined && domain.unaddressed++ >= 0 : false;\n  }\n  const",
      ],
    ],
  ],
  [
    'a populate without memory is counted',
    ['reservation-effects'],
    [[file, 'if (mfn === undefined) return false;\n  for', 'if (mfn === undefined) return true;\n  for']],
  ],
  [
    'a populate without memory leaves the page charged',
    ['reservation-effects'],
    [
      [
        file,
        'if (call.allocations++ === call.inject.fail_alloc) return undefined;',
        'if (call.allocations++ === call.inject.fail_alloc) {\n    const lost = take(call.state.free, extent_order, Number.POSITIVE_INFINITY);\n    if (lost !== undefined) for (let j = 0; j < pages; j++) domain.owned.add(lost + j);\n    return undefined;\n  }',
      ],
    ],
  ],
  [
    'a populate has extents that lie one page off',
    ['reservation-contiguous'],
    [
      [
        file,
        takes,
        `const block = take(call.state.free, extent_order === 0 ? 0 : extent_order + 1, frameLimit(address_bits));
  const mfn = block === undefined || extent_order === 0 ? block : block + 1;
  if (block !== undefined && extent_order > 0) {
    releaseRun(call.state.free, block, 1);
    releaseRun(call.state.free, block + 1 + pages, pages - 1);
  }`,
      ],
      [file, "import { take } from './allocator.ts';", "import { releaseRun, take } from './allocator.ts';"],
    ],
  ],
  [
    'a populate limits its first extent only',
    ['reservation-limit'],
    [[file, takes, takes.replace('(address_bits)', '(call.allocations > 1 ? 0 : address_bits)')]],
  ],
  [
    'a populate passes its limit when memory below is short',
    ['reservation-limit'],
    [[file, takes, `${takes.slice(0, -1)} ?? take(call.state.free, extent_order, Number.POSITIVE_INFINITY);`]],
  ],
  [
    'a continued populate has no limit',
    ['reservation-limit'],
    [
      [
        file,
        'const mfn = newExtent(work);\n  if (mfn === undefined) return false;\n  for',
        'const mfn = newExtent({ ...work, address_bits: index > 0 ? 0 : work.address_bits });\n  if (mfn === undefined) return false;\n  for',
      ],
    ],
  ],
  [
    'a populate has no limit for extents of more than one page',
    ['reservation-limit'],
    [[file, takes, takes.replace('(address_bits)', '(extent_order > 0 ? 0 : address_bits)')]],
  ],
  ['an increase counts and gives nothing', ['reservation-effects'], [[file, increase, 'if (work.extent_order > 18) return false;']]],
  [
    'an increase gives one page an extent',
    ['reservation-effects'],
    [[file, increase, 'if (newExtent({ ...work, extent_order: 0 }) === undefined) return false;\n  work.domain.unaddressed++;']],
  ],
  [
    'an increase maps what it gives',
    ['reservation-effects'],
    [
      [
        file,
        increase,
        'const mfn = newExtent(work);\n  if (mfn === undefined) return false;\n  const free = [...work.domain.p2m.keys()].reduce((most, gfn) => Math.max(most, gfn), 0) + 1;\n  for (let j = 0; j < 2 ** work.extent_order; j++) mapPage(work.domain, free + j, mfn + j);',
      ],
    ],
  ],
  [
    'ops 0, 1, 6 write how many they did into the struct',
    ['no-stray-writes', 'reservation-list'],
    [
      [file, done, 'storeBytes(call.state, call.caller, at(call.arg + 8n), entryBytes(BigInt(done), 8));\n  return done;\n}'],
      [file, giveUpImport, giveUpImport.replace('{ giveUp', '{ at, giveUp').replace('mappableGfns }', 'mappableGfns, storeBytes }')],
      [file, "import type { GuestList } from '../guest/handle.ts';", "import { entryBytes, type GuestList } from '../guest/handle.ts';"],
    ],
  ],
  [
    'a populate clears the entry that it refuses',
    ['no-stray-writes', 'reservation-list'],
    [
      [file, done, "if (op === 'populate_physmap' && done < asked.nr_extents) writeEntry(call, work.list, done, 0);\n  return done;\n}"],
      [file, callImport, 'pagesOf, readEntries, readStruct, writeEntry }'],
    ],
  ],
  [
    'a decrease clears the entries that it has done',
    ['no-stray-writes', 'reservation-list'],
    [
      [file, gives, `${gives}\n  writeEntry(call, list, index, 0);`],
      [file, callImport, 'pagesOf, readEntries, readStruct, writeEntry }'],
    ],
  ],
  [
    'a decrease takes the pins of the pages beside',
    ['get-pinned'],
    [[file, gives, `${gives}\n  for (const gfn of bases) for (const page of [gfn - 1, gfn + pages]) domain.pins.delete(page);`]],
  ],
  [
    'a populate takes the pins of the pages beside',
    ['get-pinned'],
    [[file, maps, `${maps}\n    for (const page of [gpfn - 1, gpfn + pages]) domain.pins.delete(page);`]],
  ],
  [
    'clears the frame beside the one that is freed',
    ['no-stray-writes', 'isolation'],
    [[p2m, 'state.content.delete(mfn);\n  release', 'state.content.delete(mfn);\n  state.content.delete(mfn ^ 1);\n  release']],
  ],
]);
