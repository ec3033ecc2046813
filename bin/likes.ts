import type { Judgement } from '../src/rules/judge.ts';
import type { Alike } from '../src/rules/reach.ts';
import type { RecordJudge } from '../src/rules/record-judge.ts';
import { type Digest, LikeCalls } from '../src/text/digest.ts';
import { addJudgement, type Tally } from '../src/text/tally.ts';
import type { PlainTaker } from '../src/trace/plain-record.ts';
import { keyBit } from '../src/trace/plain-record.ts';
import type { LikeLines } from './call-lines.ts';

/** Where records that are judged alike are counted, and how they are told. */
export interface LikesInto {
  readonly tally: Tally;
  readonly digest: Digest | undefined;
  /** Is told of each way in which records are judged. */
  readonly seen: (judgement: Judgement) => void;
  readonly linesLike: (judgement: Judgement) => LikeLines;
  /** What the digest calls a record by its place. */
  readonly named: (place: string) => string;
}

interface Kind {
  calls: number;
  readonly lines: LikeLines;
  readonly story: LikeCalls | undefined;
}

/** Takes those records of a trace that are judged like others: counts them, and tells them at once. */
export class Likes {
  readonly #into: LikesInto;
  readonly #kinds = new Map<Alike, Kind>();
  /** Kinds with calls that are not counted yet, in the order of their coming. */
  readonly #touched: { readonly alike: Alike; readonly kind: Kind }[] = [];
  #last: { readonly alike: Alike; readonly kind: Kind } | undefined;
  #text = '';
  readonly take: PlainTaker;

  constructor(judge: RecordJudge, into: LikesInto) {
    this.#into = into;
    const isPlaced = into.digest !== undefined;
    this.take = (record, line, setting, exact) => {
      const alike = judge.judgeLike(record, setting, exact);
      if (!alike) return false;
      const kind = this.#kindOf(alike);
      if (kind.calls++ === 0) this.#touched.push({ alike, kind });
      const seq = (record.has & keyBit.seq) === 0 ? undefined : record.seq;
      if (kind.lines) this.#text += kind.lines(seq, line, exact);
      if (isPlaced) kind.story?.add(judge.frames, into.named(`#${seq ?? line}`));
      return true;
    };
  }

  #kindOf(alike: Alike): Kind {
    if (this.#last?.alike === alike) return this.#last.kind;
    let kind = this.#kinds.get(alike);
    if (!kind) {
      if (this.#kinds.size >= mostKinds) {
        this.count();
        this.#kinds.clear();
      }
      const { digest, linesLike, seen } = this.#into;
      seen(alike.judgement);
      kind = { calls: 0, lines: linesLike(alike.judgement), story: digest && new LikeCalls(digest, alike.judgement) };
      this.#kinds.set(alike, kind);
    }
    this.#last = { alike, kind };
    return kind;
  }

  /** What is to be told of the records that were taken since it was asked last. */
  told(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  /** Counts what was taken: a call that is judged by itself comes after it. */
  count(): void {
    for (const { alike, kind } of this.#touched) {
      addJudgement(this.#into.tally, alike.judgement, kind.calls);
      kind.story?.count(kind.calls);
      kind.calls = 0;
    }
    this.#touched.length = 0;
  }
}

const mostKinds = 1 << 12;
