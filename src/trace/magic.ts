import type { Reader } from './reader.ts';

/** A kind of file by its first bytes (a point is any byte), and what to do with it. */
const magics: readonly (readonly [name: string, head: string, way: string])[] = [
  ['an ELF file', '\x7fELF', 'name the file to `xenmem layout check`, or dump the struct out of a core with gdb: x/72xb ADDR'],
  ['a kdump', 'KDUMP   ', 'run crash vmlinux FILE, then rd -64 ADDR 9, and give that output'],
  ['a kdump (makedumpfile flattened)', 'makedumpfile', 'run crash vmlinux FILE, then rd -64 ADDR 9, and give that output'],
  ['a kdump (of a disk dump)', 'DISKDUMP', 'run crash vmlinux FILE, then rd -64 ADDR 9, and give that output'],
  ['a UBI image', 'UBI#', 'extract the file from it first'],
  ['a zip archive', 'PK\x03\x04', 'run unzip -p FILE | xenmem decode -'],
  ['a PNG image', '\x89PNG', 'give the text, not a picture of it'],
  ['a JPEG image', '\xff\xd8\xff', 'give the text, not a picture of it'],
  ['a PDF document', '%PDF-', 'copy the text out of it'],
  ['an xz archive', '\xfd7zXZ\x00', 'run xz -dc FILE | xenmem decode -'],
  ['a bzip2 archive', 'BZh', 'run bzip2 -dc FILE | xenmem decode -'],
  ['a zstd archive', '\x28\xb5\x2f\xfd', 'run zstd -dc FILE | xenmem decode -'],
  ['an LZ4 archive', '\x04\x22\x4d\x18', 'run lz4 -dc FILE | xenmem decode -'],
  ['a gzip archive', '\x1f\x8b\x08', 'run gzip -dc on it first'],
  ['a bzImage or another PE image', 'MZ', 'run scripts/extract-vmlinux, or take /sys/kernel/btf/vmlinux, for `xenmem layout check`'],
  ['a bzImage', '\xea\x05\x00\xc0\x07', 'run scripts/extract-vmlinux, or take /sys/kernel/btf/vmlinux, for `xenmem layout check`'],
  ['BTF', '\x9f\xeb\x01', 'run xenmem layout check FILE'],
  ['perf data', 'PERFILE2', 'run perf script, and give that output'],
  ['a trace.dat of trace-cmd', '\x17\x08Dtracing', 'run trace-cmd report, and give that output'],
];

/** Files of other kinds, which no struct begins as: a list would not be aligned there. */
export const foreignFiles: readonly Reader[] = magics.map(([name, head, way]) => ({
  name,
  head: (bytes) => bytes.length > head.length && [...head].every((character, i) => bytes[i] === character.charCodeAt(0)),
  refusal: () => way,
}));
