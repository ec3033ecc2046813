export { type Arch, addressLimit, archNames, handleArgumentSize, isArch } from './abi/arch.ts';
export * from './abi/constants.ts';
export { type Gfn, gfn, type Mfn, mfn } from './abi/frames.ts';
export {
  type AnyStruct,
  compareLayouts,
  type Field,
  fieldOf,
  type Layout,
  layoutOf,
  type Member,
  type Padding,
  type StructLayout,
  type Within,
} from './abi/layout.ts';
export { isMemoryStruct, type MemoryStructName, memoryStructNames } from './abi/memory-h.ts';
export { argumentOf, type JudgedOp, judgedOp, opName, opNumber, type Profile, startExtent, XENMEM } from './abi/ops.ts';
export { isStructName, type StructName, structNames, structs, type UnionType, type Word } from './abi/structs.ts';
export type { ValueOf, XenGetDmaBuf, XenMemoryExchange, XenMemoryReservation, XenPutDmaBuf } from './abi/values.ts';
export { type Codecs, type CutValue, codecFor, type PaddingBytes, type StructCodec } from './codec/codec.ts';
export { AbiError, type AbiErrorKind } from './codec/errors.ts';
export { decodeHandleArgument, encodeHandleArgument, pointerOf, strayBits } from './codec/handle.ts';
export { fromHex, hex64, toHex } from './codec/hex.ts';
export { valueFromJson, valueJson } from './codec/json.ts';
export { entryRange, type GuestList, knownEntries, listBehind, readEntry } from './guest/handle.ts';
export { type ByteRange, type GuestMemory, type Piece, sparseMemory, unknownMemory } from './guest/memory.ts';
export type { Answer, Severity, Violation } from './rules/answer.ts';
export { type Finding, type Judgement, judge } from './rules/judge.ts';
export type { Blame, Rule } from './rules/rule.ts';
export { ruleOf, rules, rulesFor } from './rules/table.ts';
export { defaultSetting, type ObservedCall, observedCall, type P2m, type Setting } from './trace/call.ts';
export { InputError } from './trace/input-error.ts';
export { readTrace, type TraceItem } from './trace/read.ts';
