import type { CType, StructName, structs } from './structs.ts';

type ScalarValue<T> = T extends 'unsigned int' | 'domid_t' ? number : T extends CType ? bigint : never;

/**
 * The decoded form of a struct: words that may hold 64 bits are `bigint`, 32- and 16-bit fields are
 * `number`.
 */
export type ValueOf<S extends StructName> = {
  -readonly [F in keyof (typeof structs)[S]]: (typeof structs)[S][F] extends `struct ${infer N extends StructName}`
    ? ValueOf<N>
    : ScalarValue<(typeof structs)[S][F]>;
};

export type XenMemoryReservation = ValueOf<'xen_memory_reservation'>;
export type XenMemoryExchange = ValueOf<'xen_memory_exchange'>;
export type XenGetDmaBuf = ValueOf<'xen_get_dma_buf'>;
export type XenPutDmaBuf = ValueOf<'xen_put_dma_buf'>;
