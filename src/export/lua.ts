import { isHandle, isWord } from '../abi/arch.ts';
import { DOMID, domidName } from '../abi/constants.ts';
import { type Field, isEverMeant, type Layout } from '../abi/layout.ts';
import { argumentOf } from '../abi/ops.ts';
import { isStructName } from '../abi/structs.ts';
import { claimIn } from '../rules/duties/dialect.ts';
import { meantClaim } from '../rules/duties/duties.ts';
import { luaBody } from './lua-body.ts';
import { lua, luaChecks, luaDuties, luaHelpers } from './lua-checks.ts';
import { opsOf, originOf, warningOf } from './slots.ts';

/**
 * A dissector for Wireshark (tried with 4.0, Lua 5.2): a protocol per struct, field values with
 * names, and the findings that one struct can show, under the ids of our rules. Its first lines say
 * how bytes are fed to it.
 */
export function emitLua(layouts: readonly Layout[]): string {
  const [first] = layouts;
  if (!first) return '';
  const domids = [...new Set(Object.values(DOMID))].map((id) => `[${id}] = "${domidName(id)}"`);
  return `${[...origin(layouts), ...choices(layouts)].map((text) => (text === '' ? '--' : `-- ${text}`)).join('\n')}

local ARCH = "${first.arch}"
local DOMID = { ${domids.join(', ')} }

${luaHelpers}
local STRUCTS = {
${layouts.map((layout) => structText(layout, layouts)).join('\n')}
}

${luaBody}`;
}

function origin(layouts: readonly Layout[]): string[] {
  const [first] = layouts as [Layout];
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

function choices(layouts: readonly Layout[]): string[] {
  const shared = [...new Set(layouts.map(({ size }) => size))].flatMap((size) => {
    const structs = layouts.filter((layout) => layout.size === size);
    return structs.length > 1 ? [{ size, structs }] : [];
  });
  if (shared.length === 0) return [];
  const say = shared.map(({ size, structs }) => {
    const chosen = preferredOf(structs);
    const names = structs.map((layout) => `${layout.struct}${layout === chosen ? ' (default)' : ''}`).join(' or ');
    const other = structs.findLast((layout) => layout !== chosen)?.struct;
    return `  ${size} bytes: ${names}   -o xenmem.bytes_${size}:${other}`;
  });
  return ['', 'Where several structs have one length, a preference of the protocol xenmem chooses:', '', ...say];
}

function structText(layout: Layout, layouts: readonly Layout[]): string {
  const fields = [
    ...layout.fields.filter(isEverMeant).map((f) => ({ ...f, size: f.size * f.count, kind: kindOf(f) })),
    ...layout.padding.map((p) => ({ ...p, kind: 'padding' })),
  ].sort((a, b) => a.offset - b.offset);
  const ops = opsOf([layout]).map((op) => `${op.name} (${op.nr})`);
  const preferred = layout === preferredOf(layouts.filter(({ size }) => size === layout.size));
  return `  {
    name = "${layout.struct}", size = ${layout.size}, preferred = ${preferred},
    ops = "${ops.join(', ') || 'the entry of a list'}",
    fields = {
${fields.map((f) => `      { path = "${f.path}", offset = ${f.offset}, size = ${f.size}, kind = "${f.kind}"${whenOf(layout, f)} },`).join('\n')}
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

function kindOf({ type, count }: Field): string {
  if (count > 1) return 'bytes';
  if (type === 'domid_t') return 'domid';
  if (isHandle(type)) return 'handle';
  return isWord(type) ? 'word' : 'number';
}

/** A member of a union is shown where it may be meant. */
function whenOf(layout: Layout, { within }: Pick<Field, 'within'>): string {
  const claim = meantClaim(within);
  return claim ? `, when = function(v) return ${claimIn(lua, layout, claim)} end` : '';
}

/** Of the structs of one length, the one taken by default: as `decode` does. */
function preferredOf(layouts: readonly Layout[]): Layout | undefined {
  const second: readonly string[] = [argumentOf.exchange, argumentOf.put_dma_buf];
  return layouts.find(({ struct }) => isStructName(struct) && !second.includes(struct)) ?? layouts[0];
}
