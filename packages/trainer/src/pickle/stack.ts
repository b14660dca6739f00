import type { ByteReader } from './byteReader.js';

/** The pickle machine's stack, with the marks that opcodes of many items count back to. */
export class Stack {
  private readonly items: unknown[] = [];
  private readonly marks: number[] = [];

  constructor(private readonly reader: ByteReader) {}

  push(value: unknown): void {
    this.items.push(value);
  }

  /** The top item above the last mark. */
  top(): unknown {
    if (this.items.length <= (this.marks.at(-1) ?? 0)) this.reader.fail('something on the stack', 'nothing');
    return this.items.at(-1);
  }

  pop(): unknown {
    const value = this.top();
    this.items.pop();
    return value;
  }

  mark(): void {
    this.marks.push(this.items.length);
  }

  /** Takes all that came after the last mark, and the mark. */
  popMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined) this.reader.fail('a mark on the stack', 'none');
    return this.items.splice(mark);
  }

  /** POP takes a mark where one is on top. */
  popAny(): void {
    if (this.marks.at(-1) === this.items.length && this.marks.length > 0) this.marks.pop();
    else this.pop();
  }

  popTuple(count: number): unknown[] {
    const values: unknown[] = [];
    for (let i = 0; i < count; i++) values.push(this.pop());
    return values.reverse();
  }
}
