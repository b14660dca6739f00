import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { maskedCrc32c } from './crc32c.js';
import { bytesField, doubleField, floatField, integerField } from './protobuf.js';

/** One TFRecord: length, its masked CRC, the data, its masked CRC (tensorflow/core/lib/io/record_writer.h). */
export function tfRecord(data: Uint8Array): Buffer {
  const record = Buffer.alloc(8 + 4 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return record;
}

/** Field numbers of tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 };
const SUMMARY_VALUE = 1;
const VALUE = { tag: 1, simpleValue: 2 };
const SESSION_STATUS = 1;
const SESSION_START = 1;

function event(wallTimeMs: number, step: number, ...fields: Buffer[]): Buffer {
  return Buffer.concat([doubleField(EVENT.wallTime, wallTimeMs / 1000), integerField(EVENT.step, step), ...fields]);
}

/** Writes scalars to a TensorBoard event file. Each call is one write, so a killed run leaves whole records behind. */
export class TensorBoardWriter {
  readonly path: string;
  readonly #file: number;

  /** @param firstStep records of an earlier file at or after this step are hidden by TensorBoard: a resumed run repeats them. */
  constructor(folder: string, firstStep: number) {
    mkdirSync(folder, { recursive: true });
    const now = Date.now();
    this.path = join(folder, `events.out.tfevents.${Math.floor(now / 1000)}.hyperarc.${firstStep}`);
    this.#file = openSync(this.path, 'a');
    this.#write(event(now, 0, bytesField(EVENT.fileVersion, 'brain.Event:2')));
    if (firstStep > 0) {
      this.#write(event(now, firstStep, bytesField(EVENT.sessionLog, integerField(SESSION_STATUS, SESSION_START))));
    }
  }

  scalars(step: number, values: Readonly<Record<string, number>>): void {
    const summary = Object.entries(values).map(([name, value]) =>
      bytesField(SUMMARY_VALUE, Buffer.concat([bytesField(VALUE.tag, name), floatField(VALUE.simpleValue, value)])),
    );
    this.#write(event(Date.now(), step, bytesField(EVENT.summary, Buffer.concat(summary))));
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(data: Buffer): void {
    writeSync(this.#file, tfRecord(data));
  }
}
