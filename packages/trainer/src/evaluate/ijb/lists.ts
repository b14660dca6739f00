import { basename } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { IntList } from '../files/intList.js';
import { badLine, forEachLine, isInside, parseIndex } from '../files/lines.js';
import type { IjbFiles } from './layout.js';

/** The face images, in the order of the lists. */
export interface IjbFaces {
  /** [N] names in `loose_crop` */
  readonly names: readonly string[];
  /** [N] */
  readonly templates: Int32Array;
  /** [N]; frames of one video have one medium. */
  readonly media: Int32Array;
  /** [N, 5, 2] in pixels: eyes, nose, corners of the mouth */
  readonly landmarks: Float32Array;
  /** [N] how sure the detector was, in [0, 1] */
  readonly detectorScores: Float32Array;
}

/** Pairs of templates to verify. */
export interface TemplatePairs {
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** 1: one person */
  readonly same: Uint8Array;
}

/** Templates of a gallery or of the probes, by number ascending, each once. */
export interface SubjectList {
  readonly templates: Int32Array;
  readonly subjects: Int32Array;
}

const fieldsOf = (text: string): string[] => text.trim().split(/[ \t]+/);

/**
 * Reads `…_face_tid_mid.txt` and `…_name_5pts_score.txt`, which tell of the same images line by line.
 * @throws HyperArcError E_FORMAT naming file and line.
 */
export function readFaces(files: Pick<IjbFiles, 'faces' | 'landmarks'>): IjbFaces {
  const names: string[] = [];
  const templates = new IntList();
  const media = new IntList();
  forEachLine(files.faces, (text, line) => {
    const [name, template, medium, ...rest] = fieldsOf(text);
    const [templateNumber, mediumNumber] = [parseIndex(template), parseIndex(medium)];
    if (!name || !isInside(name) || templateNumber === undefined || mediumNumber === undefined || rest.length > 0) {
      throw badLine(files.faces, line, '"image template media"', text);
    }
    names.push(name);
    templates.push(templateNumber);
    media.push(mediumNumber);
  });
  if (names.length === 0)
    throw new HyperArcError('E_FORMAT', `${files.faces}: expected at least one image, received none`);
  return { names, templates: templates.toArray(), media: media.toArray(), ...readLandmarks(files, names) };
}

function readLandmarks({ faces, landmarks: path }: Pick<IjbFiles, 'faces' | 'landmarks'>, names: readonly string[]) {
  const landmarks = new Float32Array(10 * names.length);
  const detectorScores = new Float32Array(names.length);
  let n = 0;
  forEachLine(path, (text, line) => {
    const [name, ...fields] = fieldsOf(text);
    const numbers = fields.map(Number);
    if (
      numbers.length !== 11 ||
      !fields.every((field) => /^[-+\d.eE]{1,32}$/.test(field)) ||
      !numbers.every(Number.isFinite)
    ) {
      throw badLine(path, line, '"image x1 y1 x2 y2 x3 y3 x4 y4 x5 y5 score"', text);
    }
    if (n === names.length) throw badLine(path, line, `the ${n} images of ${basename(faces)}`, text);
    if (basename(name!) !== basename(names[n]!))
      throw badLine(path, line, `${names[n]} as in ${basename(faces)}`, text);
    landmarks.set(numbers.slice(0, 10), 10 * n);
    detectorScores[n] = numbers[10]!;
    n += 1;
  });
  if (n !== names.length) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected the ${names.length} images of ${basename(faces)}, received ${n}; copy the file again`,
    );
  }
  return { landmarks, detectorScores };
}

/**
 * Reads `…_template_pair_label.txt`.
 * @param known the templates that have images
 * @throws HyperArcError E_FORMAT naming file and line, also when all pairs are of one kind.
 */
export function readTemplatePairs(path: string, known: ReadonlySet<number>): TemplatePairs {
  const first = new IntList();
  const second = new IntList();
  const same = new IntList();
  let matches = 0;
  forEachLine(path, (text, line) => {
    const fields = fieldsOf(text);
    const [a, b, label] = [parseIndex(fields[0]), parseIndex(fields[1]), parseIndex(fields[2])];
    if (fields.length !== 3 || a === undefined || b === undefined || label === undefined || label > 1) {
      throw badLine(path, line, '"template template 0|1"', text);
    }
    if (!known.has(a) || !known.has(b)) throw badLine(path, line, 'templates that have images', text);
    first.push(a);
    second.push(b);
    same.push(label);
    matches += label;
  });
  if (matches === 0 || matches === same.length) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected pairs of both kinds, received ${matches} same and ${same.length - matches} different`,
    );
  }
  return { first: first.toArray(), second: second.toArray(), same: Uint8Array.from(same.toArray()) };
}

/**
 * Reads a gallery or the probes: CSV with a header line, template and subject in the first two columns; further columns, and further lines of a
 * template (the original protocol has one an image), tell nothing new.
 * @throws HyperArcError E_FORMAT naming file and line.
 */
export function readSubjects(path: string, known: ReadonlySet<number>): SubjectList {
  const subjectOf = new Map<number, number>();
  forEachLine(path, (text, line) => {
    if (line === 1) return;
    const fields = text.split(',').map((field) => field.trim());
    const [template, subject] = [parseIndex(fields[0]), parseIndex(fields[1])];
    if (template === undefined || subject === undefined) throw badLine(path, line, '"template,subject,…"', text);
    if (!known.has(template)) throw badLine(path, line, 'a template that has images', text);
    const before = subjectOf.get(template);
    if (before !== undefined && before !== subject)
      throw badLine(path, line, `subject ${before} for template ${template} as before`, text);
    subjectOf.set(template, subject);
  });
  if (subjectOf.size === 0)
    throw new HyperArcError('E_FORMAT', `${path}: expected a header and at least one template, received none`);
  const templates = Int32Array.from(subjectOf.keys()).sort();
  return { templates, subjects: templates.map((template) => subjectOf.get(template)!) };
}
