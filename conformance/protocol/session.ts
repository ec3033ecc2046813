import type { Arch } from '../../src/abi/arch.ts';
import { RecordError } from '../../src/trace/fields.ts';
import { quoted } from '../../src/trace/quoted.ts';
import type { Hello, Reply, Request } from './implementation.ts';
import { CrashError } from './play.ts';
import { type Ending, type Transport, TransportError } from './transport.ts';
import { answerOf, helloOf, longestLine, objectOf, requestLine, resultsOf, type WireRequest, weight } from './wire.ts';

/** The time limits of the protocol (docs/implementers.md), in milliseconds. */
const limits = { start: 30_000, request: 5_000, step: 10, bye: 2_000 } as const;
/** Steps in one batch at most: a small program keeps its answer in memory. */
const mostSteps = 512;
/** What a batch's line has beside its steps. */
const frame = 100;

/** An implementation at the other end of a transport, from its `hello` on. */
export class Session {
  readonly hello: Hello;
  readonly #transport: Transport;
  readonly #scale: number;
  #nextId = 1;

  private constructor(transport: Transport, hello: Hello, scale: number) {
    this.#transport = transport;
    this.hello = hello;
    this.#scale = scale;
  }

  /**
   * Shakes hands. Rejects with a `CrashError` where that fails, and then the other side is gone.
   */
  static async open(transport: Transport, arch: Arch, scale = 1): Promise<Session> {
    try {
      const answer = await exchange(transport, 0, { op: 'hello', arch }, limits.start * scale);
      return new Session(transport, helloOf(answer), scale);
    } catch (error) {
      throw await crash(transport, error, 'hello');
    }
  }

  /**
   * Asks, and has an answer to each request. Rejects with a `CrashError` where the implementation
   * breaks: it is gone then.
   */
  async ask(requests: readonly Request[]): Promise<readonly Reply[]> {
    const answers: Reply[] = [];
    try {
      if (!this.hello.capabilities.has('batch')) {
        for (const request of requests) answers.push(answerOf(request, await this.#exchange(request, 1)));
        return answers;
      }
      while (answers.length < requests.length) answers.push(...(await this.#batch(requests, answers.length)));
      return answers;
    } catch (error) {
      const rest = requests.slice(answers.length);
      throw await crash(this.#transport, error, rest.some((request) => request.op === 'call') ? 'call' : (rest[0]?.op ?? 'batch'));
    }
  }

  /** Says goodbye; how it ended. */
  async end(): Promise<Ending> {
    try {
      await this.#exchange({ op: 'bye' }, 1);
    } catch {
      // It is ended below all the same.
    }
    return this.#transport.close(limits.bye * this.#scale);
  }

  /**
   * Sends as many of the requests as fit one line, from one of them on. After an error the rest is
   * asked again.
   */
  async #batch(requests: readonly Request[], from: number): Promise<Reply[]> {
    const steps: Request[] = [];
    for (let room = longestLine - frame; steps.length < mostSteps && from + steps.length < requests.length; ) {
      const step = requests[from + steps.length] as Request;
      room -= weight(step);
      if (room < 0 && steps.length > 0) break;
      steps.push(step);
    }
    if (steps.length === 1) return [answerOf(steps[0] as Request, await this.#exchange(steps[0] as Request, 1))];
    const json = await this.#exchange({ op: 'batch', steps }, steps.length);
    if (json['error'] !== undefined) throw new RecordError('answer.error', 'a batch as a whole cannot fail, only a step of it');
    const results = resultsOf(json);
    const answers: Reply[] = [];
    for (const [i, result] of results.entries()) {
      const step = steps[i];
      if (!step) throw new RecordError('answer.results', `${results.length} of them, for ${steps.length} steps`);
      answers.push(answerOf(step, result, `answer.results[${i}]`));
      if (answers[i]?.error && i + 1 < results.length) throw new RecordError('answer.results', `goes on after the error of step ${i}`);
    }
    if (answers.length < steps.length && !answers.at(-1)?.error) {
      throw new RecordError('answer.results', `${results.length} of them, for ${steps.length} steps`);
    }
    return answers;
  }

  #exchange(request: WireRequest, steps: number): Promise<{ readonly [key: string]: unknown }> {
    return exchange(this.#transport, this.#nextId++, request, (limits.request + limits.step * steps) * this.#scale);
  }
}

/** One question, and the object that answers it under its own id. */
async function exchange(
  transport: Transport,
  id: number,
  request: WireRequest,
  milliseconds: number,
): Promise<{ readonly [key: string]: unknown }> {
  transport.send(requestLine(id, request));
  const line = await transport.receive(milliseconds);
  const answer = objectOf(line);
  if (answer['id'] !== id) throw new RecordError('answer.id', `${shownId(answer['id'])} answers request ${id}`);
  return answer;
}

function shownId(id: unknown): string {
  return id === undefined ? 'nothing' : typeof id === 'number' ? String(id) : quoted(JSON.stringify(id) ?? String(id));
}

/** What went wrong as the crash that it is, once the other side is ended and has said its last. */
async function crash(transport: Transport, error: unknown, during: string): Promise<Error> {
  if (!(error instanceof TransportError || error instanceof RecordError)) return error as Error;
  const hung = error instanceof TransportError && error.kind === 'silence';
  const { how, stderr } = await transport.close(0);
  const said = error instanceof RecordError ? `not an answer of the protocol: ${error.message}` : error.message;
  const ending = error instanceof TransportError && error.kind === 'gone' ? [] : [`the process ${how}`];
  return new CrashError(`during ${during}: ${said}`, { hung, evidence: [...ending, ...stderr.map((line) => `stderr: ${line}`)] });
}
