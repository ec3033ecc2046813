/**
 * A folder of sources: what it is, in one sentence, and the rooms that its files may import, tests
 * left out.
 */
export interface Room {
  readonly says: string;
  readonly imports: readonly string[];
}

/**
 * Who may import whom, by folder; a file belongs to the deepest room that it lies in. A room
 * imports rooms above it in this order. `rooms.test.ts` holds every file against this, `npm run
 * rooms` shows it.
 */
export const rooms: { readonly [room: string]: Room } = {
  'src/abi': {
    says: 'Tables say what the bytes are: structs, C types, layout, op numbers, constants.',
    imports: [],
  },
  'src/codec': {
    says: 'Values become bytes and bytes values; `engine.ts` is the only file that imports restructure.',
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
  'src/text': {
    says: 'It writes what a person reads of a struct, a call and a rule, and the same as JSON.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/rules'],
  },
  'src/export': {
    says: 'It writes for other tools: the tables as C, Rust, Lua, gdb and JSON, and scripts that capture calls.',
    imports: ['src/abi', 'src/rules', 'src/text'],
  },
  'src/export/built': {
    says: 'It reads the types of what was built (BTF, DWARF; ELF, archives, images) and compares them with `abi`, which is all it knows.',
    imports: ['src/abi'],
  },
  src: {
    says: '`index.ts` is the library, as the package exports it.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/rules'],
  },
  'conformance/protocol': {
    says: 'It says what an implementation under test is asked and answers, and talks to one: here, in a process, or the model itself.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/text', 'src/model', 'src/model/xen'],
  },
  'conformance/scenario': {
    says: 'It makes what is played of a list of numbers: a world, calls, and a token to play them again.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'conformance/protocol'],
  },
  'conformance/observe': {
    says: 'It plays a scenario and keeps what is seen of guest memory; it judges nothing.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'conformance/protocol', 'conformance/scenario'],
  },
  'conformance/twin': {
    says: 'It plays the model along beside a foreign implementation, as the second oracle, and imports no rules.',
    imports: [
      'src/abi',
      'src/codec',
      'src/guest',
      'src/trace',
      'src/model',
      'conformance/protocol',
      'conformance/scenario',
      'conformance/observe',
    ],
  },
  'conformance/verdict': {
    says: 'It says what was seen: both oracles are asked, answers are counted and summed up to a result.',
    imports: [
      'src/abi',
      'src/codec',
      'src/guest',
      'src/trace',
      'src/rules',
      'src/text',
      'conformance/protocol',
      'conformance/scenario',
      'conformance/observe',
      'conformance/twin',
    ],
  },
  'conformance/report': {
    says: 'It shows a result and does not make it: text, JSON, JUnit, KTAP, SARIF, GitHub, Markdown, HTML, traceability.',
    imports: [
      'src/abi',
      'src/codec',
      'src/guest',
      'src/trace',
      'src/rules',
      'src/text',
      'src/export',
      'conformance/scenario',
      'conformance/verdict',
    ],
  },
  conformance: {
    says: '`run.ts` draws, plays and counts, `worlds.ts` plays in other worlds too, `counterexample.ts` makes smaller, `jobs.ts` does so in several processes, and `index.ts` is what a module author imports.',
    imports: [
      'src/abi',
      'src/codec',
      'src/trace',
      'src/rules',
      'conformance/protocol',
      'conformance/scenario',
      'conformance/observe',
      'conformance/verdict',
    ],
  },
  'conformance/search': {
    says: 'It visits every state of a small scope.',
    imports: ['src/abi', 'src/codec', 'src/guest', 'src/trace', 'src/rules', 'src/model', 'conformance/verdict', 'conformance/protocol'],
  },
  'conformance/faults': {
    says: 'Faulty hypervisors are edits of the model, others are unusual and right; here both are, with the measured strength.',
    imports: ['src/rules', 'src/model', 'conformance/protocol', 'conformance/scenario', 'conformance/verdict'],
  },
  'conformance/golden': {
    says: 'The golden cases are made, stored, checked, copied and promoted here.',
    imports: [
      'src/abi',
      'src/codec',
      'src/guest',
      'src/trace',
      'src/rules',
      'conformance/protocol',
      'conformance/scenario',
      'conformance/observe',
      'conformance/verdict',
      'conformance/faults',
    ],
  },
  'conformance/live': {
    says: 'It fetches and starts a real Xen under QEMU, with a guest that does what it is told; the reference of that release follows each call.',
    imports: [
      'src/abi',
      'src/codec',
      'src/guest',
      'src/trace',
      'src/model',
      'src/model/xen',
      'conformance/protocol',
      'conformance/scenario',
      'conformance/observe',
      'conformance/twin',
      'conformance/verdict',
    ],
  },
  'conformance/examples': {
    says: 'The same small hypervisor is written in C, Python and TypeScript, and imports the package by its name only.',
    imports: [],
  },
  'conformance/tools': {
    says: 'Programs of developers: `agree.ts` asks on random calls whether the two oracles agree.',
    imports: ['conformance/protocol', 'conformance/scenario', 'conformance/verdict', 'conformance/search'],
  },
  'conformance/tools/exports': {
    says: 'C compilers, tshark, gdb and rustc hold the emitted tables against ours.',
    imports: ['src/abi', 'src/codec', 'src/trace', 'src/rules', 'src/export'],
  },
  'conformance/tools/layout': {
    says: 'C compilers and a built kernel hold the layouts against ours; there is no TypeScript in it.',
    imports: [],
  },
  'conformance/tools/docs': {
    says: 'It writes the pages of docs/ that are made from tables and docstrings.',
    imports: ['src/abi', 'src/rules', 'src/text', 'conformance/verdict'],
  },
  'conformance/tools/bench': {
    says: 'It measures speed.',
    imports: [
      'src/codec',
      'src/trace',
      'src/rules',
      'conformance/protocol',
      'conformance/scenario',
      'conformance/observe',
      'conformance/verdict',
      'conformance/search',
      'conformance/faults',
    ],
  },
  'conformance/tools/rooms': {
    says: 'This table of rooms is held against every file.',
    imports: [],
  },
  bin: {
    says: 'The command line takes arguments and gives an exit code; it knows no model.',
    imports: [
      'src/abi',
      'src/codec',
      'src/guest',
      'src/trace',
      'src/rules',
      'src/text',
      'src/export',
      'src/export/built',
      'conformance/protocol',
      'conformance/scenario',
      'conformance/observe',
      'conformance/verdict',
      'conformance/report',
      'conformance',
      'conformance/search',
      'conformance/faults',
      'conformance/golden',
      'conformance/live',
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
