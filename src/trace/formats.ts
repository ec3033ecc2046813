/** The input formats, each with the name it is called by in messages (`read as hexdump -C`). */
export const inputFormats = {
  ndjson: 'an NDJSON trace',
  calls: 'a log with calls in it',
  pcapng: 'pcapng',
  pcap: 'pcap',
  raw: 'raw bytes',
  xxd: 'xxd',
  'xxd-p': 'xxd -p',
  hexdump: 'hexdump -C',
  hex: 'plain hex',
  dump: 'a dump of memory',
  list: 'a list of numbers',
  escapes: 'a string with escapes',
  base64: 'base64',
  ihex: 'Intel HEX',
  srec: 'S-records',
} as const;

/** The name of an input format, as a flag takes it. */
export type InputFormat = keyof typeof inputFormats;

/** Every input format, in the table's order. */
export const inputFormatNames: readonly InputFormat[] = Object.keys(inputFormats) as InputFormat[];
