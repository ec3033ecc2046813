import type { Arch } from '../../src/abi/arch.ts';
import type { Guests } from '../../src/model/xen/release.ts';
import type { StartedDomain } from './device-tree.ts';
import { doing, layout, lines } from './mailbox.ts';

/** How a hypervisor and a guest of it are got and started, for one architecture. */
export interface Setup {
  readonly arch: Arch;
  /** Who the guest is, in a few words. */
  readonly about: string;
  readonly guests: Guests;
  readonly domid: number;
  readonly privileged: boolean;
  /** Debian's name of the architecture, the package that holds the hypervisor, and where in it. */
  readonly debian: string;
  readonly hypervisor: { readonly package: string; readonly file: string };
  /** The compiler, by the prefix of its tools, what only this guest is made of, and how. */
  readonly tools: string;
  readonly sources: readonly string[];
  readonly flags: readonly string[];
  readonly script: string;
  /** Is the image the bytes alone, without the ELF around them? */
  readonly flat: boolean;
  readonly qemu: string;
  readonly qemuPackage: string;
  /** The arguments that are about the machine; the memory and the console are added. */
  readonly machine: (files: Files) => readonly string[];
  /** The domain that Xen starts by itself, told to it in a device tree; absent for a first domain. */
  readonly domain?: Omit<StartedDomain, 'size'>;
  /** The gfns that its p2m has room for, where those are fewer than the architecture has. */
  readonly mappable?: number;
  /** Requirements that this guest cannot show, and why. */
  readonly excused: { readonly [requirement: string]: string };
}

/** What is started. */
export interface Files {
  readonly hypervisor: string;
  readonly guest: string;
  /** The device tree, where there is a domain to be told in it. */
  readonly tree?: string;
}

const MiB = 1 << 20;
/** Bytes of each machine's memory. */
export const memory: number = 512 * MiB;

/** The options of QEMU for that memory, by what backs it. */
export function memoryOptions(backend: string): string[] {
  const size = `${memory / MiB}M`;
  return ['-m', size, '-object', `${backend},id=ram,size=${size}`];
}

const common = 'loglvl=warning guest_loglvl=none';

/** Bytes of a guest's free memory. */
const arenaBytes = 16 * MiB;
/** Where the mailbox and the guest's free memory lie, from the image on. */
const armPlaces = { MAILBOX_OFFSET: 8 * MiB, ARENA_OFFSET: 16 * MiB, ARENA_BYTES: arenaBytes };

/** As a 32-bit kernel that may lie anywhere is put at the end of its memory, they lie before it. */
const arm32Places = { MAILBOX_OFFSET: -8 * MiB, ARENA_OFFSET: -32 * MiB, ARENA_BYTES: arenaBytes };

/** The first domain may name others, and its pages lie where they lie. */
const directMapped = {
  'reservation-refuses-foreign-domid': 'needs an unprivileged caller',
  'reservation-contiguous': 'needs a guest that is not direct-mapped',
  'reservation-limit': 'needs a guest that is not direct-mapped',
} as const;

/** Two runs from one world need its frames to be the same. */
const sameFrames = 'needs a world that can be built twice to the frame';

/** A path in an option of QEMU: there a comma ends it, and two are one. */
function quoted(path: string): string {
  return path.replaceAll(',', ',,');
}

/** Debian's name of an architecture, and its Xen. */
function debianXen(debian: string, ending = ''): Pick<Setup, 'debian' | 'hypervisor'> {
  return { debian, hypervisor: { package: `xen-hypervisor-4.17-${debian}`, file: `boot/xen-4.17-${debian}${ending}` } };
}

/** Where QEMU puts the guest of an Arm Xen. */
const armGuest = 0x4900_0000;

/** What the guests of every Arm Xen have in common. */
const arm = { script: 'arm.lds', flat: true, qemuPackage: 'qemu-system-arm' } as const;

/** A first domain; on Arm it is direct-mapped. */
const first = { domid: 0, privileged: true } as const;
const firstOnArm = { ...first, guests: 'direct-mapped', excused: directMapped } as const;

function startedFirst({ hypervisor, guest }: Files): string[] {
  return [
    ...['-kernel', hypervisor, '-append', `console=dtuart dom0_mem=128M ${common}`],
    ...['-device', `guest-loader,addr=${armGuest},kernel=${quoted(guest)},bootargs=x`],
  ];
}

const arm64Machine = ['-machine', 'virt,virtualization=on,gic-version=3,memory-backend=ram', '-cpu', 'cortex-a57'] as const;

/** What the guests of a 64-bit Arm Xen have in common. */
const arm64 = {
  ...arm,
  ...debianXen('arm64'),
  tools: 'aarch64-linux-gnu-',
  sources: ['arm64.S', 'arm.c'],
  flags: ['-mgeneral-regs-only', '-mstrict-align', ...defines(armPlaces)],
  qemu: 'qemu-system-aarch64',
  // Seen on a Cortex-A57: frame 2^32 + 0x41004 is mapped, 2^40 - 1 is not. Tables of four levels reach 48 bits.
  mappable: 2 ** 36,
} as const;

/** The set-ups by name: the architecture, and the guest where it is no first domain. */
export const setups = {
  arm64: {
    arch: 'arm64',
    about: 'dom0, direct-mapped, GICv3',
    ...firstOnArm,
    ...arm64,
    machine: (files) => [...arm64Machine, ...startedFirst(files)],
  },
  'arm64-domu': {
    arch: 'arm64',
    about: 'domU without a dom0, GICv3',
    guests: 'translated',
    domid: 1,
    privileged: false,
    ...arm64,
    machine: ({ hypervisor, guest, tree = '' }) => [
      ...arm64Machine,
      ...['-kernel', hypervisor, '-dtb', tree, '-device', `loader,file=${quoted(guest)},addr=${armGuest},force-raw=on`],
    ],
    domain: { bootargs: 'console=dtuart loglvl=warning guest_loglvl=none/all', address: armGuest, memory: 128 * MiB },
    excused: {
      'reservation-effects': 'needs the capability translate',
      'get-ignores-in-address-bits': sameFrames,
      'put-ignores-address-bits': sameFrames,
    },
  },
  arm32: {
    arch: 'arm32',
    about: 'dom0, direct-mapped, GICv2',
    ...firstOnArm,
    ...arm,
    ...debianXen('armhf'),
    tools: 'arm-linux-gnueabihf-',
    sources: ['arm32.S', 'arm.c'],
    flags: ['-marm', '-march=armv7ve', '-mfloat-abi=soft', '-mno-unaligned-access', ...defines(arm32Places)],
    qemu: 'qemu-system-arm',
    machine: (files) => [
      ...['-machine', 'virt,virtualization=on,gic-version=2,highmem=off,memory-backend=ram', '-cpu', 'cortex-a15'],
      ...startedFirst(files),
    ],
  },
  x86_64: {
    arch: 'x86_64',
    about: 'PV dom0',
    guests: 'pv',
    ...first,
    ...debianXen('amd64', '.gz'),
    tools: 'x86_64-linux-gnu-',
    sources: ['x86_64.S', 'x86_64.c'],
    flags: ['-m64', '-mno-red-zone', '-mgeneral-regs-only', '-fcf-protection=none', ...defines({ ARENA_BYTES: arenaBytes })],
    script: 'x86_64.lds',
    flat: false,
    qemu: 'qemu-system-x86_64',
    qemuPackage: 'qemu-system-x86',
    machine: ({ hypervisor, guest }) => [
      ...['-machine', 'pc,accel=tcg,memory-backend=ram', '-cpu', 'max', '-vga', 'none'],
      ...['-kernel', hypervisor, '-append', `xen console=com1 com1=115200,8n1 dom0_mem=128M ${common}`],
      ...['-initrd', `${quoted(guest)} x`],
    ],
    excused: {
      'reservation-refuses-foreign-domid': 'needs an unprivileged caller',
      'get-refuses-foreign-domid': 'needs an unprivileged caller',
      'get-new-pages': 'needs a guest whose p2m Xen keeps',
      'get-inputs-released': 'needs a guest whose p2m Xen keeps',
      'get-same-gfn': 'needs a guest whose p2m Xen keeps',
      'reservation-effects': 'needs a guest whose p2m Xen keeps',
      'reservation-contiguous': 'needs a guest whose p2m Xen keeps',
      'get-ignores-in-address-bits': sameFrames,
    },
  },
} as const satisfies { readonly [name: string]: Setup };

export type SetupName = keyof typeof setups;

/** Every number that the guest's sources take from here, as options of the compiler. */
export const shared: readonly string[] = [
  ...defines({
    MAILBOX_PAGES: layout.pages,
    MAILBOX_BELL: layout.bell,
    MAILBOX_DONE: layout.done,
    MAILBOX_REQUEST: layout.request,
    MAILBOX_REPLY: layout.reply,
  }),
  `-DMAILBOX_MAGIC=${layout.magic}ull`,
  `-DMAILBOX_READY="${lines.ready}"`,
  `-DMAILBOX_BROKEN="${lines.broken}"`,
  ...Object.entries(doing).map(([name, number]) => `-DDO_${name.toUpperCase()}=${number}`),
];

function defines(numbers: { readonly [name: string]: number }): string[] {
  return Object.entries(numbers).map(([name, number]) => `-D${name}=${number}`);
}
