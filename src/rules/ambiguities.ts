/** A point that the texts leave open, and what is done about it. */
export interface Ambiguity {
  readonly id: string;
  /** The sentence that leaves it open, letter for letter, or that there is none. */
  readonly sentence: string;
  readonly question: string;
  /** Every reading that is accepted. */
  readonly readings: readonly string[];
  /** What the reference model does. */
  readonly ours: string;
  /**
   * How to play the model with another reading, or one that takes it: what to type, one or another.
   * None where nothing does.
   */
  readonly switch: readonly string[];
}

const points = [
  {
    id: 'nothing-to-exchange',
    sentence: '@in.nr_extents << @in.extent_order == @out.nr_extents << @out.extent_order',
    question: 'nr_extents is 0, on both sides or of a put',
    readings: [
      '0 with nr_exchanged 0',
      '0 before the domain or the order is even looked at (the domain: op 11 of Xen 4.17)',
      '-errno, with nothing changed: no sentence says that nothing can be exchanged',
    ],
    ours: 'accepted, after every other check',
    switch: [],
  },
  {
    id: 'misaligned-frame',
    sentence: 'size/alignment of each (2^extent_order pages)',
    question: 'a frame in a list is not a multiple of 2^extent_order',
    readings: ['accepted: the pages are taken one by one, as real Xen does', 'refused with -EINVAL'],
    ours: 'accepted',
    switch: ['--reference misaligned-frame=refused'],
  },
  {
    id: 'count-not-zero',
    sentence: 'THIS FIELD MUST BE INITIALISED TO ZERO BY THE CALLER!',
    question: 'nr_exchanged is not zero on entry',
    readings: ['refused with -EINVAL', 'taken as the point to resume from: the entries before it are skipped and counted as done'],
    ours: 'refused (-EINVAL)',
    switch: ['--reference count-not-zero=resumed'],
  },
  {
    id: 'start-extent-bits',
    sentence: '(no sentence: the comment does not speak of cmd)',
    question: 'cmd of op 26, 27 or 11 carries a start_extent',
    readings: ['refused with -EINVAL', 'refused with -ENOSYS: unimplemented', 'ignored'],
    ours: 'refused (-EINVAL)',
    switch: ['--reference start-extent-bits=ignored', '--reference start-extent-bits=unimplemented'],
  },
  {
    id: 'dirty-handle',
    sentence: '(no sentence: set_xen_guest_handle zeroes the word first)',
    question: 'arm32: the high half of a handle is not zero',
    readings: ['ignored: the pointer is the low half', 'refused with -EFAULT'],
    ours: 'ignored',
    switch: ['--reference dirty-handle=refused'],
  },
  {
    id: 'own-number',
    sentence: 'Unprivileged domains can specify only DOMID_SELF',
    question: 'an unprivileged caller writes its own number where the comment allows only DOMID_SELF, in both reservations',
    readings: ['accepted: it is the same domain', 'refused with -EPERM: the comment to the letter'],
    ours: 'accepted',
    switch: ['--reference own-number=refused'],
  },
  {
    id: 'populated-output',
    sentence: '@out.extent_start lists GPFN bases to be populated',
    question: 'an output frame is mapped already, and no input of the same chunk or an earlier one',
    readings: ['overwritten: the old page stays owned and unmapped', 'refused with -EINVAL or -EEXIST before any effect'],
    ours: 'refused (-EINVAL)',
    switch: ['--reference populated-output=overwritten'],
  },
  {
    id: 'put-not-pinned',
    sentence: 'unpins a set of pages, previously pinned by XENMEM_get_dma_buf',
    question: 'put lists a page that is not pinned',
    readings: ['0, nothing to do', '-errno with nothing changed'],
    ours: 'refused (-EINVAL)',
    switch: ['--reference put-not-pinned=accepted'],
  },
  {
    id: 'put-partly-pinned',
    sentence: 'unpins a set of pages, previously pinned by XENMEM_get_dma_buf',
    question: 'put lists pages of which some are pinned and some are not',
    readings: ['all or nothing', 'those before the first that is not pinned are unpinned'],
    ours: 'all or nothing',
    switch: ['--reference put-partly-pinned=prefix'],
  },
  {
    id: 'order-too-big',
    sentence: '(no sentence: the reservation comment gives no limit)',
    question: 'which errno an order above every limit gets',
    readings: ['-EINVAL', '-EPERM', 'another errno, with nothing changed'],
    ours: 'refused (-EINVAL)',
    switch: ['npm run faults -- show has an errno of its own for everything'],
  },
  {
    id: 'late-fault',
    sentence: 'On partial success @nr_exchanged indicates how much work was done.',
    question: 'a later input cannot be exchanged: are the chunks before it done',
    readings: ['part-way: the chunks before it are done and counted', 'refused up front with nothing done'],
    ours: 'part-way',
    switch: ['--reference late-fault=up-front'],
  },
  {
    id: 'bad-list',
    sentence: 'On partial success @nr_exchanged indicates how much work was done.',
    question: 'part of a list does not lie in guest memory: are the chunks before it done',
    readings: ['refused up front with nothing done', 'part-way: the chunks before it are done and counted'],
    ours: 'refused up front (-EFAULT)',
    switch: ['--reference bad-list=part-way'],
  },
  {
    id: 'later-input',
    sentence: '@out.extent_start lists GPFN bases to be populated',
    question: 'an output extent overlaps an input extent of a later chunk, which would take the new page away again',
    readings: ['refused up front: the caller is in error', 'not looked for: the later chunk does what it can, or fails'],
    ours: 'refused (-EINVAL)',
    switch: ['--reference later-input=accepted'],
  },
  {
    id: 'first-errno',
    sentence: 'Returns zero on complete success, otherwise a negative error code.',
    question: 'several things are wrong: which errno comes first',
    readings: ['any of those that apply'],
    ours: 'struct, count, domids, order, extents, sizes, lists, domain',
    switch: ['npm run faults -- show checks in the reverse order'],
  },
  {
    id: 'complete-and-negative',
    sentence: 'If not all input exents are exchanged then the return code of this command will be non-zero.',
    question: 'rc is negative although nr_exchanged is in.nr_extents: the sentence has no converse',
    readings: ['allowed where get-works does not bind, as when nr_exchanged was written and something failed after it'],
    ours: 'only where the last chunk takes away the page of the output list',
    switch: [],
  },
  {
    id: 'more-limits',
    sentence: '(no sentence)',
    question: 'limits of an implementation: order, nr_extents above 0x3ffffff, 2^32 pages and more in all',
    readings: ['an errno with nothing changed'],
    ours: 'order 9 for an unprivileged caller, nr_extents 0x3ffffff',
    switch: ['--reference more-limits=max_order:1', '--reference more-limits=max_extents:2'],
  },
  {
    id: 'preemption',
    sentence: '(no sentence)',
    question: 'after how much work a call is preempted and continued',
    readings: ['anywhere between two chunks', 'never'],
    ours: 'only where it is asked for',
    switch: ['npm run faults -- show is preempted after every chunk'],
  },
  {
    id: 'guest-changes-pinned',
    sentence: 'it\'s guaranteed that their p2m mapping won\'t be changed until explicitly "unpinned".',
    question: 'the guest itself asks to change a pinned page: exchange, get, decrease, populate, add_to_physmap',
    readings: ['refused: the guarantee binds everybody', 'allowed: the guarantee binds the hypervisor, not the guest'],
    ours: 'refused (-EINVAL)',
    switch: ['--reference guest-changes-pinned=accepted'],
  },
  {
    id: 'which-frames',
    sentence: 'it exchanges the pages passed in with a new set of pages',
    question: 'which frames the allocator picks',
    readings: ['any that satisfy size, alignment and limit, also ones that another guest has just freed'],
    ours: 'from the top, as Xen does',
    switch: ['npm run faults -- show takes memory from the bottom'],
  },
  {
    id: 'mfn-or-gmfn',
    sentence: '@out.extent_list provides the MFNs; @out.extent_start is overwritten with allocated GMFN bases',
    question: 'what a translated guest is told: "MFN" in one sentence, "GMFN" in the other, and a list that has another name',
    readings: ['machine frame numbers in the list behind out.extent_start'],
    ours: 'machine frame numbers: a guest frame number it knows already, and a device needs the other; the exchange of Xen on Arm never writes any (requirement get-mfns-returned says what that breaks)',
    switch: [],
  },
  {
    id: 'reservation-negative',
    sentence: 'Returns the number of extents successfully allocated or freed',
    question: 'ops 0, 1 and 6 fail before any extent',
    readings: ['a count: start_extent, as every released Xen answers', 'a negative errno that the public header knows'],
    ours: 'a count',
    switch: [],
  },
  {
    id: 'spontaneous-move',
    sentence: 'the p2m mapping of the pages can be transparently changed by the hypervisor, as usual',
    question:
      'when a page that is not pinned gets another frame: only where a test moves pages, or at any time, in the middle of a call too',
    readings: ['whenever pages are moved', 'at any time, its content and owner kept'],
    ours: 'only where it is asked for',
    switch: ['--reference spontaneous-move=in-calls'],
  },
  {
    id: 'neighbour-of-pinned',
    sentence: 'the p2m mapping of the pages can be transparently changed by the hypervisor, as usual',
    question: 'is a page moved while the one beside it is pinned',
    readings: ['moved like any other', 'left where it is: what is mapped as one piece is moved as one'],
    ours: 'moved',
    switch: ['--reference neighbour-of-pinned=left'],
  },
] as const satisfies readonly Ambiguity[];

/** The id of a point that the texts leave open. */
export type AmbiguityId = (typeof points)[number]['id'];

/**
 * Where an implementation is free. None of these readings is ever blamed; which one a run has seen
 * stands in its result.
 */
export const ambiguities: readonly Ambiguity[] = points;

/** The point with this id. */
export function ambiguityOf(id: string): Ambiguity | undefined {
  return ambiguities.find((ambiguity) => ambiguity.id === id);
}

/** What can be typed, each command by itself. */
export function commandsText(commands: readonly string[]): string {
  return commands.length > 0 ? commands.map((command) => `\`${command}\``).join(' or ') : 'no other can be played';
}
