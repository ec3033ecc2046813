#!/usr/bin/env python3
"""A small hypervisor that speaks xenmem's implementation protocol, to be copied: keep `serve` and the answers, at the end, and
put your own hypervisor in place of `Machine`. Python 3.8 or later, the standard library only.

    xenmem conform --iut 'python3 iut.py'
    xenmem conform --iut 'python3 iut.py --fault count-short'          (or FAULT=count-short in the environment)

    fault              what goes wrong                                 requirement it breaks
    count-short        nr_exchanged is one too small on success        get-complete-count
    mfns-not-returned  the output list keeps its GPFNs                 get-mfns-returned
    not-contiguous     the pages of an extent are mapped in reverse    get-contiguous
    above-limit        out.address_bits is not looked at               get-address-limit
    inputs-kept        input pages stay with the guest                 get-inputs-released
    no-pin             get does not pin                                get-pinned
    put-keeps-pin      put answers 0 and unpins nothing                put-unpins
    always-einval      get refuses every call                          get-works
    crash-on-order     an order of 64 or more is a crash               survives
"""

import json
import os
import struct
import sys
from collections import namedtuple

FAULT = sys.argv[2] if sys.argv[1:2] == ["--fault"] else os.environ.get("FAULT")

EPERM, ESRCH, ENOMEM, EFAULT, EINVAL, ENOSYS = 1, 3, 12, 14, 22, 38
COMMANDS = {"exchange": 11, "get_dma_buf": 26, "put_dma_buf": 27}
DOMID_SELF = 0x7FF0
PAGE_SIZE = 4096
MAX_ORDER = 9
MAX_EXTENTS = 0x3FFFFFF
MAX_PAGES = 4096
FOUR_GIB = 0x100000  # as a frame number
NO_LIMIT = 1 << 64

# Little-endian on every guest; the last 6 bytes are padding. A guest handle has 8 bytes on arm32 too.
RESERVATION = struct.Struct("<QQIIH6x")
NR_EXCHANGED = 2 * RESERVATION.size
Reservation = namedtuple("Reservation", "extent_start nr_extents extent_order address_bits domid")


class Refused(Exception):
    """The hypercall is refused, with this errno of Xen's."""

    def __init__(self, errno):
        super().__init__(errno)
        self.errno = errno


class NotRam(Exception):
    """An address range does not lie in the guest's memory."""


class BadRequest(Exception):
    """Not a request of the protocol, or more than this example can do."""


class Domain:
    """A guest: what its gfns lead to, and which of them are pinned."""

    def __init__(self, domid, privileged):
        self.domid = domid
        self.privileged = privileged
        self.gfns = set()  # all that can ever be mapped
        self.p2m = {}
        self.pinned = set()
        self.changed = {}  # gfn -> the bytes of it, from and to, that the hypervisor has changed since it was last asked


class Machine:
    """Machine memory and the guests in it, and memory_op."""

    def __init__(self, arch, domains, free):
        self.address_end = 1 << (32 if arch == "arm32" else 64)
        self.content = {}  # mfn -> bytes; any other frame is zero
        self.domains = {}
        ram = []
        for wish in domains:
            domain = self.domains[wish["domid"]] = Domain(wish["domid"], wish["privileged"])
            for kind in ("ram", "holes"):
                for run in wish[kind]:
                    if len(domain.gfns) + run["pages"] > MAX_PAGES:
                        raise BadRequest("more memory than this example has")
                    gfns = range(int(run["gfn"], 0), int(run["gfn"], 0) + run["pages"])
                    domain.gfns.update(gfns)
                    ram += [(domain, gfn) for gfn in gfns if kind == "ram"]
        # RAM takes high and low frames in turn, from the top: no two gfns in a row are contiguous, and none is its own frame.
        low = 0x80000 + free["low"] + len(ram) // 2
        high = FOUR_GIB + free["high"] + len(ram) - len(ram) // 2
        for i, (domain, gfn) in enumerate(ram):
            domain.p2m[gfn] = low - i // 2 - 1 if i % 2 else high - i // 2 - 1
        self.free = {*range(0x80000, 0x80000 + free["low"]), *range(FOUR_GIB, FOUR_GIB + free["high"])}

    # Machine memory

    def allocate(self, order, limit):
        """The first of 2^order free frames in a row, aligned to their number, all below `limit`; None if there are none."""
        size = 1 << order
        aligned = (mfn for mfn in self.free if mfn % size == 0 and mfn + size <= limit)
        mfn = max((mfn for mfn in aligned if all(mfn + j in self.free for j in range(size))), default=None)
        if mfn is not None:
            self.free.difference_update(range(mfn, mfn + size))
        return mfn

    def allocate_extent(self, reservation):
        """Frames for an extent. "under 4G if so requested": below 2^(address_bits - 12)."""
        bits = reservation.address_bits & 0xFF
        limit = NO_LIMIT if bits == 0 or FAULT == "above-limit" else (1 << bits) >> 12
        wanted = self.fail_alloc != self.allocations
        self.allocations += 1
        mfn = self.allocate(reservation.extent_order, limit) if wanted else None
        if mfn is None:
            raise Refused(ENOMEM)
        return mfn

    def release(self, mfn):
        """No guest may see what another one left behind, so a frame is cleared."""
        self.content.pop(mfn, None)
        self.free.add(mfn)

    def map(self, domain, gfn, mfn):
        domain.p2m[gfn] = mfn
        domain.changed[gfn] = (0, PAGE_SIZE)

    def unmap(self, domain, gfn):
        """A pin goes with the mapping that it was on."""
        self.release(domain.p2m.pop(gfn))
        domain.pinned.discard(gfn)
        domain.changed[gfn] = (0, PAGE_SIZE)

    # Guest memory: any range may be misaligned, cross pages or lie in a hole

    def pieces(self, domain, address, length):
        """A range as (gfn, offset, length) for each page of it, once all of it is known to be RAM."""
        if address + length > self.address_end:
            raise NotRam
        found = []
        while length > 0:
            gfn, offset = divmod(address, PAGE_SIZE)
            if gfn not in domain.p2m:
                raise NotRam
            part = min(length, PAGE_SIZE - offset)
            found.append((gfn, offset, part))
            address += part
            length -= part
        return found

    def read(self, domain, address, length):
        zero = bytes(PAGE_SIZE)
        pieces = self.pieces(domain, address, length)
        return b"".join(self.content.get(domain.p2m[gfn], zero)[at : at + part] for gfn, at, part in pieces)

    def write(self, domain, address, data, by_guest=False):
        done = 0
        for gfn, offset, part in self.pieces(domain, address, len(data)):
            page = self.content.setdefault(domain.p2m[gfn], bytearray(PAGE_SIZE))
            page[offset : offset + part] = data[done : done + part]
            done += part
            if not by_guest:
                start, end = domain.changed.get(gfn, (PAGE_SIZE, 0))
                domain.changed[gfn] = (min(start, offset), max(end, offset + part))

    # The hypercall

    def memory_op(self, caller, cmd, arg, inject):
        """What the guest finds in its register."""
        self.fail_alloc = inject.get("fail_alloc")
        self.allocations = 0
        op, start = cmd & 0x3F, cmd >> 6
        try:
            if op not in COMMANDS.values():
                raise Refused(ENOSYS)
            if start != 0:
                raise Refused(EINVAL)
            if op == COMMANDS["put_dma_buf"]:
                self.put(caller, arg)
            else:
                self.exchange(caller, arg, pins=op == COMMANDS["get_dma_buf"])
            return 0
        except Refused as refused:
            return -refused.errno
        except NotRam:
            return -EFAULT

    def domain_named(self, caller, reservation):
        """The guards of every reservation. Order and count come first, so that nothing after them shifts or counts too far."""
        if reservation.extent_order >= 64 and FAULT == "crash-on-order":
            os.abort()
        if reservation.extent_order > MAX_ORDER or reservation.nr_extents > MAX_EXTENTS:
            raise Refused(EINVAL)
        domain = caller if reservation.domid == DOMID_SELF else self.domains.get(reservation.domid)
        if domain is None:
            raise Refused(ESRCH)
        if domain is not caller and not caller.privileged:
            raise Refused(EPERM)
        return domain

    def entry_at(self, reservation, i):
        """On arm32 a pointer is the low half of its handle."""
        return reservation.extent_start % self.address_end + 8 * i

    def read_list(self, caller, reservation):
        """The whole list, read once: from here on the guest may do to it what it likes."""
        data = self.read(caller, self.entry_at(reservation, 0), 8 * reservation.nr_extents)
        return struct.unpack(f"<{reservation.nr_extents}Q", data)

    def exchange(self, caller, arg, pins):
        """Ops 26 and 11, chunk by chunk; nr_exchanged tells how far it came, also where it fails."""
        data = self.read(caller, arg, NR_EXCHANGED + 8)
        given = Reservation._make(RESERVATION.unpack_from(data))
        wanted = Reservation._make(RESERVATION.unpack_from(data, RESERVATION.size))
        if pins and FAULT == "always-einval":
            raise Refused(EINVAL)
        if any(data[NR_EXCHANGED:]):
            raise Refused(EINVAL)
        if given.domid != wanted.domid:  # raw: DOMID_SELF is not one's own number
            raise Refused(EINVAL)
        domain = self.domain_named(caller, given)
        self.domain_named(caller, wanted)
        if given.nr_extents << given.extent_order != wanted.nr_extents << wanted.extent_order:
            raise Refused(EINVAL)
        inputs = self.read_list(caller, given)
        outputs = self.read_list(caller, wanted)

        # The smallest unit that can be exchanged has 2^max(order, order) pages.
        ins = 1 << max(0, wanted.extent_order - given.extent_order)
        outs = 1 << max(0, given.extent_order - wanted.extent_order)
        done = 0
        try:
            while done < len(inputs):
                first = done // ins * outs
                mfns = self.exchange_chunk(
                    domain, inputs[done : done + ins], given.extent_order, outputs[first : first + outs], wanted, pins
                )
                done += ins
                if FAULT != "mfns-not-returned":
                    self.write(caller, self.entry_at(wanted, first), struct.pack(f"<{outs}Q", *mfns))
            if FAULT == "count-short" and done > 0:
                done -= 1
        finally:
            self.write(caller, arg + NR_EXCHANGED, struct.pack("<Q", done))

    def exchange_chunk(self, domain, inputs, in_order, outputs, wanted, pins):
        """One chunk or nothing: what is refused before the commit leaves everything as it was."""
        size = 1 << wanted.extent_order
        taken = [gfn + j for gfn in inputs for j in range(1 << in_order)]
        claimed = [gfn + j for gfn in outputs for j in range(size)]
        # An input page is mapped, not pinned, and listed once.
        if any(gfn not in domain.p2m or gfn in domain.pinned for gfn in taken) or len(set(taken)) < len(taken):
            raise Refused(EINVAL)
        # An output page is a hole, or an input of this very chunk, and listed once.
        free = (domain.gfns - domain.p2m.keys()) | set(taken)
        if not free.issuperset(claimed) or len(set(claimed)) < len(claimed):
            raise Refused(EINVAL)
        # Allocated before the inputs are given up, so that no frame replaces itself.
        mfns = []
        try:
            for _ in outputs:
                mfns.append(self.allocate_extent(wanted))
        except Refused:
            for mfn in mfns:
                for j in range(size):
                    self.release(mfn + j)
            raise
        # Nothing can fail from here on.
        for gfn in taken if FAULT != "inputs-kept" else ():
            self.unmap(domain, gfn)
        for gpfn, mfn in zip(outputs, mfns):
            for j in range(size):
                self.map(domain, gpfn + j, mfn + (size - 1 - j if FAULT == "not-contiguous" else j))
        if pins and FAULT != "no-pin":
            domain.pinned.update(claimed)
        return [domain.p2m[gpfn] for gpfn in outputs]

    def put(self, caller, arg):
        """Op 27: all pages or none, and by their GPFNs; mapping, content and ownership stay as they are."""
        given = Reservation._make(RESERVATION.unpack(self.read(caller, arg, RESERVATION.size)))
        domain = self.domain_named(caller, given)
        extents = [range(gfn, gfn + (1 << given.extent_order)) for gfn in self.read_list(caller, given)]
        if not all(domain.pinned.issuperset(extent) for extent in extents):
            raise Refused(EINVAL)
        if FAULT != "put-keeps-pin":
            domain.pinned.difference_update(*extents)

    def churn(self, domain, first, pages):
        """Sharing, paging or migration: each page gets another frame with the same content, but for those that are pinned."""
        for gfn in [gfn for gfn in domain.p2m if first <= gfn < first + pages and gfn not in domain.pinned]:
            mfn = self.allocate(0, NO_LIMIT)
            if mfn is None:
                return
            old = domain.p2m[gfn]
            if old in self.content:
                self.content[mfn] = self.content.pop(old)
            self.free.add(old)
            domain.p2m[gfn] = mfn


HELLO = {
    "protocol": 1,
    "name": "the Python example",
    "version": "1",
    "arch": ["arm32", "arm64"],
    "commands": COMMANDS,
    "capabilities": ["translate", "churn", "pages", "changes", "batch", "free", "fail-alloc"],
    "limits": {"ram_pages": MAX_PAGES, "max_order": MAX_ORDER, "max_extents": hex(MAX_EXTENTS)},
}


class Server:
    """Answers the requests of docs/implementers.md."""

    machine = None

    def answer(self, request):
        """The answer to one request. What is wrong with the request itself is no refusal by the hypervisor."""
        try:
            return self.carry_out(request["op"], request)
        except NotRam:
            return {"fault": True}
        except (BadRequest, AttributeError, KeyError, TypeError, ValueError) as error:
            return {"error": {"kind": "setup", "message": repr(error)}}

    def carry_out(self, op, request):
        if op == "hello":
            return HELLO
        if op == "bye":
            return {}
        if op == "batch":
            return {"results": list(self.batch(request["steps"]))}
        if op == "reset":
            self.machine = Machine(request["arch"], request["domains"], request["free"])
            return {}
        domain = self.machine.domains[request["domid"]]
        if op == "pages":
            return {"pages": len(domain.p2m)}
        if op == "changes":
            changed, domain.changed = domain.changed, {}
            return {"ranges": [[hex(gfn * PAGE_SIZE + start), end - start] for gfn, (start, end) in changed.items()]}
        if op == "call":
            return {"rc": self.machine.memory_op(domain, request["cmd"], int(request["arg"], 0), request.get("inject", {}))}
        if op == "read":
            return {"hex": self.machine.read(domain, int(request["addr"], 0), request["length"]).hex()}
        if op == "write":
            self.machine.write(domain, int(request["addr"], 0), bytes.fromhex(request["hex"]), by_guest=True)
            return {}
        first, pages = int(request["gfn"], 0), request["pages"]
        if op == "translate":
            return {"mfns": [hex(domain.p2m[gfn]) if gfn in domain.p2m else None for gfn in range(first, first + pages)]}
        if op == "churn":
            self.machine.churn(domain, first, pages)
            return {}
        return {"error": {"kind": "unsupported", "message": op}}

    def batch(self, steps):
        for step in steps:
            answer = self.answer(step)
            yield answer
            if "error" in answer:
                return


def serve():
    """One answer for each line, with the id of its request; until bye or the end of the input."""
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps({"id": request["id"], **server.answer(request)}), flush=True)
        if request["op"] == "bye":
            return


if __name__ == "__main__":
    serve()
