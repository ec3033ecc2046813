/** A folder of sources: what it is, in one sentence, and the rooms that its files may import, tests left out. */
export interface Room {
  readonly says: string;
  readonly imports: readonly string[];
}

/**
 * Who may import whom, by folder; a file belongs to the deepest room that it lies in. A room imports rooms above it in this order, and
 * only `conformance` and its own folders import each other. `rooms.test.ts` holds every file against this, `npm run rooms` shows it.
 */
export const rooms: { readonly [room: string]: Room } = {
  'src/abi': {
    says: 'Tables say what the bytes are: structs, C types, layout, op numbers, constants.',
    imports: [],
  },
  'src/btf': {
    says: 'It reads the types of a built kernel and compares them with `abi`, which is all it knows.',
    imports: ['src/abi'],
  },
  'src/codec': {
    says: 'Values become bytes and bytes values; `engine.ts` is the only file that imports restructure.',
    imports: ['src/abi'],
  },
  'src/export': {
    says: 'It writes the scripts that capture calls with other tools, sizes and numbers from `abi`.',
    imports: ['src/abi'],
  },
  'src/guest': {
    says: 'It holds guest memory, lists behind handles, and what a world is, and does not know who uses them.',
    imports: ['src/abi', 'src/codec'],
  },
  'src/trace': {
    says: 'It reads observed calls in each format, finds the format out and writes them; it does not judge them.',
    imports: ['src/abi', 'src/codec', 'src/guest'],
  },
  'src/rules': {
    says: 'The first oracle, the document: requirements on the hypervisor, duties of the caller, and the facts of a call; it knows no model.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace'],
  },
  'src/model': {
    says: 'The second oracle, the reference hypervisor: guards, then effects, with its readings in `freedoms.ts`; it knows no rules.',
    imports: ['src/abi', 'src/codec', 'src/guest'],
  },
  'src/model/xen': {
    says: 'It tells memory_op as the released Xens have it.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/model'],
  },
  'src/report': {
    says: 'It shows results and does not make them: text, JSON, JUnit, KTAP, SARIF, GitHub, Markdown, HTML; tables for other languages; pages of docs/.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/rules'],
  },
  src: {
    says: '`index.ts` is the library, as the package exports it.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/rules'],
  },
  conformance: {
    says: 'The suite plays, observes, judges and counts; `index.ts` is what a module author imports, and it does not know the command line.',
    imports: [
      'src/abi',
      'src/codec',
      'src/guest',
      'src/trace',
      'src/rules',
      'src/model',
      'src/model/xen',
      'src/report',
      'conformance/client',
      'conformance/prediction',
      'conformance/exhaustive',
    ],
  },
  'conformance/client': {
    says: 'It talks to who is tested: the protocol, the process, time limits, jobs.',
    imports: ['src/abi', 'src/codec', 'src/trace', 'src/report', 'conformance'],
  },
  'conformance/prediction': {
    says: 'It plays the model along beside a foreign implementation, as the second oracle, and imports no rules.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/model', 'conformance'],
  },
  'conformance/exhaustive': {
    says: 'It visits every state of a small scope.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/rules', 'src/model', 'conformance'],
  },
  'conformance/faults': {
    says: 'Faulty hypervisors are edits of the model, others are unusual and right; here both are, with the measured strength.',
    imports: ['src/rules', 'src/model', 'conformance'],
  },
  'conformance/golden': {
    says: 'The golden cases are made, stored, checked, copied and promoted here.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/rules', 'conformance', 'conformance/faults'],
  },
  'conformance/examples': {
    says: 'The same small hypervisor is written in C, Python and TypeScript, and imports the package by its name only.',
    imports: [],
  },
  'conformance/exports': {
    says: 'C compilers, tshark, gdb and rustc hold the emitted tables against ours.',
    imports: ['src/abi', 'src/codec', 'src/trace', 'src/rules', 'src/report'],
  },
  'conformance/layout': {
    says: 'C compilers and a built kernel hold the layouts against ours; there is no TypeScript in it.',
    imports: [],
  },
  'conformance/bench': {
    says: 'It measures speed.',
    imports: ['src/codec', 'src/trace', 'src/rules', 'conformance', 'conformance/client', 'conformance/faults'],
  },
  'conformance/rooms': {
    says: 'This table of rooms is held against every file.',
    imports: [],
  },
  bin: {
    says: 'The command line takes arguments and gives an exit code; it knows no model.',
    imports: [
      'src/abi',
      'src/btf',
      'src/codec',
      'src/export',
      'src/guest',
      'src/trace',
      'src/rules',
      'src/report',
      'conformance',
      'conformance/client',
      'conformance/faults',
      'conformance/golden',
    ],
  },
};

/** The room of a file, by its path in the repository; `undefined` where it lies in none. */
export function roomOf(file: string): string | undefined {
  const holding = Object.keys(rooms).filter((room) => file.startsWith(`${room}/`));
  return holding.sort((a, b) => b.length - a.length)[0];
}

/** The rooms as a table of Markdown, for docs/architecture.md. */
export function roomsTable(): string {
  const named = (imports: readonly string[]): string => imports.map((room) => `\`${room.replace(/^src\//, '')}\``).join(', ') || 'nothing';
  const rows = Object.entries(rooms).map(([room, { says, imports }]) => `| \`${room}\` | ${says} | ${named(imports)} |`);
  return ['| room | what it is | may import |', '|---|---|---|', ...rows].join('\n');
}
