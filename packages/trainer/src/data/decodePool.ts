import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { HyperArcErrorCode } from '@hyperarc/kernels-cuda';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageLocation } from './location.js';
import type { PixelChange } from './pixelChange.js';

export interface DecodeTask {
  readonly id: number;
  readonly images: readonly ImageLocation[];
  readonly size: number;
  /** Goes on after an image that cannot be decoded, which stays black, instead of answering with its error. */
  readonly passOver: boolean;
}

/** An image of a task that could not be decoded. */
export interface DecodeFailure {
  /** Into the task's images. */
  readonly at: number;
  /** In words, with the image's name. */
  readonly reason: string;
}

export interface Decoded {
  /** RGB bytes [images, size, size, 3]. */
  readonly pixels: Uint8Array;
  /** In the order of the images. */
  readonly failures: readonly DecodeFailure[];
}

/** Decoded images to be changed: [images, size, size, 3]. */
export interface ChangeTask {
  readonly id: number;
  readonly pixels: Uint8Array;
  readonly size: number;
  readonly change: PixelChange;
}

export type DecodeAnswer =
  | ({ readonly id: number } & Decoded)
  | { readonly id: number; readonly error: { readonly code: HyperArcErrorCode; readonly message: string } };

interface Pending {
  readonly task: DecodeTask | ChangeTask;
  readonly resolve: (decoded: Decoded) => void;
  readonly reject: (error: Error) => void;
}

/** As many threads as there are processors, at most 8: more only take memory. */
export const defaultWorkers = (): number => Math.min(availableParallelism(), 8);

/**
 * Threads that decode image files. Tasks are answered as they come, each by one thread. An idle pool does not keep the
 * process alive; `close` frees it at once.
 */
export class DecodePool {
  private readonly idle: Worker[] = [];
  private readonly workers: Worker[];
  private readonly running = new Map<Worker, Pending>();
  private readonly queue: Pending[] = [];
  private failure: Error | undefined;
  private nextId = 0;

  /** @throws HyperArcError E_RANGE unless `workers` is at least 1. */
  constructor(workers = defaultWorkers()) {
    if (!Number.isInteger(workers) || workers < 1 || workers > 256) {
      throw new HyperArcError('E_RANGE', `workers: expected a whole number from 1 to 256, received ${workers}; leave it out for the default`);
    }
    const script = new URL('./decodeWorker.js', import.meta.url);
    this.workers = Array.from({ length: workers }, () => {
      // Options of the main program (such as --input-type) are not this script's.
      const worker = new Worker(script, { execArgv: [] });
      worker.on('message', (answer: DecodeAnswer) => this.settle(worker, answer));
      worker.on('error', (cause) => {
        this.fail(new HyperArcError('E_INTERNAL', `decoding: expected a running thread, received ${cause.message}; please report it`, { cause }));
      });
      // After the listeners: one for messages holds the process again, and a pool that is never used would hold it for good.
      worker.unref();
      return worker;
    });
    this.idle.push(...this.workers);
  }

  get size(): number {
    return this.workers.length;
  }

  /**
   * Decodes images on one thread.
   * @returns RGB bytes [images, size, size, 3].
   * @throws HyperArcError as decodeImage; E_DISPOSED when the pool is closed.
   */
  async decode(images: readonly ImageLocation[], size: number): Promise<Uint8Array> {
    return (await this.enqueue({ id: this.nextId++, images, size, passOver: false })).pixels;
  }

  /**
   * Decodes on one thread what can be decoded of images; the others are black, and named.
   * @throws HyperArcError E_DISPOSED when the pool is closed.
   */
  decodeWhole(images: readonly ImageLocation[], size: number): Promise<Decoded> {
    return this.enqueue({ id: this.nextId++, images, size, passOver: true });
  }

  /**
   * Changes decoded images on one thread.
   * @param pixels RGB bytes [images, size, size, 3]. The pool takes their buffer: the caller's array is empty afterwards.
   * @returns bytes of the same shape.
   * @throws HyperArcError E_DISPOSED when the pool is closed.
   */
  async change(pixels: Uint8Array, size: number, change: PixelChange): Promise<Uint8Array> {
    return (await this.enqueue({ id: this.nextId++, pixels, size, change })).pixels;
  }

  private enqueue(task: DecodeTask | ChangeTask): Promise<Decoded> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.queue.push({ task, resolve, reject });
      this.dispatch();
    });
  }

  /** Ends the threads; what is still running or waiting answers E_DISPOSED. */
  async close(): Promise<void> {
    this.fail(new HyperArcError('E_DISPOSED', 'decoding: expected an open pool, received a closed one; make a new one'));
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private dispatch(): void {
    while (this.queue.length > 0 && this.idle.length > 0) {
      const worker = this.idle.pop()!;
      const pending = this.queue.shift()!;
      this.running.set(worker, pending);
      worker.ref();
      worker.postMessage(pending.task, 'pixels' in pending.task ? [pending.task.pixels.buffer as ArrayBuffer] : []);
    }
  }

  private settle(worker: Worker, answer: DecodeAnswer): void {
    const pending = this.running.get(worker);
    if (pending === undefined) return;
    this.running.delete(worker);
    this.idle.push(worker);
    worker.unref();
    this.dispatch();
    if ('error' in answer) pending.reject(new HyperArcError(answer.error.code, answer.error.message));
    else pending.resolve(answer);
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const pending of [...this.running.values(), ...this.queue]) pending.reject(this.failure);
    this.running.clear();
    this.queue.length = 0;
  }
}
