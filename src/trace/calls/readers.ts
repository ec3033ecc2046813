import { readNdjson } from '../ndjson.ts';
import type { Reader } from '../reader.ts';
import { toolOf } from './tool-of.ts';
import { type Tool, tools } from './tools.ts';

/** A reader for the lines of each tool. Records of a trace may stand among them. */
export const callReaders: readonly Reader[] = (Object.keys(tools) as Tool[]).map((tool) => ({
  name: tools[tool].name,
  format: 'calls',
  line: (text) => toolOf(text) === tool,
  open: (source, { flags, plain }) => ({ name: tools[tool].name, calls: readNdjson(source, { flags, plain, isLog: true }) }),
}));
