import { PAGE_SIZE } from '../abi/constants.ts';

const atOnce = 16;
let cut = new Uint8Array(0);

/**
 * A new page of zeros. Many are cut from one buffer, because making a buffer costs more than
 * filling a page.
 */
export function newPage(): Uint8Array {
  if (cut.length === 0) cut = new Uint8Array(atOnce * PAGE_SIZE);
  const page = cut.subarray(0, PAGE_SIZE);
  cut = cut.subarray(PAGE_SIZE);
  return page;
}
