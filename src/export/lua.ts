import { DOMID, domidName } from '../abi/constants.ts';
import type { StructLayout } from '../abi/layout.ts';
import { argumentOf } from '../abi/ops.ts';
import { luaBody } from './lua-body.ts';
import { luaChecks, luaDuties, luaHelpers } from './lua-checks.ts';
import { opsOf, originOf, warningOf } from './slots.ts';

/**
 * A dissector for Wireshark (tried with 4.0, Lua 5.2): a protocol per struct, field values with
 * names, and the findings that one struct can show, under the ids of our rules. Its first lines say
 * how bytes are fed to it.
 */
export function emitLua(layouts: readonly StructLayout[]): string {
  const [first] = layouts;
  if (!first) return '';
  const domids = [...new Set(Object.values(DOMID))].map((id) => `[${id}] = "${domidName(id)}"`);
  return `${[...origin(layouts), ...choices(layouts)].map((text) => (text === '' ? '--' : `-- ${text}`)).join('\n')}

local ARCH = "${first.arch}"
local DOMID = { ${domids.join(', ')} }

${luaHelpers}
local STRUCTS = {
${layouts.map(structText).join('\n')}
}

${luaBody}`;
}

function origin(layouts: readonly StructLayout[]): string[] {
  const [first] = layouts as [StructLayout];
  return [
    originOf('lua', layouts),
    ...warningOf(opsOf(layouts)),
    '',
    'A packet holds one struct. Bytes in a file of `od -Ax -tx1 -v`, one struct or many, each beginning at offset 0:',
    '',
    '  text2pcap -l 147 structs.txt structs.pcap              (USER0: the struct is told by its length)',
    `  text2pcap -P ${first.struct} structs.txt structs.pcap   (the struct is named)`,
    '  tshark -X lua_script:xenmem.lua -r structs.pcap -V',
    '',
    'As root Wireshark loads scripts only where its init.lua allows it; -X lua_script: always works.',
  ];
}

function choices(layouts: readonly StructLayout[]): string[] {
  const shared = [...new Set(layouts.map(({ size }) => size))].flatMap((size) => {
    const structs = layouts.filter((layout) => layout.size === size);
    return structs.length > 1 ? [{ size, structs }] : [];
  });
  if (shared.length === 0) return [];
  const say = shared.map(({ size, structs }) => {
    const names = structs.map((layout) => `${layout.struct}${isPreferred(layout) ? ' (default)' : ''}`).join(' or ');
    const last = structs.at(-1)?.struct;
    return `  ${size} bytes: ${names}   -o xenmem.bytes_${size}:${last}`;
  });
  return ['', 'Where several structs have one length, a preference of the protocol xenmem chooses:', '', ...say];
}

function structText(layout: StructLayout): string {
  const fields = [
    ...layout.fields.map((f) => ({ path: f.path, offset: f.offset, size: f.size, kind: kindOf(f.type) })),
    ...layout.padding.map((p) => ({ path: p.path, offset: p.offset, size: p.size, kind: 'padding' })),
  ].sort((a, b) => a.offset - b.offset);
  const ops = opsOf([layout]).map((op) => `${op.name} (${op.nr})`);
  return `  {
    name = "${layout.struct}", size = ${layout.size}, preferred = ${isPreferred(layout)},
    ops = "${ops.join(', ')}",
    fields = {
${fields.map((f) => `      { path = "${f.path}", offset = ${f.offset}, size = ${f.size}, kind = "${f.kind}" },`).join('\n')}
    },
    rules = {
${luaDuties(layout)
  .map(({ id, severity }) => `      ["${id}"] = "${severity}",`)
  .join('\n')}
    },
    check = function(v, pads, say)
${luaChecks(layout)
  .map((line) => `      ${line}`)
  .join('\n')}
    end,
  },`;
}

function kindOf(type: string): string {
  if (type === 'domid_t') return 'domid';
  if (type === 'unsigned int') return 'number';
  return type.startsWith('XEN_GUEST_HANDLE') ? 'handle' : 'word';
}

/** Of the structs of one length, the one taken by default: as `decode` does. */
function isPreferred({ struct }: StructLayout): boolean {
  return struct !== argumentOf.exchange && struct !== argumentOf.put_dma_buf;
}
