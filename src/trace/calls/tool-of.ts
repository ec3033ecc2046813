import { defaultSetting } from '../call.ts';
import { logLine } from './call-line.ts';
import type { Tool } from './tools.ts';

const bpftraceJson = /^\{"type": ?"[a-z_]+", ?"data": ?/;

/** The tool that is known to print a line, if any is. */
export function toolOf(line: string): Tool | undefined {
  return logLine(line, defaultSetting)?.tool ?? (bpftraceJson.test(line) ? 'bpftrace' : undefined);
}
